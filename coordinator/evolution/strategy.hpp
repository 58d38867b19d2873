// strategy: which generation the next iteration of a lineage starts from: a function of the archive
// and of chance. Each is a small file under strategies/, with its source and formula, and has a
// line in the table of strategy.cpp; nothing else knows any by name. `chain`, where the parent is
// the lineage's own head, needs no choice: it is none of them. Not thread-safe: held by who holds
// the archive.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
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
  // It is no parent: too little is known, and it is to be measured once more before one is chosen.
  bool measures = false;
};

/// A strategy at work on one archive, whose changes it is told of: what it keeps of them, no more,
/// so that it is the same again when they are told again.
class selector : public archive::watcher {
 public:
  /// For the lineage of this number, from 1 on. REQUIRES that the archive has a candidate.
  virtual choice choose(const archive& of, int lineage, random_source& chance) const = 0;
};

struct strategy {
  std::string text;  // its name with all its options, also those that were not said
  std::function<std::unique_ptr<selector>()> make;  // none: chain
  bool measures = false;                            // its choices may; see choice
};

/// "NAME" or "NAME,KEY=VALUE,..."; empty is chain. `invalid_argument`: there is none of that name,
/// with what there is; or an option is not one of its own.
result<strategy> parse_strategy(std::string_view text);

/// The generations of a run, and the strategy that chooses among them.
class population {
 public:
  population(const strategy& by, bool minimizes)
      : by_(by.make ? by.make() : nullptr), all_(minimizes, by_.get()) {}

  archive& all() { return all_; }
  const archive& all() const { return all_; }

  /// REQUIRES that there is a candidate, and that the strategy is not chain.
  choice choose(int lineage, random_source& chance) const {
    return by_->choose(all_, lineage, chance);
  }

 private:
  std::unique_ptr<selector> by_;  // is there before the archive that tells it, and after it
  archive all_;
};

/// Of strategies that may say a probability by going through all candidates: up to so many.
inline constexpr std::size_t exact_candidates_max = 1'024;

/// Uniform in [0, 1), with 53 bits.
double uniform(random_source& chance);

}  // namespace germline::evolution
