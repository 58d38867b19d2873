#include "cli/arguments/binding.hpp"

#include "cli/commands/transcripts.hpp"
#include "common/config/run_file.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

using transcript_command = exit_code (*)(const session&, const transcript_options&);

/// A command on one attempt.
CLI::App* add_on_one(CLI::App& group, command_line& line, const std::string& name,
                     const std::string& what, const std::string& examples,
                     const std::shared_ptr<transcript_options>& given, transcript_command run) {
  auto* command = add_command(group, line, name, what, examples);
  add_text(command, "ATTEMPT", given->attempt,
           "its id, a unique beginning of it, or a file of a transcript", path_bytes_max)
      ->required();
  add_directories(command, line, given->directories);
  command->callback([&line, given, run] {
    line.chosen = [given, run](const session& with) { return run(with, *given); };
  });
  return command;
}

}  // namespace

void add_transcript_commands(CLI::App& app, command_line& line) {
  auto* group =
      app.add_subcommand("transcript", "What agents and models said, as gateways recorded it here");
  group->require_subcommand(1);
  group->footer(
      "Examples:\n  germline transcript list\n  germline transcript show att_0193c\n"
      "  germline transcript export att_0193c > recorded.jsonl\n\n"
      "No coordinator is asked. `germline logs --llm` finds the attempts of a run, lineage,\n"
      "generation or iteration.");

  auto listed = std::make_shared<transcript_options>();
  auto* list = add_command(*group, line, "list", "List attempts with what they asked and spent",
                           "  germline transcript list\n"
                           "  germline transcript list --directory /var/lib/transcripts --json");
  add_directories(list, line, listed->directories);
  list->callback([&line, listed] {
    line.chosen = [listed](const session& with) { return run_transcript_list(with, *listed); };
  });

  auto shown = std::make_shared<transcript_options>();
  auto* show = add_on_one(*group, line, "show", "Print what was said, of each request what is new",
                          "  germline transcript show att_0193c\n"
                          "  germline transcript show att_0193c --request 7    that one, whole\n"
                          "  germline transcript show recorded.jsonl --json",
                          shown, &run_transcript_show);
  add_number<std::int64_t>(show, "--request", shown->request, 1, 1'000'000'000,
                           "the one of this number alone, whole, and long texts whole");

  auto exported = std::make_shared<transcript_options>();
  add_on_one(*group, line, "export", "Print each request and answer whole, a line of JSON each",
             "  germline transcript export att_0193c > recorded.jsonl\n\n"
             "A gateway replays what was exported: replay = \"recorded.jsonl\" in [upstream].",
             exported, &run_transcript_export);

  auto pruned = std::make_shared<prune_options>();
  auto* prune = add_command(*group, line, "prune", "Remove transcripts that are old",
                            "  germline transcript prune --older-than 30d --dry-run\n"
                            "  germline transcript prune --older-than 30d");
  prune
      ->add_option_function<std::string>(
          "--older-than",
          [pruned](const std::string& text) {
            const auto parsed = parse_duration_ms(text);
            if (parsed) pruned->older_than_ms = *parsed;
          },
          "those that nothing was written to for so long: 12h, 30d")
      ->type_name("TIME")
      ->check([](const std::string& text) -> std::string {
        const auto parsed = parse_duration_ms(text);
        return parsed ? "" : parsed.error().message();
      })
      ->required();
  prune->add_flag("--dry-run", pruned->dry_run, "only say which would go");
  add_directories(prune, line, pruned->directories);
  prune->callback([&line, pruned] {
    line.chosen = [pruned](const session& with) { return run_transcript_prune(with, *pruned); };
  });
}

}  // namespace germline::cli
