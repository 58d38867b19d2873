#include "coordinator/store/purse.hpp"

#include <algorithm>

#include "common/money.hpp"
#include "coordinator/store/sql.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;

constexpr std::int64_t smallest_slice_nanousd = 1'000'000'000;  // one dollar

std::int64_t held_where(SQLite::Database& db, const char* where, const std::string& value) {
  SQLite::Statement held(db, std::string("SELECT COALESCE(SUM(a.reserved_nanousd), 0) FROM attempts"
                                         " a JOIN items i ON i.id = a.item_id WHERE a.settled = 0"
                                         " AND ") +
                                 where + " = ?");
  bind_all(held, value);
  held.executeStep();
  return integer(held, 0);
}

/// What is to be left to the evaluations that wait, and to those of what live iterations may bear,
/// and `more`: an iteration whose generation could not be measured is not worth its money. To what
/// measures again nothing is left before another that does.
std::int64_t kept_for_evaluations(SQLite::Database& db, const purse& of, int more) {
  if (of.each_evaluation == 0) return 0;
  SQLite::Statement row(
      db,
      "SELECT COUNT(*) FILTER (WHERE i.kind = 3 AND NOT live), COUNT(*) FILTER (WHERE i.kind = 2"
      " AND live) FROM (SELECT i.kind, EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND"
      " a.settled = 0) AS live FROM items i WHERE i.run_id = ? AND i.ending = 0 AND NOT (? AND"
      " i.asked_by <> '')) i");
  bind_all(row, of.run, of.measures_again ? 1 : 0);
  row.executeStep();
  const auto waiting = integer(row, 0) + of.evaluations * (integer(row, 1) + more);
  return waiting > of.budget / of.each_evaluation ? of.budget : waiting * of.each_evaluation;
}

/// The same for evaluations of what the lineage bore, and of what its next iteration would bear.
/// No more than `most`.
std::int64_t kept_in_lineage(SQLite::Database& db, const purse& of, std::int64_t most) {
  if (of.each_evaluation == 0) return 0;
  SQLite::Statement row(
      db,
      "SELECT COUNT(*) FROM items i WHERE i.lineage_id = ? AND i.ending = 0 AND i.kind = 3 AND NOT"
      " EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND a.settled = 0)");
  bind_all(row, of.lineage);
  row.executeStep();
  const auto waiting = integer(row, 0) + of.evaluations;
  return waiting > most / of.each_evaluation ? most : waiting * of.each_evaluation;
}

/// And of all runs. What a run keeps for them is no more than its budget.
std::int64_t kept_in_fleet(SQLite::Database& db) {
  SQLite::Statement row(
      db,
      "SELECT COALESCE(SUM(MIN(kept, budget)), 0) FROM (SELECT r.budget_nanousd AS budget, SUM(CASE"
      " WHEN i.kind = 3 AND NOT live THEN r.evaluation_budget_nanousd WHEN i.kind = 2 AND live THEN"
      " r.evaluation_budget_nanousd * r.evaluations ELSE 0 END) AS kept FROM (SELECT x.kind,"
      " x.run_id, EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = x.id AND a.settled = 0) AS"
      " live FROM items x WHERE x.ending = 0) i JOIN runs r ON r.id = i.run_id WHERE"
      " r.evaluation_budget_nanousd > 0 GROUP BY r.id)");
  row.executeStep();
  return integer(row, 0);
}

/// How many lineages an iteration of which may hold money next: of one run, or, where it is empty,
/// of all.
std::int64_t waiting_lineages(SQLite::Database& db, const std::string& run) {
  SQLite::Statement waiting(
      db,
      "SELECT COUNT(*) FROM lineages l WHERE (?1 = '' OR l.run_id = ?1) AND l.state = 1 AND NOT"
      " EXISTS (SELECT 1 FROM items i JOIN attempts a ON a.item_id = i.id WHERE i.lineage_id = l.id"
      " AND i.kind = 2 AND a.settled = 0)");
  bind_all(waiting, run);
  waiting.executeStep();
  return std::max<std::int64_t>(1, integer(waiting, 0));
}

/// What the next lease of an iteration may hold of what is free: a share that leaves room for the
/// other lineages and shrinks towards the end. At least 1 where `free` is no less than `shares`.
std::int64_t next_slice(std::int64_t free, std::int64_t shares, std::int64_t limit) {
  const auto slice = std::max(free / (2 * shares), std::min(free / shares, smallest_slice_nanousd));
  return limit > 0 ? std::min(slice, limit) : slice;
}

/// Money that is held now and may come free.
error held_now(const std::string& what) {
  return {error_code::permission_denied, what};
}

std::string usd(std::int64_t amount) {
  return format_usd(std::max<std::int64_t>(0, amount));
}

// How each of them is raised, for people.
std::string to_raise_lineage(const purse& of) {
  return ": raise it with `germline budget " + of.lineage + " USD`, then `germline resume " +
         of.lineage + "`";
}
constexpr const char* to_raise_fleet = "raise it with `germline budget --fleet USD`";

std::string fleet_words(const fleet_purse& fleet) {
  return "the fleet's budget of " + usd(fleet.budget.value_or(0)) + (fleet.per_day ? " a day" : "");
}

/// That the fleet has no room for what needs `asked` of it, and keeps `kept` for others; none where
/// it has.
std::optional<error> no_room_in_fleet(const fleet_purse& fleet, std::int64_t asked,
                                      std::int64_t kept) {
  if (!fleet.budget) return std::nullopt;
  const auto left = *fleet.budget - fleet.spent;
  if (asked <= left - fleet.held - kept) return std::nullopt;
  const auto needs = asked > 1 ? "; what is next needs " + usd(asked) : std::string();
  if (asked <= left) {
    return held_now("other attempts, or evaluations, to end: " + fleet_words(fleet) + " has " +
                    usd(left) + " left, which they hold or is kept for them" + needs + "; " +
                    to_raise_fleet);
  }
  const auto is_spent =
      fleet_words(fleet) + (left > 0 ? " has " + usd(left) + " left" : " is spent") + needs + ": ";
  if (fleet.per_day && asked <= *fleet.budget) {
    return held_now("the next day, 00:00 UTC: " + is_spent + to_raise_fleet);
  }
  if (fleet.per_day) return held_now("more money a day: " + is_spent + to_raise_fleet);
  return error(error_code::resource_exhausted,
               is_spent + to_raise_fleet + ", then `germline resume` the lineages");
}

result<std::int64_t> reserve_evaluation(SQLite::Database& db, const purse& of,
                                        std::int64_t now_ms) {
  const auto costs = "an evaluation may cost " + format_usd(of.each_evaluation) + ", and of ";
  const auto each = costs + format_usd(of.budget) + " the run has ";
  if (of.left() < of.each_evaluation) {
    return error(error_code::resource_exhausted, each + usd(of.left()) + " left");
  }
  const auto kept = of.measures_again ? kept_for_evaluations(db, of, 0) : 0;
  const auto free = std::max<std::int64_t>(0, of.left() - held_by_run(db, of.run) - kept);
  if (free < of.each_evaluation) {
    const auto whom = of.measures_again ? "other attempts, or evaluations," : "other attempts";
    return held_now(std::string(whom) + " to end: " + each + format_usd(free) +
                    " that they do not hold" +
                    (of.measures_again ? ", or that is not kept for them" : ""));
  }
  if (of.lineage_budget > 0) {
    const auto left = of.lineage_budget - of.lineage_spent;
    const auto words = costs + format_usd(of.lineage_budget) + " the lineage has ";
    if (left < of.each_evaluation) {
      return error(error_code::resource_exhausted,
                   words + usd(left) + " left" + to_raise_lineage(of));
    }
    const auto loose = left - held_by_lineage(db, of.lineage);
    if (loose < of.each_evaluation) {
      return held_now("the lineage's other attempts to end: " + words + usd(loose) +
                      " that they do not hold");
    }
  }
  GERMLINE_TRY(check_fleet(db, of.each_evaluation, now_ms));
  return of.each_evaluation;
}

/// Of what the lineage itself has; `least` is what an iteration holds at least.
result<std::int64_t> free_in_lineage(SQLite::Database& db, const purse& of, std::int64_t least) {
  const auto left = of.lineage_budget - of.lineage_spent;
  const auto kept = kept_in_lineage(db, of, of.lineage_budget);
  const auto free = left - held_by_lineage(db, of.lineage) - kept;
  if (free >= least) return free;
  const auto words = "the lineage's budget of " + usd(of.lineage_budget);
  if (left - of.evaluations * of.each_evaluation >= least) {
    return held_now("other attempts, or evaluations, to end: what is left of " + words +
                    " is held by them or kept for them");
  }
  const auto why = of.each_evaluation > 0
                       ? words +
                             " does not cover an iteration and the evaluations of what it "
                             "would bear"
                       : words + " is spent";
  return error(error_code::resource_exhausted, why + to_raise_lineage(of));
}

/// What bounds a slice most: its budget, and when it may have more.
struct narrowest {
  std::int64_t slice = 0;
  std::string whose;
  std::string to_raise;
  bool is_held = false;    // by others, in part
  std::string comes_with;  // a time at which there is more; empty: none
};

/// That the slice covers no request of the lineage's agent: its last iteration held no less, and
/// could not ask for anything. Others would end so, one after the other, for good.
std::optional<error> too_little(SQLite::Database& db, const purse& of, const narrowest& least_of) {
  const bool by_limits = of.each_iteration > 0 && least_of.slice >= of.each_iteration;
  if (!of.agents_ask || by_limits) return std::nullopt;
  SQLite::Statement last(db,
                         "SELECT i.ending = 4 AND i.reason = 'budget' AND a.cost_nanousd = 0,"
                         " a.reserved_nanousd FROM items i JOIN attempts a ON a.item_id = i.id AND"
                         " a.state = 3 WHERE i.lineage_id = ? AND i.kind = 2 AND i.ending <> 0"
                         " ORDER BY i.rowid DESC LIMIT 1");
  bind_all(last, of.lineage);
  if (!last.executeStep() || integer(last, 0) == 0) return std::nullopt;
  if (least_of.slice > integer(last, 1)) return std::nullopt;
  const auto why = "of " + least_of.whose + " an iteration would have " + usd(least_of.slice) +
                   ", and with " + usd(integer(last, 1)) +
                   " the last one could not ask its model for anything; " + least_of.to_raise;
  if (least_of.is_held) return held_now("other attempts to end: " + why);
  if (!least_of.comes_with.empty()) return held_now(least_of.comes_with + ": " + why);
  return error(error_code::resource_exhausted, why + ", then `germline resume` the lineage");
}

result<std::int64_t> reserve_iteration(SQLite::Database& db, const purse& of, std::int64_t now_ms) {
  const std::int64_t least = of.agents_ask ? waiting_lineages(db, of.run) : 0;
  const std::int64_t free = of.left() - held_by_run(db, of.run) - kept_for_evaluations(db, of, 1);
  if (free < least) {
    const bool may_come_free = of.left() - of.evaluations * of.each_evaluation >= least;
    if (may_come_free) {
      return held_now(
          "other attempts, or evaluations, to end: what is left of the run's budget is "
          "held by them or kept for them");
    }
    const std::string why =
        of.each_evaluation > 0
            ? "the run's budget does not cover an iteration and the evaluations of what it "
              "would bear"
            : "the run's budget is spent";
    return error(error_code::resource_exhausted, why + ": raise it with `germline budget " +
                                                     of.run +
                                                     " USD`, then `germline resume` the lineage");
  }
  const std::int64_t own_least = of.agents_ask ? 1 : 0;
  narrowest least_of{of.agents_ask ? next_slice(free, least, of.each_iteration) : 0,
                     "the run's budget", "raise it with `germline budget " + of.run + " USD`",
                     held_by_run(db, of.run) > 0, ""};
  if (of.lineage_budget > 0) {
    GERMLINE_TRY_ASSIGN(const auto own, free_in_lineage(db, of, own_least));
    if (own < least_of.slice) {
      least_of = {own, "the lineage's budget",
                  "raise it with `germline budget " + of.lineage + " USD`",
                  held_by_lineage(db, of.lineage) > 0, ""};
    }
  }
  const auto fleet = read_fleet_purse(db, now_ms);
  if (fleet.budget) {
    // What it would bear is to be measured, as what others bore and would bear.
    const auto kept = kept_in_fleet(db);
    const auto to_measure = of.evaluations * of.each_evaluation;
    if (auto why = no_room_in_fleet(fleet, own_least + to_measure, kept)) return *why;
    const auto in_all = *fleet.budget - fleet.spent - fleet.held - kept - to_measure;
    const auto share =
        std::max<std::int64_t>(own_least, next_slice(in_all, waiting_lineages(db, ""), 0));
    if (share < least_of.slice) {
      least_of = {share, fleet_words(fleet), to_raise_fleet, fleet.held > 0,
                  fleet.per_day ? "the next day, 00:00 UTC" : ""};
    }
  }
  if (auto why = too_little(db, of, least_of)) return *why;
  return least_of.slice;
}

}  // namespace

std::int64_t held_by_run(SQLite::Database& db, const std::string& run) {
  return held_where(db, "i.run_id", run);
}
std::int64_t held_by_lineage(SQLite::Database& db, const std::string& lineage) {
  return held_where(db, "i.lineage_id", lineage);
}

fleet_purse read_fleet_purse(SQLite::Database& db, std::int64_t now_ms) {
  fleet_purse out;
  SQLite::Statement row(
      db,
      "SELECT budget_nanousd, per_day, (SELECT COALESCE(SUM(spent_nanousd), 0) FROM fleet_days),"
      " (SELECT COALESCE(SUM(spent_nanousd), 0) FROM fleet_days WHERE day = ?),"
      " (SELECT COALESCE(SUM(reserved_nanousd), 0) FROM attempts WHERE settled = 0) FROM fleet");
  bind_all(row, now_ms / day_ms);
  row.executeStep();
  if (!row.isColumnNull(0)) out.budget = integer(row, 0);
  out.per_day = integer(row, 1) != 0;
  out.spent_in_all = integer(row, 2);
  out.spent = out.per_day ? integer(row, 3) : out.spent_in_all;
  out.held = integer(row, 4);
  return out;
}

result<void> check_fleet(SQLite::Database& db, std::int64_t asked, std::int64_t now_ms) {
  if (asked == 0) return {};
  if (auto why = no_room_in_fleet(read_fleet_purse(db, now_ms), asked, 0)) return *why;
  return {};
}

result<std::int64_t> reserve(SQLite::Database& db, v1::WorkKind kind, const purse& of,
                             std::int64_t now_ms) {
  if (of.budget == 0) return 0;
  if (kind == v1::WORK_KIND_EVALUATE && of.each_evaluation > 0) {
    return reserve_evaluation(db, of, now_ms);
  }
  const bool spends = of.agents_ask || of.each_evaluation > 0;
  if (kind != v1::WORK_KIND_ITERATE || !spends) return 0;
  return reserve_iteration(db, of, now_ms);
}

}  // namespace germline
