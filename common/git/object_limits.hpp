// object_limits: the bounds under which git objects from outside are taken in. Plain values.
#pragma once

#include <cstdint>

namespace germline::git {

struct object_limits {
  std::int64_t objects = 50'000;            // in one pack
  std::int64_t blob_bytes = 16 << 20;       // one object, inflated
  std::int64_t total_bytes = 256 << 20;     // all objects of a pack, inflated
  std::int64_t tree_entries = 10'000;       // in one tree
  std::int64_t tree_depth = 64;             // nesting of trees
  std::int64_t walked_entries = 1'000'000;  // tree entries looked at in one walk
  std::int64_t commits = 1'000;             // new commits of one candidate
  std::int64_t checkout_bytes = 1 << 30;    // all files of one tree, each path counted
};

/// For what the coordinator packed: all of a lineage's history has no bound of objects or of the
/// whole, only the pack's own.
inline constexpr object_limits history_limits{
    .objects = std::int64_t{1} << 31,
    .blob_bytes = std::int64_t{1} << 31,
    .total_bytes = std::int64_t{1} << 40,
};

}  // namespace germline::git
