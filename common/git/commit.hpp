// commit: reads the header of a raw commit from outside, and writes the raw bytes of one that
// Germline authors. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/git/oid.hpp"
#include "common/result.hpp"

namespace germline::git {

struct commit_header {
  oid tree;
  std::vector<oid> parents;
};

inline constexpr std::size_t commit_bytes_max = 256 * 1024;
inline constexpr std::size_t commit_parents_max = 64;

/// Strict: tree, parents, author and committer as git writes them, no NUL byte, bounded.
result<commit_header> parse_commit(std::string_view bytes);

struct commit_text {
  oid tree;
  std::vector<oid> parents;
  std::string name, email;  // of author and committer; '<', '>' and control characters are dropped
  std::int64_t time_s = 0;  // UTC
  std::string message;      // ends with a newline, or gets one
};

std::string write_commit(const commit_text& what);

/// One line of at most `bytes_max` bytes without control characters, cut at a whole character.
std::string one_line(std::string_view text, std::size_t bytes_max);

}  // namespace germline::git
