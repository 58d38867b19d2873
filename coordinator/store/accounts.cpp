// The part of the store that settles what attempts held: with what their end told, whole where
// nobody knows, and by a worker's journal where that tells later. Money in equals money out: what
// an attempt cost stands in its own row, in the ledger, and in the sums of its lineage, its run and
// the day.
#include <algorithm>

#include "coordinator/store/purse.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

namespace {

/// How a line of the ledger is known.
enum class known_by { nobody = 0, its_end = 1, a_journal = 2 };

/// Adds to all sums that a line of the ledger of that day is in.
void add_to_sums(SQLite::Database& db, const std::string& run, const std::string& lineage,
                 std::int64_t day, std::int64_t cost) {
  exec(db, "UPDATE runs SET spent_nanousd = spent_nanousd + ? WHERE id=?", cost, run);
  exec(db, "UPDATE lineages SET spent_nanousd = spent_nanousd + ? WHERE id=?", cost, lineage);
  exec(db,
       "INSERT INTO fleet_days (day, spent_nanousd) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET"
       " spent_nanousd = spent_nanousd + excluded.spent_nanousd",
       day, cost);
}

/// Whether nothing more need be said of the attempt. `given_back` grows by what it was charged too
/// much.
bool reconcile_one(SQLite::Database& db, const std::string& worker,
                   const records::late_accounts::account& told, std::int64_t now_ms,
                   std::int64_t& given_back) {
  SQLite::Statement row(db,
                        "SELECT a.worker_id, a.settled, a.reserved_nanousd, l.reported, l.nanousd,"
                        " l.at_ms, i.run_id, i.lineage_id FROM attempts a JOIN items i ON"
                        " i.id = a.item_id LEFT JOIN ledger l ON l.attempt_id = a.id WHERE a.id=?");
  bind_all(row, told.attempt);
  if (!row.executeStep() || text(row, 0) != worker) return true;
  if (integer(row, 1) == 0) return false;  // its end may yet tell
  const bool is_orphan = static_cast<known_by>(integer(row, 3)) == known_by::nobody;
  if (!is_orphan) return true;
  const auto charged = integer(row, 4);
  const auto most = std::min(charged, integer(row, 2));
  const auto cost = std::clamp<std::int64_t>(told.cost_nanousd, 0, most);
  exec(db, "UPDATE attempts SET cost_nanousd=? WHERE id=?", cost, told.attempt);
  exec(db,
       "UPDATE ledger SET nanousd=?, reported=?, charged_nanousd=?, corrected_ms=? WHERE"
       " attempt_id=?",
       cost, known_by::a_journal, charged, now_ms, told.attempt);
  add_to_sums(db, text(row, 6), text(row, 7), integer(row, 5) / day_ms, cost - charged);
  given_back += charged - cost;
  return true;
}

}  // namespace

void book(SQLite::Database& db, const std::string& attempt, std::optional<std::int64_t> reported,
          std::int64_t now_ms) {
  SQLite::Statement row(db,
                        "SELECT a.reserved_nanousd, i.run_id, i.lineage_id FROM attempts a JOIN"
                        " items i ON i.id = a.item_id WHERE a.id = ? AND a.settled = 0");
  bind_all(row, attempt);
  if (!row.executeStep()) return;
  // No attempt costs a million dollars: what says so is wrong, and sums must not overflow.
  constexpr std::int64_t most = 1'000'000'000'000'000;
  const auto cost = std::clamp<std::int64_t>(reported.value_or(integer(row, 0)), 0, most);
  const std::string run = text(row, 1);
  exec(db, "UPDATE attempts SET settled=1, cost_nanousd=? WHERE id=?", cost, attempt);
  exec(db, "INSERT INTO ledger (run_id, attempt_id, nanousd, reported, at_ms) VALUES (?,?,?,?,?)",
       run, attempt, cost, reported ? known_by::its_end : known_by::nobody, now_ms);
  add_to_sums(db, run, text(row, 2), now_ms / day_ms, cost);
}

result<void> store::lose(const records::attempt_loss& loss, std::int64_t now_ms) {
  auto& db = impl_->db;
  const auto attempt = loss.attempt.str();
  return impl_->transact([&]() -> result<void> {
    const int changed =
        exec(db, "UPDATE attempts SET state=?, ended_ms=?, details=? WHERE id=? AND state=?",
             v1::ATTEMPT_STATE_LOST, now_ms, loss.why, attempt, v1::ATTEMPT_STATE_LEASED);
    if (changed == 0) return {};
    if (!loss.excused) {
      exec(db,
           "UPDATE items SET lost = lost + 1 WHERE id = (SELECT item_id FROM attempts WHERE id=?)",
           attempt);
    }
    book(db, attempt, loss.cost_nanousd, now_ms);
    return {};
  });
}

result<void> store::settle(const records::attempt_loss& loss, std::int64_t now_ms) {
  return impl_->transact([&]() -> result<void> {
    book(impl_->db, loss.attempt.str(), loss.cost_nanousd, now_ms);
    return {};
  });
}

result<records::late_accounts_taken> store::reconcile(const records::late_accounts& told) {
  return impl_->transact([&]() -> result<records::late_accounts_taken> {
    records::late_accounts_taken taken;
    for (const auto& each : told.accounts) {
      if (reconcile_one(impl_->db, told.worker, each, told.now_ms, taken.given_back_nanousd)) {
        taken.attempts.push_back(each.attempt);
      }
    }
    return taken;
  });
}

}  // namespace germline
