// The part of the store that chooses models, where a run has several.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "coordinator/evolution/arms.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

/// The newest iterations of the run but one, and those that a person ended.
constexpr const char* select_pulls =
    "SELECT i.model, i.ending, (SELECT TOTAL(a.cost_nanousd) FROM attempts a WHERE a.item_id = "
    "i.id),"
    " (SELECT AVG(s.score) FROM scores s WHERE s.generation_id = CASE g.same_as WHEN '' THEN g.id"
    " ELSE g.same_as END), (SELECT AVG(s.score) FROM scores s WHERE s.generation_id = CASE"
    " p.same_as WHEN '' THEN p.id ELSE p.same_as END) FROM items i LEFT JOIN generations g ON g.id"
    " = i.generation_id LEFT JOIN generations p ON p.id = i.parent_generation WHERE i.run_id = ?1"
    " AND i.kind = 2 AND i.model <> '' AND i.ending <> 5 AND i.id <> ?2 ORDER BY i.rowid DESC "
    "LIMIT ?3";

/// By how much what was born is better than its parent; where nothing is measured a birth is one.
double gain_of(SQLite::Statement& row, v1::FitnessDirection direction) {
  if (integer(row, 1) != v1::ENDING_EVOLVED) return 0;
  if (direction == v1::FITNESS_DIRECTION_UNSPECIFIED) return 1;
  if (row.isColumnNull(3) || row.isColumnNull(4)) return 0;
  const double gain = row.getColumn(3).getDouble() - row.getColumn(4).getDouble();
  if (!std::isfinite(gain)) return 0;
  return direction == v1::FITNESS_DIRECTION_MINIMIZE ? -gain : gain;
}

/// Models of which an iteration waits that no worker could serve.
std::vector<bool> stuck_of(SQLite::Database& db, const std::string& run,
                           const std::vector<std::string>& models) {
  SQLite::Statement row(
      db,
      "SELECT DISTINCT i.model FROM items i WHERE i.run_id=?1 AND i.ending = 0 AND i.kind = 2 AND"
      " EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND a.state = ?2) AND NOT EXISTS"
      " (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND a.state = ?3)");
  bind_all(row, run, v1::ATTEMPT_STATE_LOST, v1::ATTEMPT_STATE_LEASED);
  std::vector<bool> stuck(models.size());
  while (row.executeStep()) {
    const auto at = std::ranges::find(models, text(row, 0));
    if (at != models.end()) stuck[static_cast<std::size_t>(at - models.begin())] = true;
  }
  return stuck;
}

}  // namespace

void choose_model(SQLite::Database& db, const std::string& run, const std::string& item,
                  const std::string& lineage) {
  SQLite::Statement of(db,
                       "SELECT models, model_choice, fitness_direction, random_seed FROM runs"
                       " WHERE id=?");
  bind_all(of, run);
  if (!of.executeStep()) return;
  const auto models = sql::lines(text(of, 0));
  const auto rule = evolution::parse_arm_rule(text(of, 1));
  if (models.empty() || !rule) return;
  const auto direction = static_cast<v1::FitnessDirection>(integer(of, 2));
  std::vector<evolution::pull> pulls;
  SQLite::Statement row(db, select_pulls);
  bind_all(row, run, item, evolution::arms_window);
  while (row.executeStep()) {
    const auto at = std::ranges::find(models, text(row, 0));
    if (at == models.end()) continue;
    pulls.push_back({static_cast<std::size_t>(std::distance(models.begin(), at)),
                     gain_of(row, direction), row.getColumn(2).getDouble() / 1e9});
  }
  SQLite::Statement by(db, "SELECT ordinal, iterations_done FROM lineages WHERE id=?");
  bind_all(by, lineage);
  if (!by.executeStep()) return;
  seeded_random chance(seed_from("model " + text(of, 3) + " " + text(by, 0) + " " + text(by, 1)));
  const auto choice =
      evolution::choose_arm(*rule, models.size(), pulls, chance, stuck_of(db, run, models));
  exec(db, "UPDATE items SET model=? WHERE id=?", models[choice.chosen], item);
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& arm = choice.arms[i];
    std::optional<double> compared;
    if (std::isfinite(arm.index)) compared = arm.index;
    exec(db,
         "INSERT INTO arms (item_id, position, model, pulls, mean, compared) VALUES (?,?,?,?,?,?)",
         item, static_cast<int>(i), models[i], arm.pulls, arm.mean, compared);
  }
}

std::string model_again(SQLite::Database& db, const std::string& run, const std::string& item,
                        const std::string& lineage) {
  const auto model_of = [&] {
    SQLite::Statement row(db,
                          "SELECT i.model, r.models FROM items i JOIN runs r ON r.id ="
                          " i.run_id WHERE i.id=?");
    bind_all(row, item);
    row.executeStep();
    return std::pair(text(row, 0), sql::lines(text(row, 1)));
  };
  const auto [model, models] = model_of();
  const auto stuck = stuck_of(db, run, models);
  const auto at = std::ranges::find(models, model);
  if (at == models.end() || !stuck[static_cast<std::size_t>(at - models.begin())]) return model;
  exec(db, "DELETE FROM arms WHERE item_id=?", item);
  choose_model(db, run, item, lineage);
  return model_of().first;
}

}  // namespace germline
