#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"

namespace germline::cli {
namespace {

void add_replay(CLI::App& app, command_line& line) {
  auto given = std::make_shared<replay_options>();
  auto* command = add_client_command(
      app, line, "replay", "Do a run again, and see whether the same comes of it",
      "  germline replay run_0193a --follow\n"
      "  germline replay run_0193a --live     asks the models anew, for money\n\n"
      "A new run, from the same seed and with the same random seeds: as many lineages, whose\n"
      "iterations start from the same parents in the same order. Where a model was asked, the\n"
      "transcripts of the recorded attempts answer; they are on the workers that ran these, whose\n"
      "gateways write transcripts. By default each request has the answer of the recorded one\n"
      "that is most like it; times and ids in what an agent says do no harm.\n"
      "Nothing of the run may be under way. With --follow it ends as `germline compare` does.");
  add_text(command, "RUN", given->run, std::string("run: ") + naming, name_bytes_max)->required();
  auto* strict = command->add_flag("--strict", given->strict,
                                   "a request that differs from the recorded one is refused");
  command->add_flag("--live", given->live, "ask the models instead of transcripts")
      ->excludes(strict);
  command->add_flag("-f,--follow", given->follow, "wait until it is over, and compare");
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_replay(with, *given); };
  });
}

void add_compare(CLI::App& app, command_line& line) {
  struct flags {
    std::string of, with;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "compare", "Tell in what two runs differ that were to do the same",
      "  germline compare run_0193c               a replay with what it does again\n"
      "  germline compare run_0193a run_0193b\n\n"
      "Lineages by their places in the run, and their iterations one by one: parent, model,\n"
      "ending, and of what was born source and scores. Exit code 1: something differs.");
  add_text(command, "RUN", given->of, std::string("run: ") + naming, name_bytes_max)->required();
  add_text(command, "WITH", given->with, "another; default: what the first is a replay of",
           name_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) {
      return run_compare(with, given->of, given->with);
    };
  });
}

}  // namespace

void add_replay_commands(CLI::App& app, command_line& line) {
  add_replay(app, line);
  add_compare(app, line);
}

}  // namespace germline::cli
