#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"
#include "common/config/run_file.hpp"

namespace germline::cli {

void add_policy_commands(CLI::App& app, command_line& line) {
  auto* policy = app.add_subcommand("policy", "Rules against lineages that run away");
  policy->require_subcommand(1);
  policy->footer(
      "A run is given its rules at its start: `germline run --policy RULE`, or policy = [...] in\n"
      "[run] of run.toml. Each is MEASURE LIMIT ACTION, and acts when an iteration ends and the\n"
      "measure of its lineage has reached the limit, or a further multiple of it.\n\n"
      "Measures:\n"
      "  failure-streak N        iterations in a row that failed\n"
      "  barren-streak N         iterations in a row without a birth\n"
      "  no-improvement N        iterations since the one that bore the best (needs [fitness])\n"
      "  repeated-action N       iterations in a row that say that they did the same; only agents\n"
      "                          that push their context say anything\n"
      "  trespasses N            iterations refused since they changed what is protected\n"
      "  iterations-per-hour N   iterations that ended within the last hour\n"
      "  cost USD                what the lineage spent, such as $2.50\n"
      "  age TIME                since the lineage began, such as 24h\n"
      "  source-size SIZE        all files of a newborn but its context, such as 2MiB\n"
      "  source-growth X         the same, as a multiple of the seed's, such as 2 or 1.5\n"
      "  context-size SIZE       the context, such as 128KiB\n"
      "  near-duplicate PART     how much its change is like another's of the same parent: 0.9\n"
      "Actions: refuse (of near-duplicate alone: it ends as rejected, before it is built), warn, "
      "pause,\n"
      "rollback (to the parent of the head), kill, kill-clade (and all that descends from it). "
      "What was found is in `germline logs` and `germline show LINEAGE`.\n\n"
      "Examples:\n  germline policy test run_0193a 'failure-streak 3 pause' 'source-growth 2 "
      "warn'\n"
      "  germline policy test run_0193a --file run.toml");

  auto given = std::make_shared<policy_options>();
  auto* test = add_client_command(
      *policy, line, "test", "What rules would have done in a run, as it is recorded",
      "  germline policy test run_0193a                     by the run's own rules\n"
      "  germline policy test run_0193a 'no-improvement 20 kill'\n"
      "  germline policy test lin_0193a --file run.toml\n\n"
      "Nothing is changed. Each ending is judged as if nothing had been done about those before\n"
      "it; only after a kill nothing more of the lineage is told.");
  add_text(test, "TARGET", given->target, std::string("run or lineage: ") + naming, name_bytes_max)
      ->required();
  auto* rules = add_text(test, "RULE", given->rules, "default: the run's own", rule_bytes_max);
  add_text(test, "--file", given->file, "run.toml to take the rules from", path_bytes_max)
      ->excludes(rules);
  test->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_policy_test(with, *given); };
  });
}

}  // namespace germline::cli
