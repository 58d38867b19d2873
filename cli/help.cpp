#include "cli/help.hpp"

#include <algorithm>

#include "cli/render/style.hpp"

namespace germline::cli {
namespace {

std::string broken(const std::string& text, int columns, std::size_t margin) {
  return indented(style{.terminal = true, .columns = columns}, text, margin);
}

}  // namespace

std::string help_formatter::row(const std::string& name, const std::string& what) const {
  const auto column = std::min<std::size_t>(get_column_width(), 26);
  auto left = "  " + name;
  if (what.empty()) return left + "\n";
  const auto right = broken(what, columns_, column);
  if (left.size() + 1 > column) return left + "\n" + right;
  return left + right.substr(left.size());
}

std::string help_formatter::make_option(const CLI::Option* option, bool is_positional) const {
  return row(make_option_name(option, is_positional) + make_option_opts(option),
             make_option_desc(option));
}

std::string help_formatter::make_option_usage(const CLI::Option* option) const {
  auto name = make_option_name(option, true);
  if (option->get_expected_max() > 1) name += "...";
  return option->get_required() ? name : "[" + name + "]";
}

std::string help_formatter::make_subcommand(const CLI::App* command) const {
  return row(command->get_name(), command->get_description());
}

std::string help_formatter::make_description(const CLI::App* app) const {
  return flowed(app->get_description());
}

std::string help_formatter::make_footer(const CLI::App* app) const {
  return app->get_footer().empty() ? "" : "\n" + flowed(app->get_footer());
}

/// Lines that follow each other are one paragraph; what is indented, and what ends with a colon,
/// keeps its own lines.
std::string help_formatter::flowed(const std::string& text) const {
  std::string out;
  std::string paragraph;
  const auto flush = [&] {
    out += broken(paragraph, columns_, 0);
    paragraph.clear();
  };
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || line.starts_with(' ')) {
      flush();
      const auto words = line.substr(std::min(line.find_first_not_of(' '), line.size()));
      auto shown = broken(std::string(words), columns_, 4);
      out += line.empty() ? "\n" : "  " + shown.substr(4);
      continue;
    }
    paragraph += (paragraph.empty() ? "" : " ") + std::string(line);
    if (line.ends_with(':')) flush();
  }
  flush();
  return out;
}

}  // namespace germline::cli
