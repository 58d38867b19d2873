#include "coordinator/evolution/tally_groups.hpp"

#include <boost/math/special_functions/beta.hpp>
#include <cmath>

#include "common/assert.hpp"
#include "coordinator/evolution/strategy.hpp"

namespace germline::evolution {
namespace {

/// Of Beta(a, b).
struct posterior {
  explicit posterior(const tally_of_slot& tally)
      : a(1 + static_cast<double>(tally.won)), b(1 + static_cast<double>(tally.lost)) {}

  /// Whether the greatest of k draws, F^-1(u^(1/k)), is surely no more than x. It is where u is at
  /// most F(x)^k, which is at least 1 - k (1 - F(x)).
  bool is_at_most(double x, double k, double u) const {
    const double off = x - a / (a + b);
    return off > 0 && u <= 1 - k * std::exp(-2 * (a + b + 1) * off * off);
  }
  /// By the other tail, 1 - u^(1/k): exact also where that is next to nothing.
  double greatest(double k, double u) const {
    return boost::math::ibetac_inv(a, b, -std::expm1(std::log(u) / k));
  }

  double a, b;
};

}  // namespace

void tally_groups::set(std::size_t slot, std::optional<tally_of_slot> tally) {
  if (slot >= tallies_.size()) tallies_.resize(slot + 1);
  auto& its = tallies_[slot];
  if (its == tally) return;
  if (its) {
    const auto left = groups_.find(*its);
    left->second.erase(slot);
    if (left->second.empty()) groups_.erase(left);
  }
  its = tally;
  if (tally) groups_[*tally].insert(slot);
}

std::size_t tally_groups::draw(random_source& chance) const {
  GERMLINE_ASSERT(!empty());
  const slots* best = nullptr;
  double greatest = -1;
  for (const auto& [tally, alike] : groups_) {
    const posterior of(tally);
    const auto k = static_cast<double>(alike.size());
    const double u = 1 - uniform(chance);  // in (0, 1]
    if (of.is_at_most(greatest, k, u)) continue;
    const double drawn = of.greatest(k, u);
    if (drawn <= greatest) continue;
    greatest = drawn;
    best = &alike;
  }
  return *best->find_by_order(chance.below(best->size()));
}

}  // namespace germline::evolution
