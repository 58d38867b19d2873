// help: how `--help` is laid out: whatever is long goes on beneath itself within the width of the
// terminal. What it says is with the commands: arguments.cpp. Pure; any thread.
#pragma once

#include <CLI/CLI.hpp>

namespace germline::cli {

class help_formatter : public CLI::Formatter {
 public:
  explicit help_formatter(int columns) : columns_(columns) {}

  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_usage(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_description(const CLI::App* app) const override;
  std::string make_footer(const CLI::App* app) const override;

 private:
  std::string row(const std::string& name, const std::string& what) const;
  std::string flowed(const std::string& text) const;

  int columns_;
};

}  // namespace germline::cli
