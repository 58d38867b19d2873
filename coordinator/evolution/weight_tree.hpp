// weight_tree: draws a slot with a probability that is proportional to its weight, and changes
// weights, in O(log n) each. A Fenwick tree (P. M. Fenwick, "A new data structure for cumulative
// frequency tables", 1994) over whole numbers, so that nothing drifts however often weights change.
// Not thread-safe.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/assert.hpp"
#include "common/random.hpp"

namespace germline::evolution {

class weight_tree {
 public:
  std::size_t size() const { return weights_.size(); }
  std::uint64_t total() const { return total_; }
  std::uint64_t weight(std::size_t slot) const { return weights_.at(slot); }

  /// Of a slot that is not there yet, too: those between have no weight. REQUIRES that all weights
  /// together are less than 2^63.
  void set(std::size_t slot, std::uint64_t weight) {
    if (slot >= weights_.size()) grow(slot + 1);
    const std::uint64_t change = weight - weights_[slot];  // modulo 2^64, as the sums are
    weights_[slot] = weight;
    total_ += change;
    for (std::size_t i = slot + 1; i < sums_.size(); i += i & -i) sums_[i] += change;
  }

  /// REQUIRES total() > 0.
  std::size_t draw(random_source& chance) const {
    GERMLINE_ASSERT(total_ > 0);
    std::uint64_t left = chance.below(total_);
    std::size_t at = 0;
    for (std::size_t step = std::bit_floor(sums_.size()); step > 0; step /= 2) {
      if (at + step < sums_.size() && sums_[at + step] <= left) {
        at += step;
        left -= sums_[at];
      }
    }
    return at;
  }

 private:
  /// By doubling, so that growing costs O(1) a slot over time.
  void grow(std::size_t size) {
    weights_.resize(size);
    if (size < sums_.size()) return;
    sums_.assign(std::bit_ceil(size + 1), 0);
    for (std::size_t i = 1; i < sums_.size(); ++i) {
      if (i <= weights_.size()) sums_[i] += weights_[i - 1];
      const std::size_t above = i + (i & -i);
      if (above < sums_.size()) sums_[above] += sums_[i];
    }
  }

  std::vector<std::uint64_t> weights_;
  std::vector<std::uint64_t> sums_;  // from 1 on; sums_[i] is of the i & -i slots before i
  std::uint64_t total_ = 0;
};

}  // namespace germline::evolution
