#include "cli/arguments/binding.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "common/text/mirrors.hpp"
#include "common/text/tags.hpp"

namespace germline::cli {

std::function<std::string(const std::string&)> said(const std::string& name,
                                                    std::size_t bytes_max) {
  return [name, bytes_max](const std::string& text) -> std::string {
    if (text.empty()) {
      return std::string("is empty; give a value") +
             (name.starts_with('-') ? ", or leave it out" : "");
    }
    if (text.size() <= bytes_max) return "";
    return "has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(bytes_max) +
           " are taken";
  };
}

void add_setting(CLI::App* command, command_line& line, const std::string& flag,
                 const std::string& key, const std::string& help) {
  command
      ->add_option_function<std::string>(
          flag, [&line, key](const std::string& value) { line.flags[key] = value; }, help)
      ->check(said(flag, path_bytes_max));
}

void add_token_settings(CLI::App* command, command_line& line) {
  auto* file = command->add_option("--token-file", line.token_file,
                                   "file with the token that brings a certificate; -: from stdin");
  file->check(said("--token-file", path_bytes_max));
  command
      ->add_option_function<std::string>(
          "--token", [&line](const std::string& value) { line.flags["worker.join_token"] = value; },
          "the token itself, which other accounts may see while this starts")
      ->check(said("--token", path_bytes_max))
      ->excludes(file);
}

void hide_tokens(int argc, char** argv) {
  constexpr std::string_view flag = "--token";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word(argv[i]);
    char* value = nullptr;
    if (word == flag && i + 1 < argc) value = argv[++i];
    if (word.starts_with("--token=")) value = argv[i] + flag.size() + 1;
    if (value != nullptr) std::fill_n(value, std::strlen(value), '*');
  }
}

result<void> take_token_file(command_line& line) {
  if (line.token_file.empty()) return {};
  const bool is_stdin = line.token_file == "-";
  std::ifstream file;
  if (!is_stdin) {
    file.open(line.token_file);
    if (!file) return errno_error("reading " + line.token_file, errno);
  }
  std::array<char, 4'096> line_of_file{};  // far longer than a token
  (is_stdin ? std::cin : file).getline(line_of_file.data(), line_of_file.size());
  std::string token(line_of_file.data());
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (token.empty()) {
    return error(error_code::invalid_argument,
                 std::string("no token is in ") +
                     (is_stdin ? "what standard input brought" : line.token_file));
  }
  line.flags["worker.join_token"] = std::move(token);
  return {};
}

CLI::Option* add_tags(CLI::App* command, const std::string& flag, std::vector<std::string>& into,
                      const std::string& help) {
  return command->add_option(flag, into, help)
      ->type_name("TAG")
      ->expected(1)
      ->take_all()
      ->check([](const std::string& tag) -> std::string {
        const auto fits = check_tag(tag);
        return fits ? "" : fits.error().message();
      });
}

void add_worker_settings(CLI::App* command, command_line& line) {
  auto tags = std::make_shared<std::vector<std::string>>();
  add_tags(command, "--tag", *tags, "what a run may require, such as gpu or zone=a; repeat it");
  auto mirrors = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("--mirror", *mirrors,
                   "where [deps] of genomes may fetch from, such as npm=https://HOST; repeat it")
      ->type_name("NAME=URL")
      ->expected(1)
      ->take_all()
      ->check([](const std::string& mirror) -> std::string {
        if (mirror.find(',') != std::string::npos) return "write --mirror once for each mirror";
        const auto fits = parse_mirrors(mirror);
        return fits ? "" : fits.error().message();
      });
  add_setting(command, line, "--mirrors-config", "worker.mirrors_config",
              "a TOML file with more about mirrors: docs/deps.md");
  // Before the command's own callback, when all are known.
  command->parse_complete_callback([&line, tags, mirrors] {
    if (!tags->empty()) line.flags["worker.tags"] = join_tags(*tags, ",");
    if (!mirrors->empty()) line.flags["worker.mirrors"] = join_tags(*mirrors, ",");
  });
}

CLI::Option* add_directories(CLI::App* command, command_line& line,
                             std::vector<std::string>& into) {
  add_setting(command, line, "--state-dir", "state_dir", "of the `up` whose transcripts are meant");
  return command
      ->add_option("--directory", into,
                   "folder of transcripts; repeat it; default: those of `up` in its state folder")
      ->type_name("DIR")
      ->expected(1)
      ->take_all()
      ->check(said("--directory", path_bytes_max));
}

CLI::App* add_command(CLI::App& app, command_line& line, const std::string& name,
                      const std::string& what, const std::string& examples) {
  auto* command = app.add_subcommand(name, what);
  if (!examples.empty()) command->footer("Examples:\n" + examples);
  command->add_flag("--json", line.json, "print JSON for programs");
  return command;
}

CLI::App* add_client_command(CLI::App& app, command_line& line, const std::string& name,
                             const std::string& what, const std::string& examples) {
  auto* command = add_command(app, line, name, what, examples);
  add_setting(command, line, "--coordinator", "coordinator",
              "where the coordinator listens: unix:/path or HOST:PORT");
  add_setting(command, line, "--tls-dir", "tls_dir", "credentials for a coordinator elsewhere");
  return command;
}

}  // namespace germline::cli
