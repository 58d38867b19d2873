#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"
#include "cli/commands/transcripts.hpp"

namespace germline::cli {
namespace {

void add_ps(CLI::App& app, command_line& line) {
  auto given = std::make_shared<ps_options>();
  auto* command =
      add_client_command(app, line, "ps", "List lineages: state, depth, what is live",
                         "  germline ps\n  germline ps --all --json\n"
                         "  germline kill $(germline ps -q)    all that is not over\n\n"
                         "Lists what is not over, paused or not, and for a day what is:\n"
                         "done, killed, retired or refused. JSON always has all.\n"
                         "With --quiet only what is not over, or with --all everything.");
  command->add_flag("-a,--all", given->all, "also what was over more than a day ago");
  command->add_flag("-q,--quiet", given->quiet, "ids only, of lineages that are not over");
  auto* workers = command->add_flag("-w,--workers", given->workers, "the workers instead");
  command
      ->add_flag(
          "--joined{1}", given->joined,
          "with --workers: exit code 1 while none is joined, or with --joined=3 fewer than 3")
      ->needs(workers);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_ps(with, *given); };
  });
}

void add_workers(CLI::App& app, command_line& line) {
  auto* command = add_client_command(
      app, line, "workers", "List workers: slots, tags, who is cordoned, when seen last",
      "  germline workers\n  germline workers --json\n\n"
      "Those that are away are listed too, as long as the record knows them.");
  command->callback([&line] { line.chosen = &run_workers; });
}

void add_tree(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "tree", "Show a run's generations and iterations, how each ended and why",
      "  germline tree            the newest run\n  germline tree run_0193a");
  add_text(command, "TARGET", *target, std::string("run or lineage: ") + naming, name_bytes_max);
  command->callback([&line, target] {
    line.chosen = [target](const session& with) { return run_tree(with, *target); };
  });
}

void add_watch(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "watch", "Draw what goes on, and who works, again each second",
      "  germline watch            runs and workers\n  germline watch run_0193a  its tree\n\n"
      "Needs a terminal; Ctrl-C ends.");
  add_text(command, "TARGET", *target, std::string("run or lineage: ") + naming, name_bytes_max);
  command->callback([&line, target] {
    line.chosen = [target](const session& with) { return run_watch(with, *target); };
  });
}

void add_show(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "show", "Show all about a run, lineage, generation, iteration or attempt",
      "  germline show lin_0193a\n  germline show itm_0193b --json");
  add_text(command, "ID", *target, std::string("what to show: ") + naming, name_bytes_max)
      ->required();
  command->callback([&line, target] {
    line.chosen = [target](const session& with) { return run_show(with, *target); };
  });
}

void add_logs(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  auto llm = std::make_shared<bool>(false);
  auto directories = std::make_shared<std::vector<std::string>>();
  auto* command = add_client_command(
      app, line, "logs", "Print what happened to a run, lineage, iteration or attempt",
      "  germline logs run_0193a\n  germline logs -f lin_0193a\n"
      "  germline logs --json itm_0193b    one JSON object a line\n"
      "  germline logs --llm gen_0193b     what its agent and the model said to each other");
  add_text(command, "ID", *target, std::string("what to follow: ") + naming, name_bytes_max)
      ->required();
  auto* following = command->add_flag("-f,--follow", *follow, "go on as more happens; Ctrl-C ends");
  auto* said = command
                   ->add_flag("--llm", *llm,
                              "instead the transcripts that lie on this machine; also of a "
                              "generation")
                   ->excludes(following);
  add_directories(command, line, *directories)->needs(said);
  command->callback([&line, target, follow, llm, directories] {
    line.chosen = [target, follow, llm, directories](const session& with) {
      return *llm ? run_llm_logs(with, *target, *directories) : run_logs(with, *target, *follow);
    };
  });
}

void add_diff(CLI::App& app, command_line& line) {
  auto targets = std::make_shared<std::vector<std::string>>();
  auto* command = add_client_command(
      app, line, "diff", "Show what changed in the source between two generations or iterations",
      "  germline diff gen_0193b              against its parent\n"
      "  germline diff gen_0193a gen_0193b\n  germline diff gen_0193b | git apply");
  add_text(command, "ID", *targets,
           "[FROM] TO: generations, or iterations that left a commit; id or unique beginning",
           name_bytes_max)
      ->required()
      ->expected(1, 2);
  command->callback([&line, targets] {
    line.chosen = [targets](const session& with) {
      return targets->size() == 1 ? run_diff(with, "", targets->at(0))
                                  : run_diff(with, targets->at(0), targets->at(1));
    };
  });
}

void add_promote(CLI::App& app, command_line& line) {
  auto given = std::make_shared<promote_options>();
  auto* command = add_client_command(
      app, line, "promote", "Bring a generation home, as a branch of your own repository",
      "  germline promote lin_0193a                      its newest generation\n"
      "  germline promote gen_0193b --branch evolved\n"
      "  germline promote gen_0193b --repository ~/agent --branch main");
  add_text(command, "ID", given->target,
           "generation; or lineage, or run that has one, for its newest; id or unique beginning",
           name_bytes_max)
      ->required();
  add_text(command, "--repository", given->repository,
           "where to; default: the repository that the run was started from", path_bytes_max);
  add_text(command, "--branch", given->branch,
           "default: germline/ID. One that is there is moved forward only, and never where it is "
           "checked out",
           branch_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_promote(with, *given); };
  });
}

}  // namespace

void add_reading_commands(CLI::App& app, command_line& line) {
  add_ps(app, line);
  add_workers(app, line);
  add_tree(app, line);
  add_watch(app, line);
  add_show(app, line);
  add_logs(app, line);
  add_diff(app, line);
  add_promote(app, line);
}

}  // namespace germline::cli
