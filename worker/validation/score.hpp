// score: what an evaluator writes on its report descriptor, read as the hostile bytes that it may
// be. One JSON object:
//   {"score": 1.5, "metrics": {"seconds": 2}, "descriptors": {"size": 10}, "cases": {"first": 1}}
// of which only `score` must be there. Pure; may be called from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

inline constexpr std::size_t score_bytes_max = 1 << 20;

using named_numbers = std::vector<std::pair<std::string, double>>;  // in the order of their names

struct evaluation_score {
  double score = 0;           // this and all others are at most 1e100, of either sign
  named_numbers metrics;      // at most 100
  named_numbers descriptors;  // at most 32
  named_numbers cases;        // at most 1,000
};

/// invalid_argument says what is wrong and what would be right.
result<evaluation_score> parse_score(std::string_view report);

}  // namespace germline::worker
