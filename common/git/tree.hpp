// tree: reads and writes raw git trees, and judges the name and mode of each entry. Not a walk: see
// tree_walk.hpp. Names are judged one by one, since joined paths hide an entry "a/b".
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/git/object_limits.hpp"
#include "common/git/oid.hpp"
#include "common/result.hpp"

namespace germline::git {

enum class entry_mode : std::uint32_t {
  file = 0100644,
  executable = 0100755,
  symlink = 0120000,
  tree = 0040000,
  submodule = 0160000,
};

struct tree_entry {
  std::uint32_t mode = 0;  // as written; not necessarily one of entry_mode
  std::string name;
  oid id;

  bool is_tree() const noexcept { return mode == static_cast<std::uint32_t>(entry_mode::tree); }
};

/// Splits raw tree bytes. Refuses what cannot be split, and more entries than the limit; it does
/// not judge what it split.
result<std::vector<tree_entry>> parse_tree(std::string_view bytes, std::int64_t entries_max);

/// The raw bytes of a tree of these entries, put into git's order.
std::string write_tree(std::vector<tree_entry> entries);

/// Whether a name may stand in a tree from outside. Refuses the empty name, ".", "..", anything
/// with
/// '/', '\\', NUL or a control character, names over 255 bytes, no UTF-8, and every name that some
/// file system takes for ".git" (letter case, trailing dots and spaces, "git~1", "::$..." streams,
/// ignorable Unicode characters) or for ".gitmodules".
result<void> judge_name(std::string_view name);

/// Judges each part of a relative path as a name.
result<void> judge_path(std::string_view path);

/// Judges all entries of one tree: names, modes (100644, 100755, 120000, 040000 only, written
/// without a leading zero), git's order, and duplicates, also such as differ in nothing but file
/// and folder.
result<void> judge_tree(std::string_view bytes, const std::vector<tree_entry>& entries);

/// Whether a symlink at `path` with this target stays inside the tree by its words alone.
result<void> judge_symlink(std::string_view path, std::string_view target);

}  // namespace germline::git
