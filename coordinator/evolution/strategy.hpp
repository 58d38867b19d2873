// strategy: which generation the next iteration of a lineage starts from: a pure function of the
// archive and of chance. Each is a small file under strategies/, with its source and formula, and
// has a line in the table of strategy.cpp; nothing else knows any by name. `chain`, where the
// parent is the lineage's own head, needs no choice: it is none of them. Values; any thread, as
// long as the archive does not change meanwhile.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/random.hpp"
#include "common/result.hpp"
#include "coordinator/evolution/archive.hpp"

namespace germline::evolution {

struct choice {
  std::size_t slot = 0;  // in the archive
  // With which it was chosen; none where saying so would cost more than a choice may.
  std::optional<double> probability = std::nullopt;
};

/// REQUIRES that the archive has a candidate.
using chooser = std::function<choice(const archive&, random_source&)>;

struct strategy {
  std::string text;  // its name with all its options, also those that were not said
  chooser choose;    // none: chain
};

/// "NAME" or "NAME,KEY=VALUE,..."; empty is chain. `invalid_argument`: there is none of that name,
/// with what there is; or an option is not one of its own.
result<strategy> parse_strategy(std::string_view text);

/// Of strategies that may say a probability by going through all candidates: up to so many.
inline constexpr std::size_t exact_candidates_max = 1'024;

/// Uniform in [0, 1), with 53 bits.
double uniform(random_source& chance);

}  // namespace germline::evolution
