// change_sketch: how much alike two changes of one source are, from a few hundred bytes of each. A
// change is the multiset of shingles, runs of four tokens, that it adds and that it removes; a
// token is a word, a number or one other character, in whatever language, and spaces make no
// difference. The sketch keeps the smallest hashes of them, so that the Jaccard index of two
// changes can be estimated: A. Z. Broder, "On the resemblance and containment of documents",
// SEQUENCES 1997 (his M_s, the s smallest). The index is exact where both changes have no more than
// `kept_max` shingles; else its standard error is at most 0.5 / sqrt(kept_max), about 0.03.
// Whole sources are not compared: a child is nearly its parent by what neither changed.
// Who wants to can make two changes differ; this tells repetition, and guards nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

class change_sketch {
 public:
  static constexpr std::size_t kept_max = 256;
  static constexpr std::size_t bytes_max = 8 * kept_max;

  change_sketch() = default;
  /// What bytes() gave: hashes in ascending order, 8 bytes each, little-endian. Anything else is
  /// refused.
  static result<change_sketch> read(std::string_view bytes);

  std::string bytes() const;
  /// Nothing was added or removed that has four tokens.
  bool empty() const { return smallest_.empty(); }
  /// The Jaccard index of the two changes, 0 to 1; 0 where one is empty.
  double likeness(const change_sketch& other) const;

  bool operator==(const change_sketch&) const = default;

 private:
  friend class change_sketcher;

  std::vector<std::uint64_t> smallest_;  // ascending, none twice
};

/// Makes a sketch of a change of several files. What is moved from one file to another is no
/// change. One for each change; any thread.
class change_sketcher {
 public:
  /// A file as it was and as it is; empty: there was, or is, none.
  void add(std::string_view before, std::string_view after);
  change_sketch make() const;

 private:
  std::map<std::uint64_t, std::int64_t> more_;  // by shingle: how often it was added less removed
};

}  // namespace germline
