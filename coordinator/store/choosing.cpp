// The part of the store that chooses parents: it keeps the archives of runs whose strategy chooses,
// and asks the strategy.
#include <cmath>

#include "coordinator/evolution/inspirations.hpp"
#include "coordinator/evolution/strategy.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::integer;
using sql::text;

evolution::measured_once outcome_of(const std::optional<v1::Score>& score) {
  evolution::measured_once out;
  if (!score) return out;
  out.score = score->score();
  constexpr double most = 1e100;  // as types.proto says; what is no number has no place in an order
  for (const auto& each : score->descriptors()) {
    if (std::abs(each.value()) <= most) out.descriptors.emplace_back(each.name(), each.value());
  }
  for (const auto& each : score->cases()) {
    if (std::abs(each.value()) <= most) out.cases.emplace_back(each.name(), each.value());
  }
  return out;
}

namespace {

/// In the order of their births, as they become known to one that is there.
void load_births(SQLite::Database& db, const std::string& run, evolution::archive& into) {
  SQLite::Statement row(
      db,
      "SELECT g.id, p.parent_id, g.barred, (SELECT COUNT(*) FROM items i WHERE i.kind = 3 AND"
      " i.parent_generation = g.id AND i.asked_by = ''), COALESCE(l.ordinal + 1, 0) FROM"
      " generations g LEFT JOIN generation_parents p ON p.generation_id = g.id AND p.role ="
      " 'primary' LEFT JOIN lineages l ON l.id = g.lineage_id WHERE g.run_id=?"
      " ORDER BY g.rowid");
  bind_all(row, run);
  while (row.executeStep()) {
    into.add({text(row, 0), text(row, 1), static_cast<int>(integer(row, 3)),
              static_cast<int>(integer(row, 4))});
    if (integer(row, 2) != 0) into.bar(text(row, 0));
  }
}

void load_items(SQLite::Database& db, const std::string& run, evolution::archive& into) {
  SQLite::Statement row(
      db,
      "SELECT i.kind, i.parent_generation, i.ending, i.reason, s.details FROM items"
      " i LEFT JOIN scores s ON s.item_id = i.id WHERE i.run_id=? AND i.kind IN (2, 3) AND NOT " +
          sql::says_nothing +
          // Scores in the order in which they were recorded; the order of the rest makes no
          // difference.
          " ORDER BY s.rowid, i.id");
  bind_all(row, run);
  while (row.executeStep()) {
    const auto parent = text(row, 1);
    const auto ending = integer(row, 2);
    if (integer(row, 0) == v1::WORK_KIND_ITERATE) {
      into.begin(parent);
      const bool failed = ending == v1::ENDING_FAILED || ending == v1::ENDING_KILLED;
      const bool itself = ending == v1::ENDING_FAILED && lineage::is_agents_own(text(row, 3));
      if (ending != 0) into.end(parent, failed, itself);
    } else if (ending != 0) {
      std::optional<v1::Score> score;
      if (!row.isColumnNull(4)) score.emplace().ParseFromString(sql::bytes(row, 4));
      into.measure(parent, outcome_of(score));
    }
  }
}

constexpr const char* select_lineage =
    "SELECT l.run_id, r.strategy, r.fitness_direction, l.head_generation, l.head_commit, l.depth,"
    " l.iterations_done, r.random_seed, l.ordinal,"
    // Whether what it bore last is being measured, or what its choice waits for.
    " EXISTS (SELECT 1 FROM generations g JOIN items i ON i.parent_generation = g.id AND i.kind = 3"
    " AND i.ending = 0 AND i.asked_by = '' WHERE g.lineage_id = l.id AND g.number = l.last_number)"
    " OR EXISTS (SELECT 1 FROM items i WHERE i.asked_by = l.id AND i.asked_by <> '' AND i.ending ="
    " 0),"
    // Whether a person had it begin from a generation.
    " EXISTS (SELECT 1 FROM generations g WHERE g.id = l.forked_from AND g.depth > 0),"
    " (SELECT COUNT(*) FROM items i WHERE i.asked_by = l.id AND i.asked_by <> ''),"
    " r.inspirations, r.replay_of FROM lineages l JOIN runs r ON r.id = l.run_id WHERE l.id=?";

/// With all but what is made of them.
std::vector<records::inspiration> inspirations_of(SQLite::Database& db,
                                                  const evolution::archive& all, std::size_t parent,
                                                  int count, random_source& chance) {
  std::vector<records::inspiration> out;
  for (const auto& each : evolution::pick_inspirations(all, parent, count, chance)) {
    const auto& its = all.at(each.slot);
    SQLite::Statement row(db,
                          "SELECT g.commit_id, g.born_ms, b.commit_id FROM generations g JOIN"
                          " generations b ON b.id=? WHERE g.id=?");
    bind_all(row, all.at(each.base).id, its.id);
    if (!row.executeStep()) continue;
    out.push_back({*generation_id::parse(its.id), text(row, 0), text(row, 2), integer(row, 1),
                   static_cast<int>(its.scores.size()), all.minimizes() ? -its.mean : its.mean});
  }
  return out;
}

/// The newest context that was added to a generation: of an iteration from it that was not born.
std::string newest_context(SQLite::Database& db, const std::string& generation) {
  SQLite::Statement row(
      db,
      "SELECT i.commit_id FROM items i JOIN lineages l ON l.id = i.lineage_id WHERE"
      " i.parent_generation=? AND i.kind = 2 AND i.ending IN (2, 3, 4) AND i.commit_id <> ''"
      " AND l.state <> 3 ORDER BY i.ended_ms DESC, i.id DESC LIMIT 1");
  bind_all(row, generation);
  return row.executeStep() ? text(row, 0) : std::string();
}

/// Whether there is an import left, and a seed for it to start from.
bool give_import(SQLite::Database& db, const std::string& run, records::parent& out) {
  out.given = next_import(db, run);
  if (!out.given) return false;
  SQLite::Statement seed(
      db,
      "SELECT id, commit_id, depth FROM generations WHERE run_id=? AND lineage_id IS NULL AND"
      " barred = 0");
  bind_all(seed, run);
  if (!seed.executeStep()) {
    out.given.reset();
    return false;
  }
  out.generation = *generation_id::parse(text(seed, 0));
  out.commit = text(seed, 1);
  out.depth = integer(seed, 2);
  out.how = records::chosen{1, 1.0, 0};
  return true;
}

/// Whether what the lineage asked for last, and since its last iteration, gave nothing: asked for
/// again at once it would most likely do so again.
bool asked_in_vain(SQLite::Database& db, const std::string& lineage) {
  SQLite::Statement row(
      db, "SELECT 1 FROM items i WHERE i.asked_by = ?1 AND i.asked_by <> '' AND " +
              sql::says_nothing +
              " AND i.started_ms >= COALESCE((SELECT MAX(n.started_ms) FROM items n WHERE"
              " n.lineage_id = ?1 AND n.kind = 2), 0) LIMIT 1");
  bind_all(row, lineage);
  return row.executeStep();
}

}  // namespace

void measure_again(SQLite::Database& db, const item_id& item, const std::string& generation,
                   const std::string& asked_by, std::int64_t now_ms) {
  sql::exec(db,
            "INSERT INTO items (id, run_id, lineage_id, kind, number, parent_generation,"
            " parent_commit, started_ms, asked_by) SELECT ?1, g.run_id, CASE WHEN ?4 = 'run' THEN"
            " g.lineage_id ELSE ?4 END, 3, 1 +"
            " (SELECT COUNT(*) FROM items i WHERE i.parent_generation = g.id AND i.kind = 3), g.id,"
            " g.commit_id, ?3, ?4 FROM generations g WHERE g.id = ?2",
            item.str(), generation, now_ms, asked_by);
}

evolution::population& store::impl::population_of(const std::string& run,
                                                  const evolution::strategy& by,
                                                  v1::FitnessDirection direction) {
  if (const auto kept = populations.find(run); kept != populations.end()) return *kept->second;
  auto made =
      std::make_unique<evolution::population>(by, direction == v1::FITNESS_DIRECTION_MINIMIZE);
  load_births(db, run, made->all());
  load_items(db, run, made->all());
  return *populations.emplace(run, std::move(made)).first->second;
}

result<bool> store::impl::measure_elite(const std::string& run, const std::string& measured,
                                        const item_id& item, std::int64_t now_ms) {
  SQLite::Statement of(
      db, "SELECT elite_evaluations, fitness_direction, strategy, replay_of FROM runs WHERE id=?");
  bind_all(of, run);
  if (!of.executeStep()) return false;
  if (!text(of, 3).empty()) {
    const auto number = number_to_measure(db, measured);
    if (number) {
      measure_again(db, item, measured, "run", now_ms);
      sql::exec(db, "UPDATE items SET number=? WHERE id=?", *number, item.str());
    }
    return number.has_value();
  }
  if (integer(of, 0) == 0) return false;
  GERMLINE_TRY_ASSIGN(const auto by, evolution::parse_strategy(text(of, 2)));
  const auto& all = population_of(run, by, static_cast<v1::FitnessDirection>(integer(of, 1))).all();
  if (all.candidates() == 0) return false;
  const auto& best = all.at(all.best()).id;
  SQLite::Statement has(
      db,
      "SELECT COUNT(*), SUM(ending = 0), (SELECT l.state FROM generations g JOIN lineages l ON"
      " l.id = g.lineage_id WHERE g.id = ?1) FROM items WHERE parent_generation = ?1 AND kind = 3");
  bind_all(has, best);
  has.executeStep();
  if (integer(has, 2) == v1::LINEAGE_STATE_KILLED) return false;  // nothing of it runs any more
  if (integer(has, 0) >= integer(of, 0) || integer(has, 1) > 0) return false;
  measure_again(db, item, best, "run", now_ms);
  return true;
}

result<records::parent> store::choose_parent(const records::parent_request& request) {
  auto& db = impl_->db;
  return sql::guarded([&]() -> result<records::parent> {
    SQLite::Statement of(db, select_lineage);
    bind_all(of, request.lineage.str());
    if (!of.executeStep()) return error(error_code::not_found, "no such lineage");
    if (!text(of, 13).empty()) return parent_again(db, text(of, 0), request.lineage.str());
    const auto head = text(of, 3);
    records::parent out;
    const auto take_head = [&] {
      out.generation = *generation_id::parse(head);
      out.commit = text(of, 4);
      out.depth = integer(of, 5);
    };
    GERMLINE_TRY_ASSIGN(const auto by, evolution::parse_strategy(text(of, 1)));
    const bool begins_where_forked = integer(of, 10) != 0 && integer(of, 6) == 0;
    if (!by.make || begins_where_forked) {
      take_head();
      return out;
    }
    if (give_import(db, text(of, 0), out)) {
      if (out.generation.str() == head) take_head();
      return out;
    }
    out.waits = integer(of, 9) != 0;
    if (out.waits) return out;

    const auto& among =
        impl_->population_of(text(of, 0), by, static_cast<v1::FitnessDirection>(integer(of, 2)));
    const auto& all = among.all();
    evolution::choice chosen{0, 1.0};
    seeded_random chance(seed_from("choice " + text(of, 7) + " " + text(of, 8) + " " + text(of, 6) +
                                   " " + text(of, 11)));
    // Where nothing is measured, or all that is was killed, there is the seed.
    if (all.candidates() > 0) {
      chosen = among.choose(static_cast<int>(integer(of, 8)) + 1, chance);
    }
    if (chosen.measures && !asked_in_vain(db, request.lineage.str())) {
      measure_again(db, request.evaluation, all.at(chosen.slot).id, request.lineage.str(),
                    request.now_ms);
      out.waits = out.measures = true;
      return out;
    }
    if (all.size() == 0 || all.at(chosen.slot).barred) return out;
    const auto& parent = all.at(chosen.slot).id;
    out.how = records::chosen{static_cast<int>(std::max<std::size_t>(1, all.candidates())),
                              chosen.probability.value_or(0), static_cast<int>(all.unmeasured())};
    if (all.candidates() > 0) {
      out.inspirations =
          inspirations_of(db, all, chosen.slot, static_cast<int>(integer(of, 12)), chance);
    }
    if (parent == head) {
      take_head();
      return out;
    }
    SQLite::Statement row(db, "SELECT commit_id, depth FROM generations WHERE id=?");
    bind_all(row, parent);
    if (!row.executeStep()) return error(error_code::internal, "no generation " + parent);
    out.generation = *generation_id::parse(parent);
    out.commit = newest_context(db, parent);
    if (out.commit.empty()) out.commit = text(row, 0);
    out.depth = integer(row, 1);
    return out;
  });
}

}  // namespace germline
