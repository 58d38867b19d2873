// glob: path patterns as genome.toml's `[protect] paths` writes them. `*` and `?` stay within one
// part of a path; `**` as a whole part stands for any number of parts, also none, so that
// "protected/**" covers the folder, all beneath it, and a file put in the folder's place.
// Pure functions; may be called from any thread.
#pragma once

#include <string_view>

#include "common/result.hpp"

namespace germline {

/// Refuses patterns that could never match a clean relative path: empty, absolute, with `..`, `.`,
/// an empty part, a backslash, or `**` glued to other letters.
result<void> check_glob(std::string_view pattern);

/// Whether `path` (relative, parts separated by '/') matches. Takes polynomial time.
bool glob_matches(std::string_view pattern, std::string_view path);

/// Relative, not empty, no `.`, `..` or empty part, no NUL, no control character, no backslash.
bool is_clean_relative_path(std::string_view path);

}  // namespace germline
