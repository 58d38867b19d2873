// The part of the store that settles what attempts held: with what their end told, whole where
// nobody knows, and by a worker's journal where that tells later. What goes in comes out, of money,
// tokens and requests: what an attempt cost stands in its own row, in the ledger, and in the sums
// of its lineage, its run and the day.
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
                 std::int64_t day, const amount& cost) {
  constexpr const char* more =
      " SET spent_nanousd = spent_nanousd + ?, spent_tokens = spent_tokens + ?, spent_requests ="
      " spent_requests + ? WHERE id=?";
  const auto add = [&](const char* table, const std::string& id) {
    const auto sql = std::string("UPDATE ") + table + more;
    exec(db, sql.c_str(), cost.money, cost.tokens, cost.requests, id);
  };
  add("runs", run);
  add("lineages", lineage);
  exec(db,
       "INSERT INTO fleet_days (day, spent_nanousd, spent_tokens, spent_requests) VALUES (?,?,?,?)"
       " ON CONFLICT (day) DO UPDATE SET spent_nanousd = spent_nanousd + excluded.spent_nanousd,"
       " spent_tokens = spent_tokens + excluded.spent_tokens, spent_requests = spent_requests +"
       " excluded.spent_requests",
       day, cost.money, cost.tokens, cost.requests);
}

/// Whether nothing more need be said of the attempt. `given_back` grows by what it was charged too
/// much.
bool reconcile_one(SQLite::Database& db, const std::string& worker,
                   const records::late_accounts::account& told, std::int64_t now_ms,
                   amount& given_back) {
  SQLite::Statement row(db,
                        "SELECT a.worker_id, a.settled, l.reported, l.at_ms, i.run_id,"
                        " i.lineage_id, l.cost_nanousd, l.cost_tokens, l.cost_requests,"
                        " a.reserved_nanousd, a.reserved_tokens, a.reserved_requests FROM attempts"
                        " a JOIN items i ON i.id = a.item_id LEFT JOIN ledger l ON l.attempt_id ="
                        " a.id WHERE a.id=?");
  bind_all(row, told.attempt);
  if (!row.executeStep() || text(row, 0) != worker) return true;
  if (integer(row, 1) == 0) return false;  // its end may yet tell
  const bool is_orphan = static_cast<known_by>(integer(row, 2)) == known_by::nobody;
  if (!is_orphan) return true;
  amount charged, cost, less;
  for (const auto each : all_units) {
    const int place = static_cast<int>(each);
    charged[each] = integer(row, 6 + place);
    // What was bounded in it is given back. Of what was not, nobody has charged anything yet.
    const bool is_bounded = !row.isColumnNull(9 + place);
    const auto most = is_bounded ? std::min(charged[each], integer(row, 9 + place))
                                 : records::most_of_an_attempt[each];
    cost[each] = std::clamp<std::int64_t>(told.cost[each], 0, most);
    less[each] = cost[each] - charged[each];
    if (is_bounded) given_back[each] -= less[each];
  }
  exec(db, "UPDATE attempts SET cost_nanousd=?, cost_tokens=?, cost_requests=? WHERE id=?",
       cost.money, cost.tokens, cost.requests, told.attempt);
  exec(db,
       "UPDATE ledger SET cost_nanousd=?, cost_tokens=?, cost_requests=?, reported=?,"
       " charged_nanousd=?, charged_tokens=?, charged_requests=?, corrected_ms=? WHERE"
       " attempt_id=?",
       cost.money, cost.tokens, cost.requests, known_by::a_journal, charged.money, charged.tokens,
       charged.requests, now_ms, told.attempt);
  add_to_sums(db, text(row, 4), text(row, 5), integer(row, 3) / day_ms, less);
  return true;
}

}  // namespace

void book(SQLite::Database& db, const std::string& attempt, const std::optional<amount>& reported,
          std::int64_t now_ms) {
  SQLite::Statement row(db,
                        "SELECT i.run_id, i.lineage_id, a.reserved_nanousd,"
                        " COALESCE(a.reserved_tokens, 0), COALESCE(a.reserved_requests, 0) FROM"
                        " attempts a JOIN items i ON i.id = a.item_id WHERE a.id = ? AND"
                        " a.settled = 0");
  bind_all(row, attempt);
  if (!row.executeStep()) return;
  amount cost = reported.value_or(amount(integer(row, 2), integer(row, 3), integer(row, 4)));
  for (const auto each : all_units) {
    cost[each] = std::clamp<std::int64_t>(cost[each], 0, records::most_of_an_attempt[each]);
  }
  const std::string run = text(row, 0);
  exec(db,
       "UPDATE attempts SET settled=1, cost_nanousd=?, cost_tokens=?, cost_requests=? WHERE id=?",
       cost.money, cost.tokens, cost.requests, attempt);
  exec(db,
       "INSERT INTO ledger (run_id, attempt_id, cost_nanousd, cost_tokens, cost_requests, reported,"
       " at_ms) VALUES (?,?,?,?,?,?,?)",
       run, attempt, cost.money, cost.tokens, cost.requests,
       reported ? known_by::its_end : known_by::nobody, now_ms);
  add_to_sums(db, run, text(row, 1), now_ms / day_ms, cost);
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
    book(db, attempt, loss.cost, now_ms);
    return {};
  });
}

result<void> store::settle(const records::attempt_loss& loss, std::int64_t now_ms) {
  return impl_->transact([&]() -> result<void> {
    book(impl_->db, loss.attempt.str(), loss.cost, now_ms);
    return {};
  });
}

result<records::late_accounts_taken> store::reconcile(const records::late_accounts& told) {
  return impl_->transact([&]() -> result<records::late_accounts_taken> {
    records::late_accounts_taken taken;
    for (const auto& each : told.accounts) {
      if (reconcile_one(impl_->db, told.worker, each, told.now_ms, taken.given_back)) {
        taken.attempts.push_back(each.attempt);
      }
    }
    return taken;
  });
}

}  // namespace germline
