#include "worker/node/building.hpp"

#include <algorithm>

#include "sandbox/run.hpp"
#include "worker/node/sandbox_git.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_output_bytes = 64 * 1024;
constexpr std::size_t max_artefact_bytes = 512 << 20;
constexpr std::size_t max_report_bytes = 4 << 20;
constexpr std::size_t max_details_bytes = 12 * 1024;

/// The end of a text is where compilers and tests say what went wrong.
std::string tail_of(const std::string& text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  return "[...]\n" + text.substr(text.size() - max_bytes);
}

process_spec shell_spec(const std::string& command, const std::string& cwd) {
  process_spec spec;
  spec.argv = {"/bin/sh", "-c", command};
  spec.cwd = cwd;
  spec.env = {"LC_ALL=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1"};
  return spec;
}

std::int64_t left_ms(live_sandbox& box, const clock& time) {
  return std::max<std::int64_t>(1, box.wall_until_boot_ms() - time.boot_ms());
}

result<captured_run> run_shell(live_sandbox& box, const clock& time, const std::string& command,
                               const std::string& cwd) {
  capture_limits limits;
  limits.stdout_bytes_max = max_output_bytes;
  limits.merge_stderr = true;  // compilers differ in which of the two they write to
  limits.wall_ms = left_ms(box, time);
  return run_captured(box.get(), shell_spec(command, cwd), "", limits);
}

/// Reads the artefact as a tar stream. Nothing of the genome has run since the build ended: what
/// the build left running is killed first.
result<captured_run> read_artefact(live_sandbox& box, const clock& time,
                                   const build_request& request, const std::string& root,
                                   spool& into) {
  process_spec spec;
  spec.argv = {"tar",
               "--format=ustar",
               "--sort=name",
               "--owner=0",
               "--group=0",
               "--mtime=@0",
               "--hard-dereference",
               "-C",
               root,
               "-cf",
               "-",
               "--"};
  for (const auto& path : request.commands.artefact) spec.argv.push_back(path);
  spec.cwd = "/";
  spec.alone = true;
  capture_limits limits;
  limits.stdout_bytes_max = max_artefact_bytes;
  limits.stdout_to = &into;
  limits.wall_ms = left_ms(box, time);
  return run_captured(box.get(), std::move(spec), "", limits);
}

/// Which of the paths tar says that it does not find; empty where it says no such thing.
std::string missing_of(const std::vector<std::string>& paths, const std::string& said) {
  std::string missing;
  for (const auto& path : paths) {
    if (said.find("tar: " + path + ": Cannot stat: No such file") == std::string::npos) continue;
    missing += (missing.empty() ? "'" : ", '") + path + "'";
  }
  return missing;
}

/// The report's bytes; empty where there is none that can be read.
result<std::string> read_report(live_sandbox& box, const clock& time, const std::string& path) {
  process_spec spec;
  spec.argv = {"cat", "--", path};
  spec.cwd = "/";
  spec.alone = true;
  capture_limits limits;
  limits.stdout_bytes_max = max_report_bytes;
  limits.wall_ms = left_ms(box, time);
  GERMLINE_TRY_ASSIGN(auto read, run_captured(box.get(), std::move(spec), "", limits));
  if (!read.outcome.succeeded() || !read.out.complete()) return std::string();
  return std::move(read.out.head);
}

}  // namespace

result<refusal> explain_end(const error& why, live_sandbox& box, const clock& time,
                            const std::string& doing) {
  constexpr std::int64_t early_ms = 250;  // the supervisor's clock is read at another moment
  if (time.boot_ms() + early_ms < box.wall_until_boot_ms()) return why.within(doing);
  return refusal{"time", doing + " was under way, or not begun, when the sandbox's time was up"};
}

refusal explain_outcome(const process_outcome& outcome, const std::string& doing,
                        const std::string& output, const std::string& otherwise) {
  refusal why;
  const auto wall = std::to_string(outcome.wall_ms) + " ms";
  switch (outcome.kind) {
    case outcome_kind::timed_out:
      why = {"time", doing + " was ended at its time limit after " + wall};
      break;
    case outcome_kind::out_of_memory:
      why = {"memory", doing + " went past its memory limit"};
      break;
    case outcome_kind::violation:
      why = {otherwise, doing + " made a system call that is not allowed: " + outcome.detail};
      break;
    case outcome_kind::signalled:
      why = {otherwise, doing + " died of signal " + std::to_string(outcome.code)};
      break;
    case outcome_kind::exited:
      why = {otherwise, doing + " ended with exit code " + std::to_string(outcome.code)};
      break;
    case outcome_kind::setup_error:
      why = {otherwise, doing + " could not be started: " + outcome.detail};
      break;
    case outcome_kind::killed:
      why = {"killed", doing + " was killed"};
      break;
  }
  if (!output.empty()) why.details += "\n" + tail_of(output, max_details_bytes);
  return why;
}

refusal explain_agent(const process_outcome& outcome, const model_obstacle& obstacle,
                      const std::string& output) {
  auto why = explain_outcome(outcome, "the agent", output, "crash");
  const bool by_itself =
      outcome.kind == outcome_kind::exited || outcome.kind == outcome_kind::signalled;
  if (!by_itself || obstacle.kind == obstacle_kind::none) return why;
  why.reason = to_string(obstacle.kind);
  why.details = explain_obstacle(obstacle) + "\n" + why.details;
  return why;
}

std::string explain_obstacle(const model_obstacle& obstacle) {
  std::string what = "the model was not asked: ";
  if (obstacle.kind == obstacle_kind::upstream)
    what = "the model gave no answer that could be used: ";
  // Maybe after others that were answered.
  if (obstacle.kind == obstacle_kind::budget) what = "a request to the model was refused: ";
  if (obstacle.kind == obstacle_kind::difference) {
    what = "the model was asked something else than was recorded: ";
  }
  return what + obstacle.why;
}

result<refusal> explain_clone(const error& why) {
  if (why.code() != error_code::resource_exhausted) return why;
  return refusal{"objects", "the commit does not fit into a sandbox's memory and space: " +
                                tail_of(why.message(), max_details_bytes)};
}

result<build_report> build_and_test(sandbox_set& sandboxes, const build_request& request,
                                    spool artefact_to) {
  auto policy = request.policy;
  policy.scratch.push_back({"/srv", uid_role::agent, 256 << 20});
  GERMLINE_TRY_ASSIGN(auto box, sandboxes.open(std::move(policy)));
  clone_request clone;
  clone.packs = request.packs;
  clone.commit = request.commit;
  build_report report;
  if (const auto laid = lay_out_clone(box->get(), clone); !laid) {
    GERMLINE_TRY_ASSIGN(report.refused, explain_clone(laid.error()));
    return report;
  }

  const auto root = genome_root(request.commands, "/workspace");
  const auto& time = sandboxes.time();
  if (!request.commands.build.empty()) {
    const auto doing = "the build command `" + request.commands.build + "`";
    const auto built = run_shell(*box, time, request.commands.build, root);
    if (!built) {
      GERMLINE_TRY_ASSIGN(report.refused, explain_end(built.error(), *box, time, doing));
      return report;
    }
    if (!built->outcome.succeeded()) {
      report.refused = explain_outcome(built->outcome, doing, built->out.text(), "build");
      return report;
    }
  }
  const std::string reading = "reading the artefact that the build left";
  auto artefact = read_artefact(*box, time, request, root, artefact_to);
  if (!artefact) {
    GERMLINE_TRY_ASSIGN(report.refused, explain_end(artefact.error(), *box, time, reading));
    return report;
  }
  if (!artefact->out.complete()) {
    report.refused = refusal{"build", "the build left an artefact of more than " +
                                          std::to_string(max_artefact_bytes >> 20) + " MiB"};
    return report;
  }
  if (!artefact->outcome.succeeded()) {
    report.refused = explain_outcome(artefact->outcome, reading, artefact->err.text(), "build");
    if (const auto missing = missing_of(request.commands.artefact, artefact->err.text());
        !missing.empty()) {
      report.refused->details =
          "the build left no " + missing + ", which `artefact` in genome.toml lists";
    }
    return report;
  }
  report.artefact_tar = std::move(artefact_to);

  if (!request.commands.test.empty()) {
    const auto doing = "the test command `" + request.commands.test + "`";
    const auto tested = run_shell(*box, time, request.commands.test, root);
    if (!tested) {
      GERMLINE_TRY_ASSIGN(report.refused, explain_end(tested.error(), *box, time, doing));
      return report;
    }
    if (!tested->outcome.succeeded()) {
      report.refused = explain_outcome(tested->outcome, doing, tested->out.text(), "test");
    }
    // Tests whose time was up have taken the sandbox's with them.
    if (!request.commands.report.empty() && tested->outcome.kind != outcome_kind::timed_out) {
      auto read = read_report(*box, time, root + "/" + request.commands.report);
      if (!read) {
        const auto late = explain_end(read.error(), *box, time, "reading the test report");
        if (!late) return late.error();
        if (!report.refused) report.refused = *late;
        return report;
      }
      report.test_report = std::move(*read);
    }
  }
  if (const auto usage = box->get().read_usage()) {
    report.cpu_ms = usage->cpu_ms;
    report.peak_memory_bytes = usage->peak_memory_bytes;
  }
  return report;
}

}  // namespace germline::worker
