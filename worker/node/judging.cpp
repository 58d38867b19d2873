#include "worker/node/judging.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include <fcntl.h>

#include "sandbox/run.hpp"
#include "worker/node/pipe.hpp"
#include "worker/node/sandbox_git.hpp"
#include "worker/node/task_file.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_report_bytes = 4 << 20;
constexpr std::size_t max_output_bytes = 64 * 1024;
constexpr std::int64_t probation_wall_ms = 60'000;
constexpr std::int64_t protected_wall_ms = 10 * 60'000;
constexpr int stand_in_port = 8'080;
constexpr std::int64_t harness_bytes = 256 << 20;

/// Reads until a newline, the end, or `max_bytes`.
std::string read_line(int fd, std::size_t max_bytes) {
  std::string line;
  char byte = 0;
  while (line.size() < max_bytes && ::read(fd, &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

/// The stand-in model as a process of the probation sandbox, under a uid of its own.
class stand_in_process {
 public:
  static result<stand_in_process> start(sandbox& where) {
    GERMLINE_TRY_ASSIGN(auto input, make_pipe());
    GERMLINE_TRY_ASSIGN(auto output, make_pipe());
    process_spec spec;
    spec.argv = {"/germline/stand-in/germline-stand-in", std::to_string(stand_in_port)};
    spec.cwd = "/";
    spec.role = uid_role::owner;
    spec.stdin_fd = std::move(input.read);
    spec.stdout_fd = std::move(output.write);
    GERMLINE_TRY(where.start(std::move(spec)));
    stand_in_process running;
    running.input_ = std::move(input.write);
    running.output_ = std::move(output.read);
    if (read_line(running.output_.get(), 64) != "listening") {
      return error(error_code::internal, "the stand-in model did not start");
    }
    return running;
  }

  /// Ends it and returns its record.
  std::string finish() {
    input_.reset();
    return read_line(output_.get(), 64 * 1024);
  }

 private:
  unique_fd input_;
  unique_fd output_;
};

std::optional<refusal> judge_record(const std::string& line) {
  const auto record = nlohmann::json::parse(line, nullptr, false);
  if (record.is_discarded() || !record.is_object()) {
    return refusal{"probation", "the stand-in model gave no record"};
  }
  if (!record.value("valid_request", false)) {
    const auto complaint = record.value("complaint", std::string());
    return refusal{"probation", "the artefact sent no valid request that offers a tool" +
                                    (complaint.empty() ? "" : ": " + complaint)};
  }
  if (!record.value("tool_returned", false)) {
    return refusal{"probation", "the artefact did not return the result of the tool `" +
                                    record.value("called_tool", std::string()) + "`"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> model_environment(int model_port, const std::string& token) {
  const auto base = "http://127.0.0.1:" + std::to_string(model_port);
  return {"ANTHROPIC_BASE_URL=" + base, "ANTHROPIC_API_KEY=" + token,
          "OPENAI_BASE_URL=" + base + "/v1", "OPENAI_API_KEY=" + token};
}

std::vector<std::string> agent_environment(const genome_commands& commands, int model_port,
                                           const std::string& token) {
  std::vector<std::string> env = {"LC_ALL=C.UTF-8",
                                  "GIT_CONFIG_NOSYSTEM=1",
                                  "GIT_TERMINAL_PROMPT=0",
                                  "GIT_AUTHOR_NAME=agent",
                                  "GIT_AUTHOR_EMAIL=agent@germline",
                                  "GIT_COMMITTER_NAME=agent",
                                  "GIT_COMMITTER_EMAIL=agent@germline"};
  if (commands.model == "none") return env;
  std::ranges::move(model_environment(model_port, token), std::back_inserter(env));
  return env;
}

result<protected_report> run_protected_tests(sandbox_set& sandboxes,
                                             const protected_request& request) {
  auto policy = request.policy;
  policy.wall_ms = std::min(policy.wall_ms, protected_wall_ms);
  policy.scratch.push_back({"/srv", uid_role::owner, harness_bytes});
  policy.scratch.push_back({"/harness", uid_role::owner, harness_bytes});
  policy.mounts.push_back({request.artefact_dir, "/germline/artefact"});
  policy.allow_candidate_exec = true;
  const auto wall_ms = policy.wall_ms;
  GERMLINE_TRY_ASSIGN(auto box, sandboxes.open(std::move(policy)));
  clone_request clone;
  clone.packs = request.seed_packs;
  clone.commit = request.seed_commit;
  clone.target = "/harness/seed";
  clone.role = uid_role::owner;  // so that neither harness nor artefact can write it
  protected_report report;
  if (const auto laid = lay_out_clone(box->get(), clone); !laid) {
    GERMLINE_TRY_ASSIGN(report.refused, explain_clone(laid.error()));
    return report;
  }

  process_spec spec;
  const auto root = genome_root(request.commands, "/harness/seed");
  spec.argv = {root + "/" + request.commands.protected_tests};
  spec.cwd = root;
  spec.env = {"LC_ALL=C.UTF-8",
              "GERMLINE_ARTEFACT_DIR=/germline/artefact",
              "GERMLINE_AS_CANDIDATE=/germline/bin/as-candidate",
              "GERMLINE_REPORT_FD=3",
              "GERMLINE_SCRATCH=/tmp",
              "GIT_CONFIG_NOSYSTEM=1"};
  capture_limits limits;
  limits.stdout_bytes_max = max_output_bytes;
  limits.merge_stderr = true;
  limits.want_report = true;
  limits.report_bytes_max = max_report_bytes;
  limits.wall_ms = wall_ms;
  GERMLINE_TRY_ASSIGN(auto run, run_captured(box->get(), std::move(spec), "", limits));
  if (run.report.complete()) report.junit_xml = std::move(run.report.head);
  if (!run.outcome.succeeded()) {
    report.refused = explain_outcome(run.outcome, "the protected tests", run.out.text(), "test");
  }
  return report;
}

result<std::optional<refusal>> run_probation(sandbox_set& sandboxes,
                                             const probation_request& request) {
  auto policy = request.policy;
  policy.wall_ms = std::min(policy.wall_ms, probation_wall_ms);
  policy.scratch.push_back({"/srv", uid_role::agent, 256 << 20});
  policy.mounts.push_back({request.artefact_dir, "/germline/artefact"});
  policy.mounts.push_back({request.stand_in_dir, "/germline/stand-in"});
  policy.files.push_back({"/germline/task.json", request.task_json});
  const auto wall_ms = policy.wall_ms;
  GERMLINE_TRY_ASSIGN(auto box, sandboxes.open(std::move(policy)));
  clone_request clone;
  clone.packs = request.packs;
  clone.commit = request.commit;
  if (const auto laid = lay_out_clone(box->get(), clone); !laid) {
    GERMLINE_TRY_ASSIGN(auto refused, explain_clone(laid.error()));
    return std::optional<refusal>(std::move(refused));
  }

  const bool with_model = request.commands.model != "none";
  std::optional<stand_in_process> model;
  if (with_model) {
    GERMLINE_TRY_ASSIGN(model, stand_in_process::start(box->get()));
  }
  process_spec spec;
  spec.argv = {"/bin/sh", "-c",
               "exec " + place_run_command(request.commands.run, request.commands.artefact,
                                           "/germline/artefact")};
  spec.cwd = genome_root(request.commands, "/workspace");
  spec.env = agent_environment(request.commands, stand_in_port, "probation");
  capture_limits limits;
  limits.stdout_bytes_max = max_output_bytes;
  limits.merge_stderr = true;
  limits.wall_ms = wall_ms;
  GERMLINE_TRY_ASSIGN(const auto run, run_captured(box->get(), std::move(spec), "", limits));
  const auto record = with_model ? model->finish() : std::string();
  if (!run.outcome.succeeded()) {
    auto why = explain_outcome(run.outcome, "the artefact", run.out.text(), "probation");
    why.reason = "probation";
    return std::optional<refusal>(std::move(why));
  }
  if (with_model) return judge_record(record);
  return std::optional<refusal>();
}

}  // namespace germline::worker
