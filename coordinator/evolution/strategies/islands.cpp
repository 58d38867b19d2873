// islands: the lineages live on islands, each with a grid of niches, and a parent is the best of a
// niche:
//
//   P(i) = (1 - migration) [i in E(own)] / |E(own)| + migration [i in E(next)] / |E(next)|
//
// where E(x) are the elites of island x, one for each niche that something lives in, and `next` the
// one after the lineage's own in a ring. J.-B. Mouret, J. Clune, "Illuminating search spaces by
// mapping elites", 2015, is the grid; islands in a ring are R. Tanese, "Distributed Genetic
// Algorithms", 1989, and in this field B. Romera-Paredes et al., "Mathematical discoveries from
// program search with large language models" (FunSearch), 2023.
//
// A lineage is of island (number - 1) mod islands, and what it bears is of its island, wherever the
// parent came from; the seed is of all. A niche is a cell of a grid with `bins` bins for each
// descriptor that the evaluator tells, by their means; the elite of a niche has the greatest lower
// bound of its mean, of several the greatest mean, then the eldest. A descriptor's bins divide the
// range in which its values were, which is doubled towards a value outside of it until that is in.
// Without descriptors an island is one niche.
//
// Differs from FunSearch and OpenEvolve in that nothing is copied or reset: who migrates is chosen
// anew each time, and islands where nothing may be a parent are passed over.
#include <algorithm>
#include <cmath>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <limits>
#include <set>

#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {
namespace {

constexpr std::size_t descriptors_max = 32;  // of a run; those that are told first

using cell = std::vector<int>;  // the bin in each descriptor; -1: it has none of these

/// Elites of one island.
class grid {
 public:
  struct rank {
    double bound = 0;
    double mean = 0;
    std::ptrdiff_t age = 0;  // the greater, the elder
    std::size_t slot = 0;
    auto operator<=>(const rank&) const = default;
  };

  void put(const cell& at, const rank& who) { niches_[at].insert(who); }
  void take(const cell& at, const rank& who) {
    const auto found = niches_.find(at);
    found->second.erase(who);
    if (found->second.empty()) niches_.erase(found);
  }

  std::size_t size() const { return niches_.size(); }
  /// In the order of their cells, whichever was taken first. O(log n).
  std::size_t elite(std::size_t nth) const {
    return niches_.find_by_order(nth)->second.rbegin()->slot;
  }
  bool has_elite(const cell& at, std::size_t slot) const {
    const auto found = niches_.find(at);
    return found != niches_.end() && found->second.rbegin()->slot == slot;
  }

 private:
  // Who lives in each niche; none is empty.
  __gnu_pbds::tree<cell, std::set<rank>, std::less<cell>, __gnu_pbds::rb_tree_tag,
                   __gnu_pbds::tree_order_statistics_node_update>
      niches_;
};

/// Where a descriptor's values were.
struct range {
  double low = 0;
  double high = 0;

  bool has(double value) const { return low <= value && value <= high; }
  void stretch_to(double value) {
    if (low == high) {
      low = std::min(low, value);
      high = std::max(high, value);
      return;
    }
    // At least to the next number: a range of one step between two numbers may not grow by itself.
    constexpr double endless = std::numeric_limits<double>::infinity();
    while (value < low) low = std::min(low - (high - low), std::nextafter(low, -endless));
    while (value > high) high = std::max(high + (high - low), std::nextafter(high, endless));
  }
  int bin(double value, int bins) const {
    if (low == high) return 0;
    const double share = (value - low) / (high - low);
    return std::min(bins - 1, static_cast<int>(share * bins));
  }
};

class islands final : public selector {
 public:
  islands(int count, int bins, double migration)
      : bins_(bins), migration_(migration), grids_(static_cast<std::size_t>(count)) {}

  void on_added(const archive&, std::size_t slot) override { known_.resize(slot + 1); }

  void on_measured(const archive& of, std::size_t slot, const measured_once& outcome) override {
    bool stretched = false;
    for (const auto& [name, value] : outcome.descriptors) {
      if (!ranges_.contains(name) && ranges_.size() == descriptors_max) continue;
      known_[slot].descriptors[name].add(value);
      const auto [at, is_new] = ranges_.try_emplace(name, range{value, value});
      // A mean is within the range of what it is of.
      stretched = stretched || is_new || !at->second.has(value);
      at->second.stretch_to(value);
    }
    if (!stretched) return;
    for (std::size_t i = 0; i < known_.size(); ++i) place(of, i);
  }

  void on_changed(const archive& of, std::size_t slot) override { place(of, slot); }

  choice choose(const archive&, int lineage, random_source& chance) const override {
    const auto own = settled(static_cast<std::size_t>(std::max(lineage, 1) - 1) % grids_.size());
    const auto next = settled((own + 1) % grids_.size());
    const auto& from = grids_[uniform(chance) < migration_ ? next : own];
    const auto slot = from.elite(chance.below(from.size()));
    const auto& at = known_[slot].at;
    double probability = 0;
    if (grids_[own].has_elite(at, slot)) {
      probability += (1 - migration_) / static_cast<double>(grids_[own].size());
    }
    if (grids_[next].has_elite(at, slot)) {
      probability += migration_ / static_cast<double>(grids_[next].size());
    }
    return {slot, probability};
  }

 private:
  struct known {
    std::map<std::string, running_mean> descriptors;
    std::optional<grid::rank> rank;  // as it is in the grids; none: it is no candidate
    cell at;
  };

  /// The first island from this one on where something may be a parent.
  std::size_t settled(std::size_t from) const {
    for (std::size_t i = 0; i < grids_.size(); ++i) {
      const auto at = (from + i) % grids_.size();
      if (grids_[at].size() > 0) return at;
    }
    return from;
  }

  void place(const archive& of, std::size_t slot) {
    auto& it = known_[slot];
    const auto& member = of.at(slot);
    const auto each_of_its = [&](const auto& what) {
      if (!member.parent) {
        for (auto& each : grids_) what(each);
      } else {
        what(grids_[static_cast<std::size_t>(std::max(member.lineage, 1) - 1) % grids_.size()]);
      }
    };
    if (it.rank) each_of_its([&](grid& g) { g.take(it.at, *it.rank); });
    it.rank.reset();
    if (!of.is_candidate(slot)) return;
    it.at.clear();
    for (const auto& [name, where] : ranges_) {
      const auto has = it.descriptors.find(name);
      it.at.push_back(has == it.descriptors.end() ? -1 : where.bin(has->second.value, bins_));
    }
    it.rank = {member.bound, member.mean, -static_cast<std::ptrdiff_t>(slot), slot};
    each_of_its([&](grid& g) { g.put(it.at, *it.rank); });
  }

  int bins_;
  double migration_;
  std::vector<grid> grids_;
  std::map<std::string, range> ranges_;  // by descriptor
  std::vector<known> known_;             // by slot
};

}  // namespace

result<maker> make_islands(options& given) {
  GERMLINE_TRY_ASSIGN(const auto bins, count_option(given, "bins", 10, 1, 1000));
  GERMLINE_TRY_ASSIGN(const auto count, count_option(given, "islands", 4, 1, 64));
  GERMLINE_TRY_ASSIGN(const auto migration, number_option(given, "migration", "0.1", 0, 1));
  return maker([=] { return std::make_unique<islands>(count, bins, migration); });
}

}  // namespace germline::evolution
