#include "common/git/tree.hpp"

#include <algorithm>
#include <set>

#include "common/text/glob.hpp"

namespace germline::git {
namespace {

error refused(std::string message) {
  return {error_code::invalid_argument, std::move(message)};
}

/// A name as it may be shown: bounded, and with odd bytes as \xNN.
std::string shown(std::string_view name) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, 80)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text + (name.size() > 80 ? "…'" : "'");
}

/// Splits UTF-8 into code points. None when it is no (shortest-form, surrogate-free) UTF-8.
bool decode_utf8(std::string_view text, std::u32string& out) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80       ? 1
                               : lead >> 5 == 6  ? 2
                               : lead >> 4 == 14 ? 3
                               : lead >> 3 == 30 ? 4
                                                 : 0;
    if (length == 0 || i + length > text.size()) return false;
    char32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if (byte >> 6 != 2) return false;
      point = point << 6 | (byte & 63);
    }
    static constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    out += point;
    i += length;
  }
  return true;
}

/// Code points that HFS+ ignores when it compares names.
bool is_ignorable(char32_t c) {
  return (c >= 0x200c && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x206a && c <= 0x206f) || c == 0xfeff;
}

/// What the loosest file system would make of a name: no ignorable characters, lower case, nothing
/// from a ':' on, no dots or spaces at the end.
std::string loosest(const std::u32string& points) {
  std::string text;
  for (const char32_t c : points) {
    if (is_ignorable(c)) continue;
    if (c == ':') break;
    const auto byte = c < 0x80 ? static_cast<char>(c) : '\xff';
    text += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
  }
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

/// "git~1", "gitmod~3", "gi7eba~12": a short name that NTFS may give.
bool is_short_name(std::string_view text, std::string_view stem) {
  if (!text.starts_with(stem)) return false;
  text.remove_prefix(stem.size());
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string sort_key(const tree_entry& entry) {
  return entry.name + (entry.is_tree() ? "/" : "");
}

bool is_taken_mode(std::uint32_t mode) {
  return mode == static_cast<std::uint32_t>(entry_mode::file) ||
         mode == static_cast<std::uint32_t>(entry_mode::executable) ||
         mode == static_cast<std::uint32_t>(entry_mode::symlink) ||
         mode == static_cast<std::uint32_t>(entry_mode::tree);
}

std::string octal(std::uint32_t mode) {
  std::string text;
  for (; mode != 0; mode >>= 3) text.insert(text.begin(), static_cast<char>('0' + (mode & 7)));
  return text.empty() ? "0" : text;
}

}  // namespace

result<std::vector<tree_entry>> parse_tree(std::string_view bytes, std::int64_t entries_max) {
  std::vector<tree_entry> entries;
  while (!bytes.empty()) {
    if (static_cast<std::int64_t>(entries.size()) >= entries_max) {
      return error(error_code::resource_exhausted,
                   "a tree has more than " + std::to_string(entries_max) + " entries");
    }
    tree_entry entry;
    const auto space = bytes.substr(0, 8).find(' ');
    if (space == std::string_view::npos || space == 0 || space > 6 || bytes[0] == '0') {
      return refused("a tree entry's mode is malformed");
    }
    for (const char c : bytes.substr(0, space)) {
      if (c < '0' || c > '7') return refused("a tree entry's mode is malformed");
      entry.mode = entry.mode << 3 | static_cast<std::uint32_t>(c - '0');
    }
    bytes.remove_prefix(space + 1);
    const auto end = bytes.find('\0');
    if (end == std::string_view::npos || bytes.size() - end - 1 < 20) {
      return refused("a tree is truncated");
    }
    entry.name = bytes.substr(0, end);
    entry.id = oid::from_raw(bytes.substr(end + 1, 20));
    bytes.remove_prefix(end + 21);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string write_tree(std::vector<tree_entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return sort_key(a) < sort_key(b); });
  std::string bytes;
  for (const auto& entry : entries) {
    bytes += octal(entry.mode) + " " + entry.name;
    bytes += '\0';
    bytes += entry.id.raw();
  }
  return bytes;
}

result<void> judge_name(std::string_view name) {
  const auto bad = [&](std::string_view why) {
    return refused("the name " + shown(name) + " is refused: " + std::string(why));
  };
  if (name.empty()) return bad("it is empty");
  if (name == "." || name == "..") return bad("it is a path of its own");
  if (name.size() > 255) return bad("it is longer than 255 bytes");
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/') return bad("it has a '/'");
    if (c == '\\') return bad("it has a backslash");
    if (byte < 0x20 || byte == 0x7f) return bad("it has a control character");
  }
  std::u32string points;
  if (!decode_utf8(name, points)) return bad("it is not UTF-8");
  const auto loose = loosest(points);
  if (loose.empty()) return bad("it is nothing but dots, spaces and what file systems ignore");
  if (loose == ".git" || is_short_name(loose, "git~")) return bad("file systems take it for .git");
  if (loose == ".gitmodules" || is_short_name(loose, "gitmod~") ||
      is_short_name(loose, "gi7eba~")) {
    return bad("submodules are not taken");
  }
  return {};
}

result<void> judge_path(std::string_view path) {
  for (;;) {
    const auto slash = path.find('/');
    GERMLINE_TRY(judge_name(path.substr(0, slash)));
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

result<void> judge_tree(std::string_view bytes, const std::vector<tree_entry>& entries) {
  std::set<std::string_view> names;
  std::string last;
  std::size_t expected = 0;
  for (const auto& entry : entries) {
    GERMLINE_TRY(judge_name(entry.name));
    if (entry.mode == static_cast<std::uint32_t>(entry_mode::submodule)) {
      return refused("the entry " + shown(entry.name) + " is a submodule; they are not taken");
    }
    if (!is_taken_mode(entry.mode)) {
      return refused("the entry " + shown(entry.name) + " has mode " + octal(entry.mode) +
                     "; taken are 100644, 100755, 120000 and 40000");
    }
    if (entry.id.is_zero()) return refused("the entry " + shown(entry.name) + " has no object");
    if (!names.insert(entry.name).second) {
      return refused("a tree has the entry " + shown(entry.name) + " twice");
    }
    auto key = sort_key(entry);
    if (key < last) return refused("a tree's entries are out of order at " + shown(entry.name));
    last = std::move(key);
    expected += octal(entry.mode).size() + entry.name.size() + 22;
  }
  if (expected != bytes.size()) return refused("a tree is not in its one form");
  return {};
}

result<void> judge_symlink(std::string_view path, std::string_view target) {
  const auto bad = [&](std::string_view why) {
    return refused("the symbolic link " + shown(path) + " is refused: its target " + shown(target) +
                   " " + std::string(why));
  };
  if (target.empty() || target.size() > 4'095) return bad("is empty or too long");
  if (target.front() == '/') return bad("is absolute");
  auto depth = std::count(path.begin(), path.end(), '/');
  bool descended = false;
  while (!target.empty()) {
    const auto slash = target.find('/');
    const auto part = target.substr(0, slash);
    target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      if (auto judged = judge_name(part); !judged) return bad("holds a name that is refused");
      descended = true;
    } else if (descended || --depth < 0) {
      return bad("may lead outside");
    }
  }
  return {};
}

}  // namespace germline::git
