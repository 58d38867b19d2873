#include "coordinator/store/history.hpp"

#include <algorithm>
#include <tuple>

#include "coordinator/store/sql.hpp"
#include "germline/v1/control.pb.h"
#include "germline/v1/types.pb.h"

namespace germline::store_history {
namespace {

using sql::bind_all;
using sql::integer;
using sql::text;

// By the evaluations that were made with the birth: what it is measured again later does not
// change what was known of it.
constexpr const char* select_measures =
    "SELECT i.parent_generation, AVG(s.score), MAX(i.ended_ms) FROM items i LEFT JOIN scores s ON"
    " s.item_id = i.id WHERE i.kind = 3 AND i.asked_by = '' AND ";
constexpr const char* once_all_ended =
    " GROUP BY i.parent_generation HAVING MIN(i.ending) > 0 ORDER BY 3, 1";

/// Of which generation its scores are: itself, unless that had its source before.
constexpr const char* whose_scores =
    "SELECT CASE WHEN same_as <> '' THEN same_as ELSE id END, born_ms FROM generations WHERE id=?";

past_measure measure_of(SQLite::Statement& row) {
  past_measure out{text(row, 0), std::nullopt, integer(row, 2)};
  if (!row.isColumnNull(1)) out.mean = row.getColumn(1).getDouble();
  return out;
}

void read_steps(SQLite::Database& db, const std::string& lineage, lineage_history& into) {
  SQLite::Statement row(
      db,
      "SELECT i.id, i.ended_ms, i.ending, i.reason, i.action, (SELECT COALESCE(SUM(a.cost_nanousd),"
      " 0) FROM attempts a WHERE a.item_id = i.id), i.generation_id, i.source_bytes,"
      " COALESCE(p.source_bytes, 0), i.context_bytes, COALESCE(i.likeness, 0),"
      " i.like_generation FROM items i"
      " LEFT JOIN generations g ON g.id = i.parent_generation"
      " LEFT JOIN items p ON p.id = g.born_of_item"
      " WHERE i.lineage_id=? AND i.kind = 2 AND i.ending NOT IN (0, 5)"
      " ORDER BY i.ended_ms, i.id");
  bind_all(row, lineage);
  while (row.executeStep()) {
    into.steps.push_back(
        {text(row, 0),
         {integer(row, 1), static_cast<lineage::ending>(integer(row, 2)), text(row, 3),
          text(row, 4), integer(row, 5), text(row, 6), integer(row, 7), integer(row, 8),
          integer(row, 9), row.getColumn(10).getDouble(), text(row, 11)}});
  }
}

}  // namespace

evolution::tally replay(
    const lineage_history& past,
    const std::function<bool(const past_step&, const evolution::tally&)>& each) {
  evolution::tally done(past.with);
  auto measured = past.measured.begin();
  for (const auto& step : past.steps) {
    for (; measured != past.measured.end() && measured->done_ms <= step.what.ended_ms; ++measured) {
      done.measured(measured->generation, measured->mean);
    }
    done.add(step.what);
    if (!each(step, done)) break;
  }
  return done;
}

std::optional<past_measure> read_measure(SQLite::Database& db, const std::string& generation) {
  SQLite::Statement whose(db, whose_scores);
  bind_all(whose, generation);
  if (!whose.executeStep()) return std::nullopt;
  const auto scored = text(whose, 0);
  SQLite::Statement row(db,
                        std::string(select_measures) + "i.parent_generation=?" + once_all_ended);
  bind_all(row, scored);
  if (!row.executeStep()) return std::nullopt;
  auto found = measure_of(row);
  if (scored == generation) return found;
  found.generation = generation;
  found.done_ms = std::max(found.done_ms, integer(whose, 1) + 1);  // not before it was born
  return found;
}

std::optional<lineage_history> read_history(SQLite::Database& db, const std::string& lineage) {
  SQLite::Statement row(
      db,
      "SELECT (SELECT MIN(at_ms) FROM lineage_changes c WHERE c.lineage_id = l.id),"
      " CASE WHEN l.forked_from <> '' THEN l.forked_from ELSE g.id END, i.source_bytes,"
      " r.fitness_direction FROM lineages l JOIN runs r ON r.id = l.run_id JOIN generations g ON"
      " g.run_id = r.id AND g.lineage_id IS NULL JOIN items i ON i.id = g.born_of_item"
      " WHERE l.id=?");
  bind_all(row, lineage);
  if (!row.executeStep()) return std::nullopt;
  lineage_history out;
  out.with = {integer(row, 0), text(row, 1), integer(row, 2),
              integer(row, 3) == v1::FITNESS_DIRECTION_MINIMIZE,
              integer(row, 3) != v1::FITNESS_DIRECTION_UNSPECIFIED};
  read_steps(db, lineage, out);
  SQLite::Statement measures(db, std::string(select_measures) +
                                     "(i.parent_generation=?2 OR i.lineage_id=?1)" +
                                     once_all_ended);
  bind_all(measures, lineage, out.with.generation);
  while (measures.executeStep()) out.measured.push_back(measure_of(measures));
  SQLite::Statement same(
      db, "SELECT id FROM generations WHERE (lineage_id=? OR id=?) AND same_as <> ''");
  bind_all(same, lineage, out.with.generation);
  while (same.executeStep()) {
    if (auto found = read_measure(db, text(same, 0))) out.measured.push_back(std::move(*found));
  }
  std::ranges::sort(out.measured, [](const auto& a, const auto& b) {
    return std::tie(a.done_ms, a.generation) < std::tie(b.done_ms, b.generation);
  });
  return out;
}

}  // namespace germline::store_history
