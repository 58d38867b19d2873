#include "worker/node/sandbox_validator.hpp"

#include "common/artefact/tar.hpp"
#include "common/text/utf8.hpp"
#include "worker/node/judging.hpp"
#include "worker/validation/judge.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_reported_tests = 1'000;
constexpr std::size_t max_reported_bytes = 1 << 20;
constexpr std::size_t max_protected_bytes = 1 << 20;  // they go with each lease

void record_tests(const test_verdict& judged, bool is_protected, judgement& verdict) {
  std::size_t bytes = 0;
  for (const auto& test : judged.tests) {
    v1::TestOutcome outcome;
    outcome.set_name(valid_utf8(test.name));
    outcome.set_status(test.status);
    outcome.set_message(valid_utf8(test.message.substr(0, 1'024)));
    outcome.set_is_protected(is_protected);
    bytes += outcome.ByteSizeLong();
    if (bytes > max_reported_bytes || verdict.tests.size() >= max_reported_tests) return;
    verdict.tests.push_back(std::move(outcome));
  }
}

/// The names that each generation's report must have; none where they come to too much.
std::optional<std::vector<std::string>> names_of(const test_verdict& judged) {
  std::vector<std::string> names;
  std::size_t bytes = 0;
  for (const auto& test : judged.tests) {
    names.push_back(valid_utf8(test.name));
    bytes += names.back().size();
    if (bytes > max_protected_bytes) return std::nullopt;
  }
  return names;
}

}  // namespace

result<judgement> sandbox_validator::judge(sandbox_set& sandboxes, const judge_request& request,
                                           const phase_sink& phase) {
  judgement verdict;
  phase(v1::ITERATION_PHASE_VALIDATING, "build and tests");
  build_request build;
  build.packs = request.packs;
  build.commit = request.commit;
  build.commands = request.commands;
  build.policy = request.policy;
  GERMLINE_TRY_ASSIGN(auto left, artefacts_.make_spool());
  GERMLINE_TRY_ASSIGN(auto built, build_and_test(sandboxes, build, std::move(left)));
  verdict.cpu_ms = built.cpu_ms;
  verdict.peak_memory_bytes = built.peak_memory_bytes;
  const bool has_tests = !request.commands.test.empty();
  if (has_tests && !built.artefact_tar.empty()) {
    auto own = judge_report(built.test_report, {});
    record_tests(own, false, verdict);
    // Who reads this looks for the file where genome.toml says.
    if (built.test_report.empty()) own.reason += " at '" + request.commands.report + "'";
    if (!built.refused && !own.green) {
      built.refused = refusal{"test", own.reason};
    } else if (built.refused && built.refused->reason == "test" && !own.green) {
      built.refused->details = own.reason + "\n" + built.refused->details;
    }
  }
  if (built.refused) {
    verdict.refused = std::move(built.refused);
    return verdict;
  }

  GERMLINE_TRY_ASSIGN(const auto tar, built.artefact_tar.view());
  const auto files = artefact::read_tar(tar, request.commands.artefact, {});
  if (!files) {
    verdict.refused = refusal{"build", files.error().message()};
    return verdict;
  }
  GERMLINE_TRY_ASSIGN(verdict.artefact, artefacts_.seal(*files));
  verdict.artefact_id = verdict.artefact.id();
  GERMLINE_TRY_ASSIGN(verdict.artefact_tar, artefacts_.make_spool());
  GERMLINE_TRY(artefact::write_tar(
      *files, [&](std::string_view bytes) { return verdict.artefact_tar.append(bytes); }));
  GERMLINE_TRY_ASSIGN(const auto artefact_dir, verdict.artefact.tree_path());

  if (!request.seed_commands.protected_tests.empty()) {
    phase(v1::ITERATION_PHASE_VALIDATING, "protected tests");
    GERMLINE_TRY_ASSIGN(verdict.refused,
                        judge_protected(sandboxes, request, artefact_dir, verdict));
    if (verdict.refused) return verdict;
  }

  phase(v1::ITERATION_PHASE_PROBATION, "probation");
  probation_request probation;
  probation.packs = request.packs;
  probation.commit = request.commit;
  probation.artefact_dir = artefact_dir;
  probation.stand_in_dir = programs_dir_;
  probation.commands = request.commands;
  probation.task_json = request.task_json;
  probation.model_name = request.model_name;
  probation.policy = request.policy;
  GERMLINE_TRY_ASSIGN(verdict.refused, run_probation(sandboxes, probation));
  return verdict;
}

result<std::optional<refusal>> sandbox_validator::judge_protected(sandbox_set& sandboxes,
                                                                  const judge_request& request,
                                                                  const std::string& artefact_dir,
                                                                  judgement& verdict) {
  protected_request harness;
  harness.seed_packs = request.seed_packs;
  harness.seed_commit = request.seed_commit;
  harness.artefact_dir = artefact_dir;
  harness.commands = request.seed_commands;
  harness.policy = request.policy;
  GERMLINE_TRY_ASSIGN(auto ran, run_protected_tests(sandboxes, harness));
  if (ran.refused && ran.refused->reason == "objects") return std::move(ran.refused);  // none ran
  const auto judged = judge_report(ran.junit_xml, request.expected_tests);
  record_tests(judged, true, verdict);
  if (!judged.green) {
    auto details = "protected tests: " + judged.reason;
    if (ran.refused) details += "\n" + ran.refused->details;
    return std::optional<refusal>(refusal{"test", std::move(details)});
  }
  // A harness that reports green and then ends with an error contradicts itself.
  if (ran.refused) return std::optional<refusal>(std::move(ran.refused));
  if (request.founding) {
    auto names = names_of(judged);
    if (!names) {
      return std::optional<refusal>(
          refusal{"test", "the names of the protected tests come to more than " +
                              std::to_string(max_protected_bytes >> 20) +
                              " MiB; a test's suite or class is part of its name"});
    }
    verdict.protected_tests = std::move(*names);
  }
  return std::optional<refusal>();
}

}  // namespace germline::worker
