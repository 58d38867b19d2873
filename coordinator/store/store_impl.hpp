// store_impl: what the files of the store share: its connection, and how a transaction is made.
// Internal to coordinator/store.
#pragma once

#include <string>
#include <type_traits>

#include "coordinator/store/sql.hpp"
#include "coordinator/store/store.hpp"

namespace germline {

namespace sql {
/// Two columns of runs: fitness_direction, evaluations.
inline records::measuring measuring_of(SQLite::Statement& row, int i) {
  return {static_cast<v1::FitnessDirection>(integer(row, i)),
          static_cast<int>(integer(row, i + 1)),
          {}};
}
}  // namespace sql

struct store::impl {
  explicit impl(const std::string& path)
      : db(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000) {}

  /// Runs `work` in one transaction, which is kept only if it returns without error.
  template <class Work>
  std::invoke_result_t<Work> transact(Work&& work) {
    return sql::guarded([&]() -> std::invoke_result_t<Work> {
      SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
      auto outcome = work();
      if (outcome) transaction.commit();
      return outcome;
    });
  }

  SQLite::Database db;
};

}  // namespace germline
