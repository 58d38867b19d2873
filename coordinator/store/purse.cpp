#include "coordinator/store/purse.hpp"

#include <algorithm>

#include "common/money.hpp"
#include "coordinator/store/sql.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;

constexpr std::int64_t smallest_slice_nanousd = 1'000'000'000;  // one dollar

/// What attempts hold that are not settled.
std::int64_t held_of(SQLite::Database& db, const std::string& run) {
  SQLite::Statement held(db,
                         "SELECT COALESCE(SUM(a.reserved_nanousd), 0) FROM attempts a JOIN items i"
                         " ON i.id = a.item_id WHERE i.run_id = ? AND a.settled = 0");
  bind_all(held, run);
  held.executeStep();
  return integer(held, 0);
}

/// What is to be left to the evaluations that wait, and to those of what live iterations may bear,
/// and `more`: an iteration whose generation could not be measured is not worth its money. To what
/// measures again nothing is left before another that does.
std::int64_t kept_for_evaluations(SQLite::Database& db, const std::string& run, const purse& of,
                                  int more) {
  if (of.each_evaluation == 0) return 0;
  SQLite::Statement row(
      db,
      "SELECT COUNT(*) FILTER (WHERE i.kind = 3 AND NOT live), COUNT(*) FILTER (WHERE i.kind = 2"
      " AND live) FROM (SELECT i.kind, EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND"
      " a.settled = 0) AS live FROM items i WHERE i.run_id = ? AND i.ending = 0 AND NOT (? AND"
      " i.asked_by <> '')) i");
  bind_all(row, run, of.measures_again ? 1 : 0);
  row.executeStep();
  const auto waiting = integer(row, 0) + of.evaluations * (integer(row, 1) + more);
  return waiting > of.budget / of.each_evaluation ? of.budget : waiting * of.each_evaluation;
}

/// How many lineages an iteration of which may hold money next.
std::int64_t waiting_lineages(SQLite::Database& db, const std::string& run) {
  SQLite::Statement waiting(
      db,
      "SELECT COUNT(*) FROM lineages l WHERE l.run_id = ? AND l.state = 1 AND NOT EXISTS (SELECT 1"
      " FROM items i JOIN attempts a ON a.item_id = i.id WHERE i.lineage_id = l.id AND"
      " i.kind = 2 AND a.settled = 0)");
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

}  // namespace

result<std::int64_t> reserve(SQLite::Database& db, const std::string& run, v1::WorkKind kind,
                             const purse& of) {
  if (of.budget == 0) return 0;
  if (kind == v1::WORK_KIND_EVALUATE && of.each_evaluation > 0) {
    const auto each = "an evaluation may cost " + format_usd(of.each_evaluation) + ", and of " +
                      format_usd(of.budget) + " the run has ";
    if (of.left() < of.each_evaluation) {
      return error(error_code::resource_exhausted,
                   each + format_usd(std::max<std::int64_t>(0, of.left())) + " left");
    }
    const auto kept = of.measures_again ? kept_for_evaluations(db, run, of, 0) : 0;
    const auto free = std::max<std::int64_t>(0, of.left() - held_of(db, run) - kept);
    if (free < of.each_evaluation) {
      const auto whom = of.measures_again ? "other attempts, or evaluations," : "other attempts";
      return held_now(std::string(whom) + " to end: " + each + format_usd(free) +
                      " that they do not hold" +
                      (of.measures_again ? ", or that is not kept for them" : ""));
    }
    return of.each_evaluation;
  }
  if (kind != v1::WORK_KIND_ITERATE || (!of.agents_ask && of.each_evaluation == 0)) return 0;
  const std::int64_t least = of.agents_ask ? waiting_lineages(db, run) : 0;
  const std::int64_t free = of.left() - held_of(db, run) - kept_for_evaluations(db, run, of, 1);
  if (free >= least) return of.agents_ask ? next_slice(free, least, of.each_iteration) : 0;
  const bool may_come_free =
      of.each_evaluation > 0 && of.left() - of.evaluations * of.each_evaluation >= least;
  if (may_come_free) {
    return held_now(
        "other attempts, or evaluations, to end: what is left of the run's budget is "
        "held by them or kept for them");
  }
  return error(error_code::resource_exhausted,
               of.each_evaluation > 0
                   ? "the run's budget does not cover an iteration and the evaluations of what it "
                     "would bear"
                   : "the run's budget is spent or held by other attempts");
}

}  // namespace germline
