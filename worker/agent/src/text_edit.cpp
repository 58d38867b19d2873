#include "text_edit.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace agent {
namespace {

// Lines with their ends.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

long long line_at(std::string_view text, std::size_t offset) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
}

std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) out += c;
  }
  return out;
}

// The number of the line that the first line of `old` would be but for white space; 0: none.
long long near_line(std::string_view text, std::string_view old) {
  std::string wanted;
  for (const auto line : lines_of(old)) {
    wanted = without_spaces(line);
    if (!wanted.empty()) break;
  }
  if (wanted.empty()) return 0;
  long long number = 0;
  for (const auto line : lines_of(text)) {
    ++number;
    if (without_spaces(line) == wanted) return number;
  }
  return 0;
}

error not_found(std::string_view text, std::string_view old) {
  const auto near = near_line(text, old);
  if (near == 0) return {"old_str was not found. View the file, and copy the text from it."};
  return {
      "old_str was not found, but line " + std::to_string(near) +
      " begins it but for white space or what follows. View the lines from there, and copy tabs, "
      "spaces and line ends exactly."};
}

}  // namespace

bool uses_crlf(std::string_view text) {
  const auto ends = std::count(text.begin(), text.end(), '\n');
  long long pairs = 0;
  for (auto at = text.find("\r\n"); at != text.npos; at = text.find("\r\n", at + 2)) ++pairs;
  return ends > 0 && ends == pairs;
}

std::string with_crlf(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
    out += text[i];
  }
  return out;
}

result<std::string> replace_once(std::string_view text, std::string_view old,
                                 std::string_view fresh) {
  if (old.empty()) return error{"old_str is empty. Use insert to add text."};
  const std::string old_crlf = with_crlf(old);
  const std::string fresh_crlf = with_crlf(fresh);
  if (uses_crlf(text)) {
    old = old_crlf;
    fresh = fresh_crlf;
  }
  const auto at = text.find(old);
  if (at == text.npos) return not_found(text, old);
  std::string places = std::to_string(line_at(text, at));
  int count = 1;
  for (auto next = text.find(old, at + 1); next != text.npos; next = text.find(old, next + 1)) {
    if (++count <= 20) places += ", " + std::to_string(line_at(text, next));
  }
  if (count > 1) {
    return error{"old_str occurs " + std::to_string(count) + " times, at lines " + places +
                 ". Give more of the lines around the one that you mean."};
  }
  return std::string(text.substr(0, at)) + std::string(fresh) +
         std::string(text.substr(at + old.size()));
}

result<std::string> insert_lines(std::string_view text, long long after, std::string_view fresh) {
  const auto lines = lines_of(text);
  const auto count = static_cast<long long>(lines.size());
  if (after < 0 || after > count) {
    return error{"insert_line is " + std::to_string(after) + ", the file has " +
                 std::to_string(count) + " lines. Give 0 to " + std::to_string(count) + "."};
  }
  const bool crlf = uses_crlf(text);
  const std::string line_end = crlf ? "\r\n" : "\n";
  std::string out;
  for (long long i = 0; i < after; ++i) out += lines[static_cast<std::size_t>(i)];
  if (!out.empty() && out.back() != '\n') out += line_end;
  out += crlf ? with_crlf(fresh) : std::string(fresh);
  if (after < count && !fresh.empty() && fresh.back() != '\n') out += line_end;
  for (long long i = after; i < count; ++i) out += lines[static_cast<std::size_t>(i)];
  return out;
}

result<std::string> numbered_lines(std::string_view text, long long first, long long last) {
  const auto lines = lines_of(text);
  const auto count = static_cast<long long>(lines.size());
  if (last == -1) last = count;
  if (count == 0) return std::string("(the file is empty)\n");
  if (first < 1 || first > count || last < first) {
    return error{"view_range [" + std::to_string(first) + ", " + std::to_string(last) +
                 "] does not lie in the file, which has " + std::to_string(count) + " lines."};
  }
  std::string out;
  for (long long i = first; i <= std::min(last, count); ++i) {
    auto line = lines[static_cast<std::size_t>(i - 1)];
    out += std::to_string(i) + "\t" + std::string(line);
  }
  if (out.back() != '\n') out += '\n';
  return out;
}

}  // namespace agent
