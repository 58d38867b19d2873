// The part of the store that chooses parents: it keeps the archives of runs whose strategy chooses,
// and asks the strategy.
#include "coordinator/evolution/strategy.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;
using sql::text;

/// In the order of their births, as they become known to one that is there.
void load_births(SQLite::Database& db, const std::string& run, evolution::archive& into) {
  SQLite::Statement row(
      db,
      "SELECT g.id, p.parent_id, g.barred, (SELECT COUNT(*) FROM items i WHERE i.kind = 3 AND"
      " i.parent_generation = g.id) FROM generations g LEFT JOIN generation_parents p ON"
      " p.generation_id = g.id AND p.role = 'primary' WHERE g.run_id=?"
      " ORDER BY g.rowid");
  bind_all(row, run);
  while (row.executeStep()) {
    into.add({text(row, 0), text(row, 1), static_cast<int>(integer(row, 3))});
    if (integer(row, 2) != 0) into.bar(text(row, 0));
  }
}

void load_items(SQLite::Database& db, const std::string& run, evolution::archive& into) {
  SQLite::Statement row(db,
                        "SELECT i.kind, i.parent_generation, i.ending, i.reason, s.score FROM items"
                        " i LEFT JOIN scores s ON s.item_id = i.id WHERE i.run_id=? AND i.kind IN"
                        " (2, 3) ORDER BY i.ended_ms, i.id");
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
      const bool scored = !row.isColumnNull(4);
      into.measure(parent, {scored ? std::optional(row.getColumn(4).getDouble()) : std::nullopt});
    }
  }
}

constexpr const char* select_lineage =
    "SELECT l.run_id, r.strategy, r.fitness_direction, l.head_generation, l.head_commit, l.depth,"
    " l.iterations_done, r.random_seed, l.ordinal,"
    // What it bore last, and whether that is being measured.
    " EXISTS (SELECT 1 FROM generations g JOIN items i ON i.parent_generation = g.id AND i.kind = 3"
    " AND i.ending = 0 WHERE g.lineage_id = l.id AND g.number = l.last_number),"
    // Whether a person had it begin from a generation.
    " EXISTS (SELECT 1 FROM generations g WHERE g.id = l.forked_from AND g.depth > 0)"
    " FROM lineages l JOIN runs r ON r.id = l.run_id WHERE l.id=?";

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

}  // namespace

evolution::archive& store::impl::archive_of(const std::string& run,
                                            v1::FitnessDirection direction) {
  auto& kept = archives[run];
  if (kept) return *kept;
  auto made = std::make_unique<evolution::archive>(direction == v1::FITNESS_DIRECTION_MINIMIZE);
  load_births(db, run, *made);
  load_items(db, run, *made);
  kept = std::move(made);
  return *kept;
}

result<records::parent> store::choose_parent(const records::parent_request& request) {
  auto& db = impl_->db;
  return sql::guarded([&]() -> result<records::parent> {
    SQLite::Statement of(db, select_lineage);
    bind_all(of, request.lineage.str());
    if (!of.executeStep()) return error(error_code::not_found, "no such lineage");
    const auto head = text(of, 3);
    records::parent out;
    const auto take_head = [&] {
      out.generation = *generation_id::parse(head);
      out.commit = text(of, 4);
      out.depth = integer(of, 5);
    };
    GERMLINE_TRY_ASSIGN(const auto by, evolution::parse_strategy(text(of, 1)));
    const bool begins_where_forked = integer(of, 10) != 0 && integer(of, 6) == 0;
    if (!by.choose || begins_where_forked) {
      take_head();
      return out;
    }
    out.waits = integer(of, 9) != 0;
    if (out.waits) return out;

    const auto& all =
        impl_->archive_of(text(of, 0), static_cast<v1::FitnessDirection>(integer(of, 2)));
    evolution::choice chosen{0, 1.0};
    seeded_random chance(
        seed_from("choice " + text(of, 7) + " " + text(of, 8) + " " + text(of, 6)));
    // Where nothing is measured, or all that is was killed, there is the seed.
    if (all.candidates() > 0) chosen = by.choose(all, chance);
    if (all.size() == 0 || all.at(chosen.slot).barred) return out;
    const auto& parent = all.at(chosen.slot).id;
    out.how = records::chosen{static_cast<int>(std::max<std::size_t>(1, all.candidates())),
                              chosen.probability.value_or(0), static_cast<int>(all.unmeasured())};
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
