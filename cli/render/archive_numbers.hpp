// archive_numbers: the numbers of a run's generations by their names: what was measured, and what
// is known of them anyway. Pure; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// One generation with its numbers: `fitness` (its mean, once all its evaluations gave a score),
/// `source_bytes`, `context_bytes`, `depth`, `number`, and its metrics and descriptors, each the
/// mean over its evaluations: as `metric.NAME` and `descriptor.NAME`, and by NAME alone where
/// nothing else has it.
struct numbered {
  const v1::GenerationInfo* generation = nullptr;
  std::map<std::string, double> numbers;

  std::optional<double> at(const std::string& name) const;
};

/// Points into `tree`, which is to have its evaluations.
std::vector<numbered> numbers_of(const v1::GetTreeReply& tree);

/// not_found where no generation has that number, with the names that there are.
result<void> check_number(const std::vector<numbered>& all, const std::string& name);

/// "fitness >= 2", "source_bytes<4096"; operators < <= = >= >.
struct condition {
  std::string name, op;
  double value = 0;

  bool holds(const numbered& of) const;  // false where it has no such number
};
result<condition> parse_condition(std::string_view text);

/// What is to be great, or small.
struct objective {
  std::string name;
  bool is_small = false;
};

/// Those of which no other is at least as good in everything and better in something, by the first
/// objective from the best on. Of generations that lack one of the numbers, none. O(n^2).
std::vector<const numbered*> pareto_front(const std::vector<numbered>& all,
                                          const std::vector<objective>& by);

/// One direction of a grid: from the least number that there is, in bins of equal width; numbers
/// that are all whole, and few, have a bin each.
struct grid_axis {
  std::string name;
  double low = 0, high = 0;  // of the numbers
  std::size_t bins = 0;
  double width = 0;  // of a bin

  double edge(std::size_t bin) const { return low + width * static_cast<double>(bin); }
  std::size_t bin_of(double value) const;
};
/// Cells over two numbers, with the fittest generation of each: what MAP-Elites keeps (Mouret,
/// Clune: Illuminating search spaces by mapping elites, 2015).
struct grid {
  grid_axis x, y;
  std::vector<const numbered*> elites;  // row by row from the lowest y; null: none
  std::size_t generations = 0;          // that have the numbers and a fitness

  const numbered* at(std::size_t row, std::size_t column) const {
    return elites[row * x.bins + column];
  }
};
/// With at most `bins` in each direction.
grid grid_of(const std::vector<numbered>& all, const std::string& x, const std::string& y,
             std::size_t bins, bool minimizes);

}  // namespace germline::cli
