// binding: how the flags of a command become its options. One function for each group of commands
// adds them to the application; what is chosen is run after parsing. The library's exceptions are
// for arguments.cpp alone. Main thread only.
#pragma once

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "common/config/run_file.hpp"

namespace germline::cli {

/// What is filled while parsing, and the command that was chosen.
struct command_line {
  std::map<std::string, std::string> flags;  // settings that flags override, by key
  std::string token_file;                    // with the setting worker.join_token; "-": stdin
  bool json = false;
  std::function<exit_code(const session&)> chosen;
};

inline constexpr std::size_t path_bytes_max = 4'095;
inline constexpr std::size_t why_bytes_max = 4 * 1024;

/// How people name what the coordinator knows.
inline constexpr const char* naming = "by id, a unique beginning of it, or a run's name";

/// Refuses an empty word, and one of more bytes. An empty one is what a script's unset variable
/// leaves, and no wish for a default.
std::function<std::string(const std::string&)> said(const std::string& name, std::size_t bytes_max);

/// `--flag TEXT`, or a word by its place.
template <class Text>
CLI::Option* add_text(CLI::App* command, const std::string& name, Text& into,
                      const std::string& help, std::size_t bytes_max) {
  return command->add_option(name, into, help)->check(said(name, bytes_max));
}

/// `--flag NUMBER`, or a number by its place: decimal digits only, from `lowest` to `highest`.
template <class Number>
CLI::Option* add_number(CLI::App* command, const std::string& flag, std::optional<Number>& into,
                        Number lowest, Number highest, const std::string& help) {
  return command->add_option_function<std::string>(
      flag,
      [flag, &into, lowest, highest](const std::string& text) {
        Number number = 0;
        const auto* const end = text.data() + text.size();
        const auto [at, failed] = std::from_chars(text.data(), end, number);
        if (failed != std::errc() || at != end || number < lowest || number > highest) {
          throw CLI::ValidationError(flag, "'" + text + "' is no whole number from " +
                                               std::to_string(lowest) + " to " +
                                               std::to_string(highest));
        }
        into = number;
      },
      help);
}

/// `--flag` that overrides a setting.
void add_setting(CLI::App* command, command_line& line, const std::string& flag,
                 const std::string& key, const std::string& help);

/// `--token-file FILE` and `--token TEXT`: the join token.
void add_token_settings(CLI::App* command, command_line& line);
/// Takes the values of `--token` out of the list of processes.
void hide_tokens(int argc, char** argv);
/// What the file named by `--token-file` has, into the flags. Reads standard input for "-".
result<void> take_token_file(command_line& line);

/// `--tag TAG` and `--mirror NAME=URL`, any number of times, and `--mirrors-config FILE`: what a
/// worker has.
void add_worker_settings(CLI::App* command, command_line& line);

/// `--require TAG`, any number of times, checked.
CLI::Option* add_tags(CLI::App* command, const std::string& flag, std::vector<std::string>& into,
                      const std::string& help);

/// `--directory DIR`, any number of times: where transcripts are; and `--state-dir`.
CLI::Option* add_directories(CLI::App* command, command_line& line, std::vector<std::string>& into);

CLI::App* add_command(CLI::App& app, command_line& line, const std::string& name,
                      const std::string& what, const std::string& examples);
/// A command that asks the coordinator.
CLI::App* add_client_command(CLI::App& app, command_line& line, const std::string& name,
                             const std::string& what, const std::string& examples);

// The groups, in the order of the help.
void add_services(CLI::App& app, command_line& line);
void add_gateway(CLI::App& app, command_line& line);
void add_starting_commands(CLI::App& app, command_line& line);
void add_reading_commands(CLI::App& app, command_line& line);
void add_transcript_commands(CLI::App& app, command_line& line);
void add_archive_commands(CLI::App& app, command_line& line);
void add_steering_commands(CLI::App& app, command_line& line);
void add_policy_commands(CLI::App& app, command_line& line);
void add_replay_commands(CLI::App& app, command_line& line);
void add_certificate_commands(CLI::App& app, command_line& line);
void add_machine(CLI::App& app, command_line& line);

}  // namespace germline::cli
