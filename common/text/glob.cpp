#include "common/text/glob.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace germline {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

/// Matches one part against `*` and `?`, going back to the last `*` only: linear times linear.
bool part_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

result<void> check_glob(std::string_view pattern) {
  const auto bad = [&](std::string_view why) {
    return error(error_code::invalid_argument,
                 "'" + std::string(pattern.substr(0, 128)) + "' is not a path pattern: " +
                     std::string(why) + "; write a relative one such as \"protected/**\"");
  };
  if (pattern.empty()) return bad("it is empty");
  if (pattern.size() > 1'024) return bad("it is longer than 1024 bytes");
  if (pattern.front() == '/') return bad("it is absolute");
  for (const auto part : split(pattern)) {
    if (part.empty()) return bad("it has an empty part");
    if (part == "." || part == "..") return bad("it has a part '" + std::string(part) + "'");
    if (part != "**" && part.find("**") != std::string_view::npos) {
      return bad("'**' must be a part of its own");
    }
    if (part.find('\\') != std::string_view::npos || part.find('\0') != std::string_view::npos) {
      return bad("it has a backslash or a NUL");
    }
  }
  return {};
}

bool glob_matches(std::string_view pattern, std::string_view path) {
  const auto patterns = split(pattern);
  const auto parts = split(path);
  // reach[j]: whether the patterns so far can stand for the first j parts.
  std::vector<char> reach(parts.size() + 1, 0);
  reach[0] = 1;
  for (const auto part : patterns) {
    std::vector<char> next(parts.size() + 1, 0);
    for (std::size_t j = 0; j <= parts.size(); ++j) {
      if (part == "**") {
        next[j] = reach[j] != 0 || (j > 0 && next[j - 1] != 0);
      } else if (j > 0) {
        next[j] = reach[j - 1] != 0 && part_matches(part, parts[j - 1]);
      }
    }
    reach.swap(next);
  }
  return reach[parts.size()] != 0;
}

bool is_clean_relative_path(std::string_view path) {
  if (path.empty() || path.size() > 4'095) return false;
  const auto bad_byte = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\';
  };
  if (std::any_of(path.begin(), path.end(), bad_byte)) return false;
  for (const auto part : split(path)) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
  }
  return true;
}

}  // namespace germline
