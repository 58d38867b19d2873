// history: what a lineage did, as a run's policy judges it, from the record: its endings in their
// order, and when its generations were measured. One way for the store, which asks before each
// ending, and for the reader, which judges a whole record by other rules. Reads only.
// Internal to coordinator/store.
#pragma once

#include <SQLiteCpp/Database.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/evolution/run_policy.hpp"

namespace germline::store_history {

struct past_step {
  std::string item;
  evolution::step what;
};

struct past_measure {
  std::string generation;
  std::optional<double> mean;  // none: no evaluation gave a score
  std::int64_t done_ms = 0;    // when its last evaluation ended
};

struct lineage_history {
  evolution::beginning with;
  std::vector<past_step> steps;        // iterations that ended, but for those that were killed
  std::vector<past_measure> measured;  // in the order in which they were done
};

/// None where there is no such lineage, or where it has not begun.
std::optional<lineage_history> read_history(SQLite::Database& db, const std::string& lineage);

/// Adds it all up, in the order of the times. `each` is called after each ending; false ends it.
evolution::tally replay(const lineage_history& past,
                        const std::function<bool(const past_step&, const evolution::tally&)>& each);

/// None while an evaluation of it is open, or where none was made of it.
std::optional<past_measure> read_measure(SQLite::Database& db, const std::string& generation);

}  // namespace germline::store_history
