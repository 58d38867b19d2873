#include "failure_summary.hpp"

#include <string_view>

#include "bounded_output.hpp"

namespace agent {
namespace {

constexpr int max_names = 5;
constexpr std::size_t max_name_bytes = 120;

// The line that begins at `at`, which moves behind it.
std::string_view next_line(std::string_view text, std::size_t& at) {
  const auto end = text.find('\n', at);
  const auto line = text.substr(at, end == text.npos ? end : end - at);
  at = end == text.npos ? text.size() : end + 1;
  return line;
}

// "\t 34 - what it does (Failed)" to "what it does"; "" for any other line.
std::string_view failed_name(std::string_view line) {
  const auto number = line.find_first_not_of(" \t");
  if (number == 0 || number == line.npos) return {};
  const auto behind = line.find_first_not_of("0123456789", number);
  if (behind == number || behind == line.npos) return {};
  if (!line.substr(behind).starts_with(" - ")) return {};
  const auto name = line.substr(behind + 3);
  return name.substr(0, name.rfind(" ("));
}

std::string failed_tests(std::string_view output) {
  constexpr std::string_view title = "The following tests FAILED:\n";
  auto at = output.rfind(title);
  if (at == output.npos) return {};
  at += title.size();
  std::string names;
  int count = 0;
  for (auto name = failed_name(next_line(output, at)); !name.empty();
       name = failed_name(next_line(output, at))) {
    if (++count > max_names) continue;
    names += (count > 1 ? "; " : "") + bounded(name, max_name_bytes, 0);
  }
  if (count > max_names) names += "; and " + std::to_string(count - max_names) + " more";
  return names;
}

}  // namespace

std::string failure_summary(const std::string& output) {
  auto names = failed_tests(output);
  if (!names.empty()) return names;
  for (std::size_t at = 0; at < output.size();) {
    const auto line = next_line(output, at);
    if (line.find("error: ") != line.npos) return std::string(line.substr(0, 2 * max_name_bytes));
  }
  return {};
}

}  // namespace agent
