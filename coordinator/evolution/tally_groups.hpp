// tally_groups: Thompson sampling over many slots, each with the tally of what it won and lost:
// draws for each from Beta(1 + won, 1 + lost), and finds whose draw is the greatest
// (W. R. Thompson, "On the Likelihood that One Unknown Probability Exceeds Another in View of the
// Evidence of Two Samples", 1933). Slots of one tally are drawn for together: the greatest of k
// draws of one distribution function F is F^-1(U^(1/k)), and any of them has it alike. A draw's
// bound comes before the draw: Beta(a, b) is sub-Gaussian with 1 / (4 (a + b + 1)) (O. Marchal,
// J. Arbel, "On the sub-Gaussianity of the Beta and Dirichlet distributions", 2017), so that most
// groups cost one exponential. O(different tallies). Not thread-safe.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/random.hpp"

namespace germline::evolution {

struct tally_of_slot {
  std::int64_t won = 0;
  std::int64_t lost = 0;
  auto operator<=>(const tally_of_slot&) const = default;
};

class tally_groups {
 public:
  /// Of a slot that is not there yet, too. None: it takes no part.
  void set(std::size_t slot, std::optional<tally_of_slot> tally);
  bool empty() const { return groups_.empty(); }
  /// REQUIRES that a slot takes part.
  std::size_t draw(random_source& chance) const;

 private:
  // In their order, whichever came first, so that the same slots give the same draws.
  using slots =
      __gnu_pbds::tree<std::size_t, __gnu_pbds::null_type, std::less<>, __gnu_pbds::rb_tree_tag,
                       __gnu_pbds::tree_order_statistics_node_update>;
  std::map<tally_of_slot, slots> groups_;              // none is empty
  std::vector<std::optional<tally_of_slot>> tallies_;  // by slot
};

}  // namespace germline::evolution
