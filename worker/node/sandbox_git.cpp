#include "worker/node/sandbox_git.hpp"

#include <algorithm>
#include <array>

#include "sandbox/run.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t git_wall_ms = 60'000;

bool is_object_id(std::string_view text) {
  return text.size() == 40 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

process_spec git_spec(std::vector<std::string> arguments, uid_role role) {
  process_spec spec;
  spec.argv = std::move(arguments);
  spec.cwd = "/";
  spec.role = role;
  spec.alone = true;  // what an agent left running has no part in what is read afterwards
  spec.env = {"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C.UTF-8"};
  return spec;
}

/// Whether there was too little memory, space or number of files. git says which by strerror, but
/// for a file whose contents it cannot write.
bool ran_out(const process_outcome& outcome, std::string_view said) {
  if (outcome.kind == outcome_kind::out_of_memory) return true;
  constexpr std::array<std::string_view, 5> signs = {
      "No space left on device", "unable to write file", "Cannot allocate memory", "out of memory",
      "Out of memory"};
  return outcome.kind == outcome_kind::exited && std::ranges::any_of(signs, [&](auto words) {
           return said.find(words) != std::string_view::npos;
         });
}

result<std::string> run_git(sandbox& where, std::vector<std::string> arguments, uid_role role,
                            std::string_view input, std::size_t max_bytes, std::string_view doing) {
  capture_limits limits;
  limits.stdout_bytes_max = max_bytes;
  limits.wall_ms = git_wall_ms;
  GERMLINE_TRY_ASSIGN(auto run,
                      run_captured(where, git_spec(std::move(arguments), role), input, limits));
  if (!run.outcome.succeeded()) {
    const auto said = run.err.text();
    const auto code = ran_out(run.outcome, said) ? error_code::resource_exhausted
                                                 : error_code::failed_precondition;
    return error(code, std::string(doing) +
                           " inside the sandbox: " + std::string(to_string(run.outcome.kind)) +
                           " " + std::to_string(run.outcome.code) + " " + run.outcome.detail + " " +
                           said);
  }
  if (!run.out.complete()) {
    return error(error_code::resource_exhausted,
                 std::string(doing) + ": more than " + std::to_string(max_bytes) + " bytes");
  }
  return std::move(run.out.head);
}

}  // namespace

result<void> lay_out_clone(sandbox& where, const clone_request& request) {
  const auto role = request.role;
  constexpr std::size_t few = 64 * 1024;
  GERMLINE_TRY(run_git(where,
                       {"git", "init", "-q", "--bare", "--initial-branch=lineage", request.origin},
                       role, "", few, "git init"));
  for (const auto pack : request.packs) {
    GERMLINE_TRY(run_git(where,
                         {"git", "-C", request.origin, "index-pack", "--stdin", "--fix-thin"}, role,
                         pack, few, "git index-pack"));
  }
  auto branches = request.branches;
  branches.push_back({"lineage", request.commit});
  for (const auto& each : branches) {
    GERMLINE_TRY(run_git(
        where, {"git", "-C", request.origin, "update-ref", "refs/heads/" + each.name, each.commit},
        role, "", few, "git update-ref"));
  }
  GERMLINE_TRY(run_git(where,
                       {"git", "-c", "advice.detachedHead=false", "clone", "-q", "--branch",
                        "lineage", request.origin, request.target},
                       role, "", few, "git clone"));
  return {};
}

result<void> commit_worktree(sandbox& where, const std::string& message) {
  const std::string script =
      "cd /workspace && git add -A && "
      "{ git diff --cached --quiet || git -c user.name=agent -c user.email=agent@germline "
      "commit -q -m \"$1\"; } && git push -q origin HEAD:lineage";
  GERMLINE_TRY(run_git(where, {"sh", "-c", script, "sh", message}, uid_role::agent, "", 64 * 1024,
                       "committing the work tree"));
  return {};
}

result<pushed_objects> read_pushed(sandbox& where, const std::string& parent,
                                   std::size_t max_bytes) {
  pushed_objects pushed;
  GERMLINE_TRY_ASSIGN(auto head, run_git(where,
                                         {"git", "-C", "/srv/origin.git", "rev-parse", "--verify",
                                          "-q", "refs/heads/lineage^{commit}"},
                                         uid_role::agent, "", 256, "git rev-parse"));
  while (!head.empty() && head.back() == '\n') head.pop_back();
  if (!is_object_id(head)) {
    return error(error_code::data_loss, "the pushed branch does not name a commit");
  }
  if (head == parent) return pushed;
  const auto wanted = head + "\n^" + parent + "\n";
  GERMLINE_TRY_ASSIGN(pushed.pack, run_git(where,
                                           {"git", "-C", "/srv/origin.git", "pack-objects", "-q",
                                            "--revs", "--no-reuse-delta", "--window=0", "--stdout"},
                                           uid_role::agent, wanted, max_bytes, "git pack-objects"));
  pushed.commit = std::move(head);
  return pushed;
}

}  // namespace germline::worker
