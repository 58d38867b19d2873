#include "common/git/commit.hpp"

#include <algorithm>

namespace germline::git {
namespace {

error malformed(std::string_view what) {
  return {error_code::invalid_argument, "a commit is malformed: " + std::string(what)};
}

/// Takes "key value\n" off the front. Empty when the next line has another key.
std::string_view take_line(std::string_view& bytes, std::string_view key) {
  const auto end = bytes.find('\n');
  if (end == std::string_view::npos || !bytes.starts_with(key) || end <= key.size() ||
      bytes[key.size()] != ' ') {
    return {};
  }
  const auto value = bytes.substr(key.size() + 1, end - key.size() - 1);
  bytes.remove_prefix(end + 1);
  return value;
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "Name <email> 1700000000 +0000"
bool is_signature(std::string_view line) {
  const auto open = line.find('<');
  const auto close = line.find("> ");
  if (open == std::string_view::npos || open == 0 || line[open - 1] != ' ' ||
      close == std::string_view::npos || close < open ||
      line.find_first_of("<>", open + 1) != close) {
    return false;
  }
  const auto when = line.substr(close + 2);
  const auto space = when.find(' ');
  if (space == std::string_view::npos || space > 12 || !all_digits(when.substr(0, space))) {
    return false;
  }
  const auto zone = when.substr(space + 1);
  return zone.size() == 5 && (zone[0] == '+' || zone[0] == '-') && all_digits(zone.substr(1));
}

std::string clean_name(std::string_view text) {
  std::string cleaned;
  for (const char c : text.substr(0, 256)) {
    if (c != '<' && c != '>' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) cleaned += c;
  }
  return cleaned.empty() ? "unknown" : cleaned;
}

}  // namespace

result<commit_header> parse_commit(std::string_view bytes) {
  if (bytes.size() > commit_bytes_max) {
    return error(error_code::resource_exhausted, "a commit has more than 256 KiB");
  }
  if (bytes.find('\0') != std::string_view::npos) return malformed("it has a NUL byte");
  commit_header header;
  const auto tree = oid::parse(take_line(bytes, "tree"));
  if (!tree) return malformed("it has no tree");
  header.tree = *tree;
  for (auto line = take_line(bytes, "parent"); !line.empty(); line = take_line(bytes, "parent")) {
    const auto parent = oid::parse(line);
    if (!parent) return malformed("a parent is no object id");
    if (header.parents.size() == commit_parents_max) return malformed("it has over 64 parents");
    header.parents.push_back(*parent);
  }
  if (!is_signature(take_line(bytes, "author"))) return malformed("its author line");
  if (!is_signature(take_line(bytes, "committer"))) return malformed("its committer line");
  if (bytes.find("\n\n") == std::string_view::npos && !bytes.starts_with("\n")) {
    return malformed("its header does not end");
  }
  return header;
}

std::string write_commit(const commit_text& what) {
  std::string bytes = "tree " + what.tree.hex() + "\n";
  for (const auto& parent : what.parents) bytes += "parent " + parent.hex() + "\n";
  const auto who = clean_name(what.name) + " <" + clean_name(what.email) + "> " +
                   std::to_string(std::max<std::int64_t>(what.time_s, 0)) + " +0000\n";
  bytes += "author " + who + "committer " + who + "\n";
  for (const char c : what.message) {
    if (c != '\0') bytes += c;
  }
  if (bytes.back() != '\n') bytes += '\n';
  return bytes;
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
  std::string line;
  for (const char c : text.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  if (text.size() > bytes_max) {
    // Do not leave half a character: drop its continuation bytes and then its lead byte.
    while (!line.empty() && (static_cast<unsigned char>(line.back()) >> 6) == 2) line.pop_back();
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xc0) line.pop_back();
  }
  return line;
}

}  // namespace germline::git
