// purse: what a lease may hold of its lineage's, its run's and the whole coordinator's budget, as
// the record stands. It books nothing: see accounts.cpp. Within a transaction of the store; its
// thread. Money is in nano-dollars throughout.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "germline/v1/types.pb.h"

namespace germline {

inline constexpr std::int64_t day_ms = 86'400'000;

struct purse {
  std::int64_t budget = 0;  // 0: the run has none
  std::int64_t spent = 0;
  std::int64_t each_iteration = 0;   // at most; 0: no bound of its own
  std::int64_t each_evaluation = 0;  // exactly; 0: candidates have no model
  std::int64_t evaluations = 0;      // of each generation
  bool agents_ask = true;
  bool measures_again = false;  // what is measured already, and can do without
  std::string run;
  std::string lineage;              // empty: it is none's, as of the founding
  std::int64_t lineage_budget = 0;  // 0: the lineage has none of its own
  std::int64_t lineage_spent = 0;

  std::int64_t left() const { return budget - spent; }
};

/// Of the whole coordinator, at one time.
struct fleet_purse {
  std::optional<std::int64_t> budget;  // none: there is no bound
  bool per_day = false;                // of each day, UTC
  std::int64_t spent = 0;              // of today, where it is per day
  std::int64_t spent_in_all = 0;
  std::int64_t held = 0;  // by attempts that are not settled, whenever they began
};
fleet_purse read_fleet_purse(SQLite::Database& db, std::int64_t now_ms);

/// What attempts of a run, or of a lineage, hold that are not settled.
std::int64_t held_by_run(SQLite::Database& db, const std::string& run);
std::int64_t held_by_lineage(SQLite::Database& db, const std::string& lineage);

/// What a lease of an item of that kind holds; 0: it spends nothing. It never passes what the
/// lineage, the run and the whole coordinator have left beside what others hold.
/// resource_exhausted: one of them does not cover it, for good; the message says which, and how it
/// is raised. permission_denied: what it needs is held or kept for others, or comes with the next
/// day; the message says what it waits for.
result<std::int64_t> reserve(SQLite::Database& db, v1::WorkKind kind, const purse& of,
                             std::int64_t now_ms);
/// The same for exactly `asked`, whatever it is for.
result<void> check_fleet(SQLite::Database& db, std::int64_t asked, std::int64_t now_ms);

}  // namespace germline
