#include "cli/arguments/binding.hpp"

#include "cli/commands/archive.hpp"

namespace germline::cli {

void add_archive_commands(CLI::App& app, command_line& line) {
  auto* archive = app.add_subcommand("archive", "A run's generations by their fitness");
  archive->require_subcommand(1);
  archive->footer(
      "A genome whose genome.toml has [fitness] has every generation measured, each as often as "
      "it\n"
      "says; see docs/genome.md.\n\n"
      "Examples:\n  germline archive top\n  germline archive export --format csv > run.csv");

  auto top = std::make_shared<archive_options>();
  auto* best = add_client_command(
      *archive, line, "top", "The generations with the best fitness, the best one first",
      "  germline archive top                the newest run\n"
      "  germline archive top run_0193a -n 3\n\n"
      "Ranked by the cautious end of the 95 % confidence interval: of two that seem alike, the "
      "one\n"
      "that was measured better stands first. What has no score yet is left out.");
  add_text(best, "TARGET", top->target, std::string("run or lineage: ") + naming, name_bytes_max);
  add_number<std::int64_t>(best, "-n,--count", top->count, 1, 1'000'000, "how many; default: 10");
  best->callback([&line, top] {
    line.chosen = [top](const session& with) { return run_archive_top(with, *top); };
  });

  auto whole = std::make_shared<archive_options>();
  auto* everything = add_client_command(*archive, line, "export",
                                        "Every generation of a run with what was measured of it",
                                        "  germline archive export > run.jsonl\n"
                                        "  germline archive export run_0193a --format csv");
  add_text(everything, "TARGET", whole->target, std::string("run or lineage: ") + naming,
           name_bytes_max);
  everything
      ->add_option("--format", whole->format,
                   "jsonl, the default: a generation with its evaluations as JSON, one a line; or "
                   "csv: a row each, without single evaluations")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  everything->callback([&line, whole] {
    line.chosen = [whole](const session& with) { return run_archive_export(with, *whole); };
  });
}

}  // namespace germline::cli
