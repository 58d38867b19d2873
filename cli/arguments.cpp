#include "cli/arguments.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <sstream>

#include "cli/arguments/binding.hpp"
#include "cli/client.hpp"
#include "cli/help.hpp"
#include "cli/version.hpp"
#include "common/text/units.hpp"
#include "common/text/utf8.hpp"

namespace germline::cli {
namespace {

int refuse(const std::string& why) {
  std::cerr << indented(style_of(STDERR_FILENO), "germline: " + safe_line(why), 0);
  return static_cast<int>(exit_code::usage);
}

/// Of words that nothing takes the first flag; where there is none the first word.
std::string unexpected(const CLI::App& app, const CLI::App& command) {
  const auto words = app.remaining(true);
  const auto flag = std::find_if(words.begin(), words.end(),
                                 [](const auto& word) { return word.starts_with("-"); });
  if (flag == words.end()) {
    return words.empty() ? "a word is one too many"
                         : "'" + words.front() + "' is one word too many";
  }
  const auto name = flag->substr(0, flag->find('='));
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& known : option->get_lnames()) names.push_back("--" + known);
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto nearest = nearest_key(name, known);
  if (nearest && *nearest == name) return "the flag '" + name + "' is said behind the command";
  return "unknown flag '" + name + "'" +
         (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "");
}

/// What CLI11 found wrong, in the form of all other messages, and where to read on.
int refuse(const CLI::App& app, const CLI::ParseError& wrong) {
  std::string command = "germline";
  const auto* last = &app;
  for (const auto* chosen : app.get_subcommands()) {
    command += " " + chosen->get_name();
    last = chosen;
    for (const auto* within : chosen->get_subcommands()) {
      command += " " + within->get_name();
      last = within;
    }
  }
  const bool extra = dynamic_cast<const CLI::ExtrasError*>(&wrong) != nullptr;
  return refuse((extra ? unexpected(app, *last) : std::string(wrong.what())) + " (see `" + command +
                " --help`)");
}

/// The first word where it names no command; none where it does, or is a flag.
std::optional<std::string> unknown_command(const CLI::App& app, const std::vector<char*>& words) {
  if (words.size() < 2 || words[1][0] == '-') return std::nullopt;
  for (const auto* known : app.get_subcommands({})) {
    if (known->get_name() == words[1]) return std::nullopt;
  }
  return words[1];
}

int refuse_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const auto* known : app.get_subcommands({})) names.push_back(known->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto nearest = nearest_key(word, known);
  return refuse("unknown command '" + word + "'" +
                (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "") +
                " (see `germline --help`)");
}

/// What was asked for is only done when its output has arrived.
int conclude(int code, int output_errno) {
  if (output_errno == 0) return code;
  std::cerr << "germline: writing standard output: " << std::strerror(output_errno) << '\n';
  return code == 0 ? static_cast<int>(exit_code::failed) : code;
}

/// All of it is sent as text to the coordinator, or shown: nothing has a use for other bytes.
bool is_text(std::string_view word) {
  return valid_utf8(word) == word;
}

int run_chosen(command_line& line) {
  keep_grpc_quiet();
  session with;
  with.json = line.json;
  with.how = style_of(STDOUT_FILENO);
  with.errors = style_of(STDERR_FILENO);
  const system_clock_source time;
  with.time = &time;
  if (const auto taken = take_token_file(line); !taken) {
    return static_cast<int>(with.fail(taken.error()));
  }
  auto sources = process_config_sources();
  if (!sources) return static_cast<int>(with.fail(sources.error()));
  sources->flags = line.flags;
  auto settings = config::load(*sources);
  if (!settings) return static_cast<int>(with.fail(settings.error()));
  with.settings = std::move(*settings);
  const auto code = static_cast<int>(line.chosen(with));
  return conclude(code, with.output_errno);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app(
      "Germline evolves agents that rewrite their own source, generation after generation.\n"
      "A genome (an agent's source in git) is run in a sandbox, changes itself, and what passes\n"
      "its tests becomes the next generation.");
  app.name("germline");
  const auto terminal = style_of(STDOUT_FILENO);
  app.formatter(std::make_shared<help_formatter>(std::min(terminal.columns, 100)));
  app.require_subcommand(0, 1);  // that there is one is checked below, with a better message
  app.set_version_flag("--version", "germline " + std::string(version));
  app.footer(
      "Runs, lineages and the rest are named by id or a unique beginning of it, runs by name "
      "too.\nWhere several runs have that name, the ids of all are listed.\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unreachable, 5 refused,\n"
      "6 killed without proof.\n"
      "`germline COMMAND --help` shows a command's flags and examples.");
  command_line line;
  add_services(app, line);
  add_gateway(app, line);
  add_starting_commands(app, line);
  add_reading_commands(app, line);
  add_transcript_commands(app, line);
  add_archive_commands(app, line);
  add_steering_commands(app, line);
  add_policy_commands(app, line);
  add_replay_commands(app, line);
  add_certificate_commands(app, line);
  add_machine(app, line);
  for (int i = 1; i < argc; ++i) {
    if (!is_text(argv[i]))
      return refuse("argument " + std::to_string(i) + ", '" + argv[i] + "', is not UTF-8");
  }
  // `germline help COMMAND`, as others' tools have it.
  std::vector<char*> words(argv, argv + argc);
  std::string asks_help = "--help";
  if (argc > 1 && argv[1] == std::string_view("help")) {
    words.erase(words.begin() + 1);
    words.push_back(asks_help.data());
  }
  if (const auto word = unknown_command(app, words)) return refuse_command(app, *word);
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& stopped) {
    // Help and version end well; all else is usage. CLI11 has codes of its own for each.
    if (stopped.get_exit_code() == 0) {
      std::ostringstream text;
      const int code = app.exit(stopped, text, std::cerr);
      const session with;
      with.data(text.str());
      return conclude(code, with.output_errno);
    }
    return refuse(app, stopped);
  }
  hide_tokens(argc, argv);
  if (!line.chosen) {
    std::cerr << app.help();
    return static_cast<int>(exit_code::usage);
  }
  return run_chosen(line);
}

}  // namespace germline::cli
