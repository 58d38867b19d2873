#include "worker/node/evaluating.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <iterator>
#include <utility>

#include "sandbox/run.hpp"
#include "worker/node/pipe.hpp"
#include "worker/node/sandbox_git.hpp"
#include "worker/node/task_file.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t default_wall_ms = 10 * 60'000;
constexpr std::size_t max_output_bytes = 32 * 1024;
constexpr std::size_t max_told_bytes = 4 * 1024;
constexpr std::int64_t harness_bytes = 256 << 20;
constexpr std::string_view held_out_place = "/germline/held-out";
// In which the end of a sandbox is noticed: its supervisor is asked every 10 ms.
constexpr std::chrono::milliseconds notice_time{100};

process_spec evaluator_of(const evaluation_request& request, std::int64_t wall_ms) {
  process_spec spec;
  spec.argv = {"/bin/sh", "-c", "exec " + request.commands.fitness.command};
  spec.cwd = genome_root(request.commands, "/harness/seed");
  spec.env = {"LC_ALL=C.UTF-8",
              "GERMLINE_SCORE_FD=3",
              "GERMLINE_SCRATCH=/tmp",
              "GERMLINE_RANDOM_SEED=" + std::to_string(request.random_seed),
              "GERMLINE_WALL_TIME_MS=" + std::to_string(wall_ms),
              "GIT_CONFIG_NOSYSTEM=1"};
  if (!request.held_out_dir.empty()) {
    spec.env.push_back("GERMLINE_HELD_OUT=" + std::string(held_out_place));
  }
  return spec;
}

process_spec candidate_of(const evaluation_request& request) {
  process_spec spec;
  const auto& commands = request.commands;
  spec.argv = {
      "/bin/sh", "-c",
      "exec " + place_run_command(commands.fitness.run, commands.artefact, "/germline/artefact")};
  spec.env = {"LC_ALL=C.UTF-8", "GERMLINE_EVALUATION=1",
              "GERMLINE_ARTEFACT_DIR=/germline/artefact"};
  return spec;
}

/// How the candidate went, for people: it is the evaluator's to judge.
std::string told_of(const result<captured_run>& candidate) {
  if (!candidate) return {};  // it ran to the end of the evaluation, and was ended with it
  const auto how = explain_outcome(candidate->outcome, "the candidate", candidate->err.text(), "");
  return candidate->outcome.succeeded() && candidate->err.text().empty() ? "" : how.details;
}

void add_usage(live_sandbox& box, evaluation& out) {
  const auto usage = box.get().read_usage();
  if (!usage) return;
  out.cpu_ms += usage->cpu_ms;
  out.peak_memory_bytes = std::max(out.peak_memory_bytes, usage->peak_memory_bytes);
}

}  // namespace

result<evaluation> evaluate(sandbox_set& sandboxes, const evaluation_request& request) {
  const auto& fitness = request.commands.fitness;
  auto policy = request.policy;
  const auto most_ms = fitness.wall_time_ms > 0 ? fitness.wall_time_ms : default_wall_ms;
  policy.wall_ms = std::min(policy.wall_ms, most_ms);
  auto harness = policy;
  harness.scratch.push_back({"/srv", uid_role::owner, harness_bytes});
  harness.scratch.push_back({"/harness", uid_role::owner, harness_bytes});
  if (!request.held_out_dir.empty()) {
    harness.mounts.push_back({request.held_out_dir, std::string(held_out_place)});
  }
  GERMLINE_TRY_ASSIGN(auto judge, sandboxes.open(std::move(harness)));
  evaluation out;
  clone_request clone;
  clone.packs = request.seed_packs;
  clone.commit = request.seed_commit;
  clone.target = "/harness/seed";
  clone.role = uid_role::owner;  // so that the evaluator cannot change itself
  if (const auto laid = lay_out_clone(judge->get(), clone); !laid) {
    GERMLINE_TRY_ASSIGN(out.why, explain_clone(laid.error()));
    return out;
  }
  policy.mounts.push_back({request.artefact_dir, "/germline/artefact"});
  if (request.open_model) policy.gateway_port = gateway_port;
  GERMLINE_TRY_ASSIGN(auto body, sandboxes.open(std::move(policy)));
  auto candidate = candidate_of(request);
  if (request.open_model) {
    GERMLINE_TRY_ASSIGN(auto more, request.open_model(*body));
    std::ranges::move(more, std::back_inserter(candidate.env));
  }

  GERMLINE_TRY_ASSIGN(auto asked, make_pipe());
  GERMLINE_TRY_ASSIGN(auto answered, make_pipe());
  capture_limits limits;
  limits.stderr_bytes_max = max_output_bytes;
  limits.report_bytes_max = score_bytes_max;
  limits.wall_ms =
      std::max<std::int64_t>(1, judge->wall_until_boot_ms() - sandboxes.time().boot_ms());
  auto evaluator = evaluator_of(request, limits.wall_ms);
  evaluator.stdout_fd = std::move(asked.write);
  evaluator.stdin_fd = std::move(answered.read);
  candidate.stdin_fd = std::move(asked.read);
  candidate.stdout_fd = std::move(answered.write);
  // Ends with its sandbox, before what it refers to: see below.
  auto running = std::async(std::launch::async, [&] {
    return run_captured(body->get(), std::move(candidate), "", limits);
  });
  auto judging = limits;
  judging.want_report = true;
  auto judged = run_captured(judge->get(), std::move(evaluator), "", judging);
  add_usage(*judge, out);
  add_usage(*body, out);
  // A candidate whose sandbox was ended under it, by whatever goes wrong on this machine, looks to
  // its evaluator like one that ended by itself: then what that says is worth nothing.
  const bool ended = running.wait_for(notice_time) == std::future_status::ready;
  // The evaluation is over: whatever the candidate still does is of no use.
  const auto gone = body->get().kill();
  const auto ran = running.get();
  GERMLINE_TRY(gone);
  if (ended && !ran && judged) {
    GERMLINE_TRY_ASSIGN(out.why,
                        explain_end(ran.error(), *body, sandboxes.time(), "the candidate"));
    return out;
  }
  if (ended && ran && ran->outcome.kind == outcome_kind::setup_error) {
    out.why = explain_outcome(ran->outcome, "the candidate", ran->err.text(), "crash");
    return out;
  }
  if (!judged) {
    if (judged.error().code() != error_code::unavailable) return judged.error();
    GERMLINE_TRY_ASSIGN(out.why,
                        explain_end(judged.error(), *judge, sandboxes.time(), "the evaluation"));
    return out;
  }
  out.details = told_of(ran);
  if (!judged->outcome.succeeded()) {
    out.why = explain_outcome(judged->outcome, "the evaluator", judged->err.text(), "crash");
    return out;
  }
  if (!judged->report.complete()) {
    out.why = {"score", "the evaluator's report has more than 1 MiB"};
    return out;
  }
  const auto said = judged->err.text().substr(0, max_told_bytes);
  if (auto score = parse_score(judged->report.head)) {
    out.score = std::move(*score);
    if (!said.empty()) out.details = said + (out.details.empty() ? "" : "\n" + out.details);
  } else {
    out.why = {"score", score.error().message()};
    if (!said.empty()) out.why.details += "\n" + said;
  }
  return out;
}

}  // namespace germline::worker
