// purse: what a lease may hold of a run's budget, as the record stands. It books nothing: see
// store.cpp. Within a transaction of the store; its thread.
#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>
#include <string>

#include "common/result.hpp"
#include "germline/v1/types.pb.h"

namespace germline {

/// Money in nano-dollars.
struct purse {
  std::int64_t budget = 0;  // 0: the run has none
  std::int64_t spent = 0;
  std::int64_t each_iteration = 0;   // at most; 0: no bound of its own
  std::int64_t each_evaluation = 0;  // exactly; 0: candidates have no model
  std::int64_t evaluations = 0;      // of each generation
  bool agents_ask = true;
  bool measures_again = false;  // what is measured already, and can do without

  std::int64_t left() const { return budget - spent; }
};

/// What a lease of an item of that kind holds of the run's budget; 0: it spends nothing.
/// resource_exhausted: the budget does not cover it, for good. permission_denied: what it needs is
/// held or kept for others, and may come free; the message says what it waits for.
result<std::int64_t> reserve(SQLite::Database& db, const std::string& run, v1::WorkKind kind,
                             const purse& of);

}  // namespace germline
