#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"
#include "common/config/run_file.hpp"

namespace germline::cli {
namespace {

void add_run(CLI::App& app, command_line& line) {
  auto given = std::make_shared<run_options>();
  auto* command = add_client_command(
      app, line, "run", "Found a run from a repository and let its lineages evolve",
      "  germline run ./agent --iterations 4 --follow\n"
      "  germline run ./agent --goal 'learn to search files' --model NAME --budget '$5'\n"
      "  germline run --file run.toml --lineages 3\n"
      "  germline run ./packing --lineages 4 --strategy archive-sampling,form=median\n\n"
      "The branch is read as it is committed; your repository is never written. Ctrl-C ends\n"
      "--follow, not the run. It ends with 1 where the seed was refused; with 0 else, also where "
      "a\n"
      "lineage was paused or killed, and says why. Flags win over the file. A --strategy but "
      "chain\n"
      "lets a lineage go on from any generation of the run that is measured: best, "
      "archive-sampling,\n"
      "clade-thompson, islands, pareto, random, seed (docs/cli.md).");
  add_text(command, "REPO", given->repository, "folder of a git repository; default: this one",
           path_bytes_max);
  add_text(command, "--file", given->file, "run.toml to take what is not said here from",
           path_bytes_max);
  add_text(command, "--name", given->name, "for people; default: the repository's folder",
           name_bytes_max);
  add_text(command, "--branch", given->branch, "default: the repository's HEAD", branch_bytes_max);
  add_text(command, "--folder", given->folder, "of the genome in the repository; default: root",
           path_bytes_max);
  add_number<std::int64_t>(command, "--lineages", given->lineages, 1, lineages_max,
                           "lines of descent, default 1");
  add_number<std::int64_t>(command, "--iterations", given->iterations, 0, iterations_max,
                           "of each lineage; default and 0: no end but budget and person");
  add_number<std::int64_t>(command, "--priority", given->priority, -priority_max, priority_max,
                           "of runs that wait for slots, the highest has those that come free; "
                           "default 0");
  add_number<std::int64_t>(command, "--weight", given->weight, 1, weight_max,
                           "at the same priority slot time is in proportion to it; default 1");
  add_text(command, "--strategy", given->strategy,
           "how each iteration's parent is chosen: NAME[,KEY=VALUE...]; default: chain, its "
           "lineage's own newest generation",
           std::string::npos);  // its bound and form are told where they are checked
  add_number<std::int64_t>(command, "--inspirations", given->inspirations, 0, shown_max,
                           "other generations that each iteration is shown, to merge what is good "
                           "of them; default 0");
  add_text(
      command, "--model", given->models,
      "as the upstream knows it; needs --budget. Repeat it for several: each iteration has the "
      "one that is chosen, by improvement per dollar",
      name_bytes_max)
      ->expected(1)
      ->take_all();
  add_text(command, "--choose-model", given->model_choice,
           "how, of several: ucb1 or thompson; default ucb1", name_bytes_max);
  add_text(command, "--budget", given->budget, "dollars for the whole run: '$5', 0.50",
           name_bytes_max);
  add_text(
      command, "--evaluation-budget", given->evaluation_budget,
      "dollars that each evaluation may cost, of that; needed where the genome's [fitness] has "
      "a model",
      name_bytes_max);
  add_text(command, "--lineage-budget", given->lineage_budget,
           "dollars that each lineage may spend, of that; default: no bound of its own",
           name_bytes_max);
  add_text(command, "--token-budget", given->token_budget,
           "tokens for the whole run, all input and output: 50M, 500k; default: no bound",
           name_bytes_max);
  add_text(command, "--request-budget", given->request_budget,
           "requests for the whole run: 2000, 10k; default: no bound", name_bytes_max);
  add_text(command, "--lineage-token-budget", given->lineage_token_budget,
           "tokens of each lineage; default: no bound of its own", name_bytes_max);
  add_text(command, "--lineage-request-budget", given->lineage_request_budget,
           "requests of each lineage; default: no bound of its own", name_bytes_max);
  add_text(command, "--evaluation-token-budget", given->evaluation_token_budget,
           "tokens of each evaluation; needed where candidates have a model and the run or its "
           "lineages a token budget",
           name_bytes_max);
  add_text(command, "--evaluation-request-budget", given->evaluation_request_budget,
           "requests of each evaluation; needed likewise", name_bytes_max);
  add_text(command, "--held-out", given->held_out,
           "folder with files that evaluators alone see, in $GERMLINE_HELD_OUT: at most 16 MiB and "
           "1,000 files",
           path_bytes_max);
  add_text(command, "--goal", given->goal, "what to aim at; default: the agent's own choice",
           std::string::npos);  // its bound, and what to do instead, is told where it is checked
  add_number<std::uint64_t>(command, "--random-seed", given->random_seed, 0, random_seed_max,
                            "makes choices repeatable");
  add_tags(command, "--require", given->require,
           "lease it to workers with this tag alone; repeat it for more");
  add_text(command, "--policy", given->policy,
           "RULE against runaways: MEASURE LIMIT ACTION, such as 'failure-streak 3 pause'; repeat "
           "it for more (see `germline policy --help`)",
           rule_bytes_max)
      ->expected(1)
      ->take_all();
  auto* imports =
      add_text(command, "--import", given->imports,
               "FILE of `germline archive export`, or a run: its best generations are tried first, "
               "each as one iteration from the seed",
               path_bytes_max);
  add_number<std::int64_t>(command, "--import-count", given->import_count, 1, imports_max,
                           "how many of them; default 8")
      ->needs(imports);
  auto* follow = command->add_flag("-f,--follow", given->follow,
                                   "print progress until every lineage is paused, killed or "
                                   "retired");
  command
      ->add_flag("--dry-run", given->dry_run,
                 "check all, print the plan with the most that it can cost, and start nothing")
      ->excludes(follow);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_run(with, *given); };
  });
}

void add_init(CLI::App& app, command_line& line) {
  auto given = std::make_shared<init_options>();
  auto* command =
      add_command(app, line, "init", "Make a git repository from a genome that Germline ships",
                  "  germline init ./agent\n  germline init ./tiny --from two-second");
  add_text(command, "DIR", given->folder, "new or empty folder", path_bytes_max)->required();
  add_text(command, "--from", given->from,
           "builtin, circle-packing, claude-code, codex, foreign, opencode, pi, task-solver or "
           "two-second; default builtin",
           name_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_init(with, *given); };
  });
}

}  // namespace

void add_starting_commands(CLI::App& app, command_line& line) {
  add_init(app, line);
  add_run(app, line);
}

}  // namespace germline::cli
