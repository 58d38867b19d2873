// inspirations: which other generations an agent is shown beside its parent. Half of them the best
// that there are, the others any: so programs are sampled for prompts by AlphaEvolve (A. Novikov et
// al., arXiv:2506.13131) and by OpenEvolve, which names both numbers. Not thread-safe: held by who
// holds the archive.
#pragma once

#include <cstddef>
#include <vector>

#include "common/random.hpp"
#include "coordinator/evolution/archive.hpp"

namespace germline::evolution {

inline constexpr int inspirations_max = 8;  // of one iteration

struct inspiration {
  std::size_t slot = 0;  // in the archive
  std::size_t base = 0;  // the newest generation that it and the parent both come from
};

/// Up to `count` candidates of which the parent has nothing: neither itself nor an ancestor of it.
/// The greater half are the best by mean; the others are drawn from all, each with the same chance.
/// Fewer where there are no more, or where few of those drawn are new. For n candidates
/// O((count + depth) log n + count depth).
std::vector<inspiration> pick_inspirations(const archive& of, std::size_t parent, int count,
                                           random_source& chance);

}  // namespace germline::evolution
