// purse: what a lease may hold of its lineage's, its run's and the whole coordinator's budget, as
// the record stands: of money, of tokens and of requests, each by itself and all by the same rules.
// It books nothing: see accounts.cpp. Within a transaction of the store; its thread.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/amount.hpp"
#include "common/result.hpp"
#include "germline/v1/types.pb.h"

namespace germline {

inline constexpr std::int64_t day_ms = 86'400'000;

struct purse {
  amount budget;  // 0: the run has none; of money it always has one where it asks a model
  amount spent;
  amount each_iteration;         // at most; 0: no bound of its own
  amount each_evaluation;        // exactly; of money 0: candidates have no model
  std::int64_t evaluations = 0;  // of each generation
  bool agents_ask = true;
  bool measures_again = false;  // what is measured already, and can do without
  std::string run;
  std::string lineage;    // empty: it is none's, as of the founding
  amount lineage_budget;  // 0: the lineage has none of its own
  amount lineage_spent;

  std::int64_t left(unit of) const { return budget[of] - spent[of]; }
};

/// What a lease holds; none of a unit of which nobody has a budget. Of money always some, or 0.
using slice = per_unit<std::optional<std::int64_t>>;

/// Of the whole coordinator, in one unit, at one time.
struct fleet_purse {
  std::optional<std::int64_t> budget;  // none: there is no bound
  bool per_day = false;                // of each day, UTC
  std::int64_t spent = 0;              // of today, where it is per day
  std::int64_t spent_in_all = 0;
  std::int64_t held = 0;  // by attempts that are not settled, whenever they began
};
fleet_purse read_fleet_purse(SQLite::Database& db, unit of, std::int64_t now_ms);

/// How the columns of a unit end: reserved_nanousd, reserved_tokens, reserved_requests.
std::string column(const std::string& begins, unit of);

/// What an iteration may take at most by its own limits, and by its gateway's where they do not
/// say. Of money 0: they do not say.
amount most_by_limits(const v1::IterationLimits& limits);

/// What attempts of a run, or of a lineage, hold that are not settled.
std::int64_t held_by_run(SQLite::Database& db, const std::string& run, unit of);
std::int64_t held_by_lineage(SQLite::Database& db, const std::string& lineage, unit of);

/// What a lease of an item of that kind holds; of money 0 where it asks no model. It never passes
/// what the lineage, the run and the whole coordinator have left beside what others hold.
/// resource_exhausted: one of them does not cover it, for good; the message says which, and how it
/// is raised. permission_denied: what it needs is held or kept for others, or comes with the next
/// day; the message says what it waits for.
result<slice> reserve(SQLite::Database& db, v1::WorkKind kind, const purse& of,
                      std::int64_t now_ms);
/// What does again an attempt that held `then` holds as much, of what the whole coordinator has.
/// The run's and the lineage's budgets are not looked at: in another order of attempts they would
/// refuse what they had allowed. Of what that was not bounded in, and the coordinator is, what a
/// lease of an item of that kind may take; nothing where it asks no model.
result<slice> reserve_again(SQLite::Database& db, v1::WorkKind kind, const slice& then,
                            const purse& of, std::int64_t now_ms);

}  // namespace germline
