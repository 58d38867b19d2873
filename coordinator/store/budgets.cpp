// The part of the store, and of what reads it, that deals with what may be spent: by the whole
// coordinator, by runs, by lineages; of money, of tokens, of requests.
#include "common/log.hpp"
#include "common/unit_words.hpp"
#include "coordinator/store/purse.hpp"
#include "coordinator/store/reader_impl.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;
using sql::text;

template <class... Args>
void exec(SQLite::Database& db, const std::string& sql, const Args&... args) {
  sql::exec(db, sql.c_str(), args...);
}

error refused(const std::string& why) {
  return {error_code::failed_precondition, why};
}

void write_fleet_limit(SQLite::Database& db, unit of, const records::spending_limit& limit) {
  exec(db, "UPDATE fleet SET " + column("budget", of) + "=?, " + column("per_day", of) + "=?",
       limit.most, limit.per_day ? 1 : 0);
}

/// "a budget", "a token budget".
std::string a_budget(unit of) {
  return "a " + std::string(budget_word(of));
}

/// No less than what cannot be taken back.
result<void> check_covers_gone(unit of, std::int64_t budget, std::int64_t spent,
                               std::int64_t held) {
  if (budget >= spent + held) return {};
  const auto words = [of](std::int64_t value) { return format_amount(of, value); };
  return refused("a budget of " + words(budget) + " is less than what is spent, " + words(spent) +
                 ", and what attempts under way hold, " + words(held) + ": give " +
                 words(spent + held) + " or more");
}

/// What is looked at before a budget is set: of `whose` it is, a run's or a lineage's, and of the
/// run `r`. What one of the two needs besides comes behind.
std::string columns_of(const std::string& whose, unit of) {
  return "r.model, " + whose + "." + column("spent", of) + ", r.evaluation_budget_nanousd, r." +
         column("evaluation_budget", of) + ", r.limits";
}
constexpr int model_column = 0, spent_column = 1, measuring_column = 2, each_column = 3;
constexpr int limits_column = 4, own_column = 5;

/// Where candidates have a model: no less than one of their evaluations holds, or none would run.
result<void> check_covers_evaluation(SQLite::Statement& row, unit of, std::int64_t budget) {
  if (integer(row, measuring_column) == 0) return {};
  v1::IterationLimits limits;
  limits.ParseFromString(sql::bytes(row, limits_column));
  const auto said = integer(row, each_column);
  const auto each = said > 0 ? said : most_by_limits(limits)[of];
  if (budget >= each) return {};
  return refused(a_budget(of) + " of " + format_amount(of, budget) +
                 " does not cover an evaluation, which may " + std::string(words_of(of).take) +
                 " " + format_amount(of, each) +
                 (said > 0 ? "" : ", as nothing was said of it when the run began") + ": give " +
                 format_amount(of, each) + " or more");
}

result<void> check_covers(SQLite::Statement& row, unit of, std::int64_t budget, std::int64_t held) {
  GERMLINE_TRY(check_covers_gone(of, budget, integer(row, spent_column), held));
  return check_covers_evaluation(row, of, budget);
}

void write_budget(SQLite::Database& db, const std::string& table, const std::string& id, unit of,
                  std::int64_t budget) {
  exec(db, "UPDATE " + table + " SET " + column("budget", of) + "=? WHERE id=?", budget, id);
}

result<void> set_run_budget(SQLite::Database& db, const std::string& run, unit of,
                            const records::spending_limit& limit) {
  SQLite::Statement row(db, "SELECT " + columns_of("r", of) + " FROM runs r WHERE r.id=?");
  bind_all(row, run);
  if (!row.executeStep()) return error(error_code::not_found, "there is no run " + run);
  if (text(row, model_column).empty()) {
    return refused("the run asks no model and spends nothing: it needs no budget");
  }
  const auto budget = limit.most.value_or(0);
  if (budget == 0 && of == unit::money) {
    return refused(
        "a run that asks a model has a budget above $0; `germline pause` keeps its lineages from "
        "spending");
  }
  if (limit.most && budget == 0) {
    return refused(a_budget(of) +
                   " is above 0, or none; `germline pause` keeps a run's lineages from spending");
  }
  if (budget > 0) GERMLINE_TRY(check_covers(row, of, budget, held_by_run(db, run, of)));
  write_budget(db, "runs", run, of, budget);
  return {};
}

result<void> set_lineage_budget(SQLite::Database& db, const std::string& lineage, unit of,
                                const records::spending_limit& limit) {
  SQLite::Statement row(db, "SELECT " + columns_of("l", of) + ", r.id, r." + column("budget", of) +
                                " FROM lineages l JOIN runs r ON r.id = l.run_id WHERE l.id=?");
  bind_all(row, lineage);
  if (!row.executeStep()) return error(error_code::not_found, "there is no lineage " + lineage);
  const auto budget = limit.most.value_or(0);  // 0: none of its own
  if (limit.most && budget == 0) {
    return refused("a lineage's budget is above " + std::string(of == unit::money ? "$0" : "0") +
                   ", or none; `germline pause` keeps it from spending");
  }
  if (budget > 0) {
    if (text(row, model_column).empty()) {
      return refused("the lineage's run asks no model and spends nothing: it needs no budget");
    }
    const auto of_run = integer(row, own_column + 1);
    if (of_run > 0 && budget > of_run) {
      return refused("a lineage's budget is no more than its run's, " + format_amount(of, of_run) +
                     ": not " + format_amount(of, budget) + "; `germline budget " +
                     text(row, own_column) + "` tells of that, and raises it");
    }
    GERMLINE_TRY(check_covers(row, of, budget, held_by_lineage(db, lineage, of)));
  }
  write_budget(db, "lineages", lineage, of, budget);
  return {};
}

result<void> set_one(SQLite::Database& db, const records::budget_change& change, unit of,
                     const records::spending_limit& limit) {
  const bool is_fleet = change.run.empty() && change.lineage.empty();
  if (limit.per_day && !is_fleet) {
    return error(error_code::invalid_argument,
                 "a budget a day is the fleet's alone (--fleet); a run and a lineage have one in "
                 "all");
  }
  if (!change.lineage.empty()) return set_lineage_budget(db, change.lineage.str(), of, limit);
  if (!change.run.empty()) return set_run_budget(db, change.run.str(), of, limit);
  write_fleet_limit(db, of, limit);
  return {};
}

}  // namespace

result<void> store::set_budget(const records::budget_change& change) {
  return impl_->transact([&]() -> result<void> {
    for (const auto each : all_units) {
      if (const auto& limit = change.of(each)) {
        GERMLINE_TRY(set_one(impl_->db, change, each, *limit));
      }
    }
    return {};
  });
}

result<void> store::configure_fleet_budget(unit of, const std::string& said) {
  auto& db = impl_->db;
  const auto configured = column("configured", of);
  if (said.empty()) {  // what is said at the next start is news, whatever was said before
    return impl_->transact([&]() -> result<void> {
      exec(db, "UPDATE fleet SET " + configured + "=''");
      return {};
    });
  }
  GERMLINE_TRY_ASSIGN(const auto limit, parse_spending_limit(of, said));
  return impl_->transact([&]() -> result<void> {
    SQLite::Statement row(db, "SELECT " + configured + " FROM fleet");
    row.executeStep();
    if (text(row, 0) == said) {
      log_info(
          "the fleet's {} stays as it is: {} was said at the start before as well, and what "
          "`germline budget --fleet` has made of it since holds",
          budget_word(of), said);
      return {};
    }
    records::spending_limit parsed;
    if (!limit.is_none) parsed.most = limit.most;
    parsed.per_day = limit.per_day;
    write_fleet_limit(db, of, parsed);
    exec(db, "UPDATE fleet SET " + configured + "=?", said);
    if (parsed.most == 0) {
      log_warning("the fleet's {} is {}: nothing that asks a model will run", budget_word(of),
                  format_amount(of, 0));
    }
    return {};
  });
}

namespace {

/// What is told of a purse in one unit.
struct told {
  std::optional<std::int64_t> budget;
  bool per_day = false;
  std::int64_t spent = 0, spent_in_all = 0, held = 0, unreconciled = 0, unbounded = 0;
};

void put(v1::Purse& out, unit of, const told& what) {
  if (of == unit::money) {
    if (what.budget) out.set_budget_nanousd(*what.budget);
    out.set_per_day(what.per_day);
    out.set_spent_nanousd(what.spent);
    out.set_spent_in_all_nanousd(what.spent_in_all);
    out.set_held_nanousd(what.held);
    out.set_unreconciled_nanousd(what.unreconciled);
    return;
  }
  auto& counted = of == unit::tokens ? *out.mutable_tokens() : *out.mutable_requests();
  if (what.budget) counted.set_budget(*what.budget);
  counted.set_per_day(what.per_day);
  counted.set_spent(what.spent);
  counted.set_spent_in_all(what.spent_in_all);
  counted.set_held(what.held);
  counted.set_unreconciled(what.unreconciled);
  counted.set_unbounded_attempts(static_cast<std::int32_t>(what.unbounded));
}

/// Of attempts that ask a model, and hold nothing of the unit.
std::string is_unbounded(unit of) {
  return "a." + column("reserved", of) + " IS NULL AND a.reserved_nanousd > 0";
}

constexpr int columns_of_unit = 5;

/// Columns of what the attempts of `its` items come to: what is held, and by how many nothing; and
/// what of the ledger's `lines` is not reconciled.
std::string gone(unit of, const std::string& its, const std::string& lines) {
  const auto attempts =
      " FROM attempts a JOIN items i ON i.id = a.item_id WHERE " + its + " AND a.settled = 0";
  return "(SELECT COALESCE(SUM(a." + column("reserved", of) + "), 0)" + attempts +
         "), (SELECT COALESCE(SUM(g." + column("cost", of) + "), 0) FROM ledger g" + lines +
         " AND g.reported = 0), (SELECT COUNT(*)" + attempts + " AND " + is_unbounded(of) + ")";
}

std::string select_runs() {
  std::string sql = "SELECT r.id, r.name, r.model";
  for (const auto of : all_units) {
    sql += ", r." + column("budget", of) + ", r." + column("spent", of) + ", " +
           gone(of, "i.run_id = r.id", " WHERE g.run_id = r.id");
  }
  return sql + " FROM runs r";
}

std::string select_lineages() {
  std::string sql = "SELECT l.id, l.run_id, r.model";
  for (const auto of : all_units) {
    sql += ", COALESCE(l." + column("budget", of) + ", r." + column("lineage_budget", of) +
           "), l." + column("spent", of) + ", " +
           gone(of, "i.lineage_id = l.id",
                " JOIN attempts a ON a.id = g.attempt_id JOIN items i ON i.id = a.item_id WHERE"
                " g.run_id = l.run_id AND i.lineage_id = l.id");
  }
  return sql + " FROM lineages l JOIN runs r ON r.id = l.run_id";
}

/// Of a row of one of the two. What asks no model spends nothing, and has no budget.
void read_purse(SQLite::Statement& row, bool is_run, v1::Purse& out) {
  const bool asks = !text(row, 2).empty();
  for (const auto of : all_units) {
    const int at = 3 + columns_of_unit * static_cast<int>(of);
    told what;
    const auto budget = integer(row, at);
    const bool has_always = is_run && of == unit::money;
    if (asks && (budget > 0 || has_always)) what.budget = budget;
    what.spent = what.spent_in_all = integer(row, at + 1);
    what.held = integer(row, at + 2);
    what.unreconciled = integer(row, at + 3);
    what.unbounded = integer(row, at + 4);
    put(out, of, what);
  }
}

void read_fleet(SQLite::Database& db, std::int64_t now_ms, v1::Purse& out) {
  for (const auto of : all_units) {
    const auto fleet = read_fleet_purse(db, of, now_ms);
    told what{fleet.budget, fleet.per_day, fleet.spent, fleet.spent_in_all, fleet.held};
    SQLite::Statement rest(db, "SELECT (SELECT COALESCE(SUM(" + column("cost", of) +
                                   "), 0) FROM ledger WHERE reported=0), (SELECT COUNT(*) FROM"
                                   " attempts a WHERE a.settled = 0 AND " +
                                   is_unbounded(of) + ")");
    rest.executeStep();
    what.unreconciled = integer(rest, 0);
    what.unbounded = integer(rest, 1);
    put(out, of, what);
  }
}

// Each is asked for by itself what the budgets would let it hold.
constexpr int most_paused_told = 256;

/// Of all lineages, of a run's, or of one.
void read_paused(SQLite::Database& db, const std::optional<resolved_target>& target,
                 std::int64_t now_ms, v1::Budgets& out) {
  const bool is_run = target && target->what == resolved_target::kind::run;
  SQLite::Statement row(db,
                        "SELECT id, live_item FROM lineages WHERE state = ?1 AND pause_reason = ?2"
                        " AND (?3 = '' OR run_id = ?3) AND (?4 = '' OR id = ?4)"
                        " ORDER BY run_id, ordinal LIMIT ?5");
  bind_all(row, v1::LINEAGE_STATE_PAUSED, v1::PAUSE_REASON_BUDGET, is_run ? target->run : "",
           target && !is_run ? target->id : "", most_paused_told);
  while (row.executeStep()) {
    auto& paused = *out.add_paused();
    paused.set_lineage_id(text(row, 0));
    if (text(row, 1).empty()) continue;  // it has not asked for the next iteration's share yet
    const auto held = check_can_hold(db, text(row, 1), now_ms);
    if (held) continue;
    paused.set_still(held.error().message());
    paused.set_waits(held.error().code() == error_code::permission_denied);
  }
}

}  // namespace

result<v1::Budgets> record_reader::budgets(const std::optional<resolved_target>& target,
                                           std::int64_t now_ms) {
  return impl_->locked([&]() -> result<v1::Budgets> {
    auto& db = impl_->db;
    SQLite::Transaction moment(db);  // all of one moment
    v1::Budgets out;
    read_fleet(db, now_ms, *out.mutable_fleet());
    read_paused(db, target, now_ms, out);
    const std::string where = target ? " WHERE r.id = ?" : " ORDER BY r.created_ms DESC, r.id DESC";
    SQLite::Statement runs(db, select_runs() + where);
    if (target) bind_all(runs, target->run);
    while (runs.executeStep()) {
      auto& run = *out.add_runs();
      run.set_id(text(runs, 0));
      run.set_name(text(runs, 1));
      read_purse(runs, true, run);
    }
    if (!target) return out;
    const bool is_run = target->what == resolved_target::kind::run;
    SQLite::Statement lineages(db, select_lineages() +
                                       (is_run ? " WHERE l.run_id=?" : " WHERE l.id=?") +
                                       " ORDER BY l.ordinal");
    bind_all(lineages, is_run ? target->run : target->id);
    while (lineages.executeStep()) {
      auto& lineage = *out.add_lineages();
      lineage.set_id(text(lineages, 0));
      read_purse(lineages, false, lineage);
    }
    return out;
  });
}

}  // namespace germline
