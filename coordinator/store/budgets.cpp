// The part of the store, and of what reads it, that deals with what may be spent: by the whole
// coordinator, by runs, by lineages.
#include "common/log.hpp"
#include "common/money.hpp"
#include "coordinator/store/purse.hpp"
#include "coordinator/store/reader_impl.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

void write_fleet_limit(SQLite::Database& db, const records::spending_limit& limit) {
  exec(db, "UPDATE fleet SET budget_nanousd=?, per_day=?", limit.nanousd, limit.per_day ? 1 : 0);
}

/// No less than what cannot be taken back.
result<void> check_covers(std::int64_t budget, std::int64_t spent, std::int64_t held) {
  if (budget >= spent + held) return {};
  return error(error_code::failed_precondition,
               "a budget of " + format_usd(budget) + " is less than what is spent, " +
                   format_usd(spent) + ", and what attempts under way hold, " + format_usd(held) +
                   ": give " + format_usd(spent + held) + " or more");
}

result<void> set_run_budget(SQLite::Database& db, const records::budget_change& change) {
  const auto run = change.run.str();
  SQLite::Statement row(db, "SELECT spent_nanousd, model FROM runs WHERE id=?");
  bind_all(row, run);
  if (!row.executeStep()) return error(error_code::not_found, "there is no run " + run);
  if (text(row, 1).empty()) {
    return error(error_code::failed_precondition,
                 "the run asks no model and spends nothing: it needs no budget");
  }
  if (!change.limit.nanousd || *change.limit.nanousd == 0) {
    return error(error_code::failed_precondition,
                 "a run that asks a model has a budget above $0; `germline pause` keeps its "
                 "lineages from spending");
  }
  GERMLINE_TRY(check_covers(*change.limit.nanousd, integer(row, 0), held_by_run(db, run)));
  exec(db, "UPDATE runs SET budget_nanousd=? WHERE id=?", *change.limit.nanousd, run);
  return {};
}

result<void> set_lineage_budget(SQLite::Database& db, const records::budget_change& change) {
  const auto lineage = change.lineage.str();
  SQLite::Statement row(db, "SELECT spent_nanousd FROM lineages WHERE id=?");
  bind_all(row, lineage);
  if (!row.executeStep()) return error(error_code::not_found, "there is no lineage " + lineage);
  const auto budget = change.limit.nanousd.value_or(0);  // 0: none of its own
  if (change.limit.nanousd && budget == 0) {
    return error(
        error_code::failed_precondition,
        "a lineage's budget is above $0, or none; `germline pause` keeps it from spending");
  }
  if (budget > 0) {
    GERMLINE_TRY(check_covers(budget, integer(row, 0), held_by_lineage(db, lineage)));
  }
  exec(db, "UPDATE lineages SET budget_nanousd=? WHERE id=?", budget, lineage);
  return {};
}

}  // namespace

result<void> store::set_budget(const records::budget_change& change) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    const bool is_fleet = change.run.empty() && change.lineage.empty();
    if (change.limit.per_day && !is_fleet) {
      return error(error_code::invalid_argument,
                   "a budget a day is the fleet's alone (--fleet); a run and a lineage have one in "
                   "all");
    }
    if (!change.lineage.empty()) return set_lineage_budget(db, change);
    if (!change.run.empty()) return set_run_budget(db, change);
    write_fleet_limit(db, change.limit);
    return {};
  });
}

result<void> store::configure_fleet_budget(const std::string& said, std::int64_t) {
  auto& db = impl_->db;
  if (said.empty()) {  // what is said at the next start is news, whatever was said before
    return impl_->transact([&]() -> result<void> {
      exec(db, "UPDATE fleet SET configured=''");
      return {};
    });
  }
  GERMLINE_TRY_ASSIGN(const auto limit, parse_spending_limit(said));
  return impl_->transact([&]() -> result<void> {
    SQLite::Statement row(db, "SELECT configured FROM fleet");
    row.executeStep();
    if (text(row, 0) == said) {
      log_info(
          "the fleet's budget stays as it is: {} was said at the start before as well, and "
          "what `germline budget --fleet` has made of it since holds",
          said);
      return {};
    }
    records::spending_limit parsed;
    if (!limit.is_none) parsed.nanousd = limit.nanousd;
    parsed.per_day = limit.per_day;
    write_fleet_limit(db, parsed);
    exec(db, "UPDATE fleet SET configured=?", said);
    return {};
  });
}

namespace {

/// Three columns: what is spent, what is held, and what of the spent is not reconciled.
void read_gone(SQLite::Statement& row, int i, v1::Purse& out) {
  out.set_spent_nanousd(integer(row, i));
  out.set_spent_in_all_nanousd(integer(row, i));
  out.set_held_nanousd(integer(row, i + 1));
  out.set_unreconciled_nanousd(integer(row, i + 2));
}

constexpr const char* select_runs =
    "SELECT r.id, r.name, r.model, r.budget_nanousd, r.spent_nanousd, (SELECT"
    " COALESCE(SUM(a.reserved_nanousd), 0) FROM attempts a JOIN items i ON i.id = a.item_id WHERE"
    " i.run_id = r.id AND a.settled = 0), (SELECT COALESCE(SUM(l.nanousd), 0) FROM ledger l WHERE"
    " l.run_id = r.id AND l.reported = 0) FROM runs r";
constexpr const char* select_lineages =
    "SELECT l.id, COALESCE(l.budget_nanousd, r.lineage_budget_nanousd), l.spent_nanousd, (SELECT"
    " COALESCE(SUM(a.reserved_nanousd), 0) FROM attempts a JOIN items i ON i.id = a.item_id WHERE"
    " i.lineage_id = l.id AND a.settled = 0), (SELECT COALESCE(SUM(g.nanousd), 0) FROM ledger g"
    " JOIN attempts a ON a.id = g.attempt_id JOIN items i ON i.id = a.item_id WHERE g.run_id ="
    " l.run_id AND g.reported = 0 AND i.lineage_id = l.id) FROM lineages l JOIN runs r ON r.id ="
    " l.run_id";

}  // namespace

result<v1::Budgets> record_reader::budgets(const std::optional<resolved_target>& target,
                                           std::int64_t now_ms) {
  return impl_->locked([&]() -> result<v1::Budgets> {
    auto& db = impl_->db;
    SQLite::Transaction moment(db);  // all of one moment
    v1::Budgets out;
    const auto fleet = read_fleet_purse(db, now_ms);
    auto& all = *out.mutable_fleet();
    if (fleet.budget) all.set_budget_nanousd(*fleet.budget);
    all.set_per_day(fleet.per_day);
    all.set_spent_nanousd(fleet.spent);
    all.set_spent_in_all_nanousd(fleet.spent_in_all);
    all.set_held_nanousd(fleet.held);
    SQLite::Statement orphans(db, "SELECT COALESCE(SUM(nanousd), 0) FROM ledger WHERE reported=0");
    orphans.executeStep();
    all.set_unreconciled_nanousd(integer(orphans, 0));

    const std::string where = target ? " WHERE r.id = ?" : " ORDER BY r.created_ms DESC, r.id DESC";
    SQLite::Statement runs(db, select_runs + where);
    if (target) bind_all(runs, target->run);
    while (runs.executeStep()) {
      auto& run = *out.add_runs();
      run.set_id(text(runs, 0));
      run.set_name(text(runs, 1));
      // What asks no model spends nothing, and has no budget.
      if (!text(runs, 2).empty()) run.set_budget_nanousd(integer(runs, 3));
      read_gone(runs, 4, run);
    }
    if (!target) return out;
    const bool is_run = target->what == resolved_target::kind::run;
    SQLite::Statement lineages(db, std::string(select_lineages) +
                                       (is_run ? " WHERE l.run_id=?" : " WHERE l.id=?") +
                                       " ORDER BY l.ordinal");
    bind_all(lineages, is_run ? target->run : target->id);
    while (lineages.executeStep()) {
      auto& lineage = *out.add_lineages();
      lineage.set_id(text(lineages, 0));
      if (integer(lineages, 1) > 0) lineage.set_budget_nanousd(integer(lineages, 1));
      read_gone(lineages, 2, lineage);
    }
    return out;
  });
}

}  // namespace germline
