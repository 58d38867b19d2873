#include "cli/arguments/binding.hpp"

#include "cli/commands/archive.hpp"

namespace germline::cli {
namespace {

/// What a command without a target takes.
const std::string of_run = std::string("run or lineage, default: the newest run; ") + naming;

constexpr const char* number_help =
    "Numbers are fitness (the mean), source_bytes, context_bytes, depth, number, and what the\n"
    "evaluator tells: metrics and descriptors, by name, or as metric.NAME and descriptor.NAME.";

void add_query(CLI::App& archive, command_line& line) {
  auto given = std::make_shared<query_options>();
  auto* query = add_client_command(
      archive, line, "query", "The generations whose numbers are as said",
      std::string("  germline archive query --where 'fitness >= 2' --where 'source_bytes < 8192'\n"
                  "  germline archive query run_0193a --sort source_bytes --reverse -n 5\n"
                  "  germline archive query --show metric.smallest --json\n\n") +
          number_help);
  add_text(query, "TARGET", given->target, of_run, name_bytes_max);
  add_text(query, "--where", given->where,
           "NAME OP NUMBER, with < <= = >= or >; repeat it: all must hold", name_bytes_max)
      ->expected(1)
      ->take_all();
  add_text(query, "--sort", given->sort, "a number, the greatest first; default: by birth",
           name_bytes_max);
  query->add_flag("--reverse", given->reverse, "the least first, or the youngest");
  add_text(query, "--show", given->show, "a number to show; repeat it for more", name_bytes_max)
      ->expected(1)
      ->take_all();
  add_number<std::int64_t>(query, "-n,--count", given->count, 1, 1'000'000,
                           "how many; default: all");
  query->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_archive_query(with, *given); };
  });
}

void add_pareto(CLI::App& archive, command_line& line) {
  auto given = std::make_shared<pareto_options>();
  auto* pareto = add_client_command(
      archive, line, "pareto", "The generations that no other betters in all that counts",
      std::string("  germline archive pareto --min source_bytes\n"
                  "  germline archive pareto run_0193a --max metric.smallest --min depth\n\n"
                  "Fitness always counts, as the genome says which way; the best first.\n\n") +
          number_help);
  add_text(pareto, "TARGET", given->target, of_run, name_bytes_max);
  auto* great =
      add_text(pareto, "--max", given->great, "a number that is to be great", name_bytes_max)
          ->expected(1)
          ->take_all();
  auto* small =
      add_text(pareto, "--min", given->small, "a number that is to be small", name_bytes_max)
          ->expected(1)
          ->take_all();
  pareto->callback([&line, given, great, small] {
    if (great->count() + small->count() == 0) {
      throw CLI::ValidationError("pareto",
                                 "by fitness alone there is nothing to trade: name what "
                                 "else counts with --max or --min");
    }
    line.chosen = [given](const session& with) { return run_archive_pareto(with, *given); };
  });
}

void add_grid(CLI::App& archive, command_line& line) {
  auto given = std::make_shared<grid_options>();
  auto* cells = add_client_command(
      archive, line, "grid", "The fittest generation of each cell over two numbers",
      std::string(
          "  germline archive grid --x source_bytes --y depth\n"
          "  germline archive grid run_0193a --x descriptor.empty --y metric.largest --bins 5\n\n"
          "What MAP-Elites would keep: cells of equal width from the least to the greatest\n"
          "that there is.\n\n") +
          number_help);
  add_text(cells, "TARGET", given->target, of_run, name_bytes_max);
  add_text(cells, "--x", given->x, "the number across", name_bytes_max)->required();
  add_text(cells, "--y", given->y, "the number up", name_bytes_max)->required();
  add_number<std::int64_t>(cells, "--bins", given->bins, 1, 50, "in each direction; default: 8");
  cells->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_archive_grid(with, *given); };
  });
}

}  // namespace

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
  add_text(best, "TARGET", top->target, of_run, name_bytes_max);
  add_number<std::int64_t>(best, "-n,--count", top->count, 1, 1'000'000, "how many; default: 10");
  best->callback([&line, top] {
    line.chosen = [top](const session& with) { return run_archive_top(with, *top); };
  });

  add_query(*archive, line);
  add_pareto(*archive, line);
  add_grid(*archive, line);

  auto whole = std::make_shared<archive_options>();
  auto* everything = add_client_command(*archive, line, "export",
                                        "Every generation of a run with what was measured of it",
                                        "  germline archive export > run.jsonl\n"
                                        "  germline archive export run_0193a --format csv");
  add_text(everything, "TARGET", whole->target, of_run, name_bytes_max);
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
