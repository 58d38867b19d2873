// The part of the store that does again what a run did. Each lineage of a replay has the place of
// one of the run that is replayed, and its nth iteration is that one's nth, of the same parent: the
// generation that was born of the iteration which is done again by what bore it. It begins when all
// has ended again that had ended before its model was leased, so that nothing is known too late;
// what is known too early is not looked at.
#include <algorithm>

#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

namespace {

/// An iteration that is to be done again, in the run that is replayed.
struct recorded {
  std::string item, run, parent;
  std::int64_t started_ms = 0;
  std::int64_t before_ms = 0;  // what had ended by then could be known to it
  records::chosen how;
  bool begins_a_fork = false;
};

std::optional<recorded> next_to_do(SQLite::Database& db, const std::string& lineage) {
  SQLite::Statement row(
      db,
      "SELECT i.id, i.run_id, i.parent_generation, i.started_ms, i.ended_ms, COALESCE((SELECT"
      " MAX(a.leased_ms) FROM attempts a WHERE a.item_id = i.id), i.started_ms), i.chosen_among,"
      " i.chosen_probability, i.chosen_unmeasured, o.forked_from FROM lineages l JOIN runs r ON"
      " r.id = l.run_id JOIN lineages o ON o.run_id = r.replay_of AND o.ordinal = l.ordinal JOIN"
      " items i ON i.lineage_id = o.id WHERE l.id = ?1 AND " +
          sql::was_done +
          " ORDER BY i.started_ms, i.id LIMIT 1 OFFSET (SELECT iterations_done FROM lineages WHERE"
          " id = ?1)");
  bind_all(row, lineage);
  if (!row.executeStep()) return std::nullopt;
  recorded out;
  out.item = text(row, 0);
  out.run = text(row, 1);
  out.parent = text(row, 2);
  out.started_ms = integer(row, 3);
  out.before_ms = std::min(integer(row, 4), integer(row, 5));
  out.how = {static_cast<int>(integer(row, 6)), row.getColumn(7).getDouble(),
             static_cast<int>(integer(row, 8))};
  SQLite::Statement done(db, "SELECT iterations_done FROM lineages WHERE id=?");
  bind_all(done, lineage);
  out.begins_a_fork = text(row, 9) == out.parent && done.executeStep() && integer(done, 0) == 0;
  return out;
}

/// What is not done again yet, and will be: that had ended before the iteration was leased, or that
/// bore what it starts from. A lineage that is over, or that parted, keeps nobody waiting.
bool must_wait(SQLite::Database& db, const std::string& run, const std::string& lineage,
               const recorded& next) {
  SQLite::Statement row(
      db,
      "SELECT 1 FROM items i JOIN lineages o ON o.id = i.lineage_id JOIN lineages l ON l.run_id ="
      " ?1 AND l.ordinal = o.ordinal WHERE i.run_id = ?3 AND " +
          sql::was_done +
          " AND l.id <> ?2 AND (i.ended_ms < ?4 OR i.id = (SELECT born_of_item FROM"
          " generations WHERE id = ?5)) AND (l.state = 1 OR (l.state = 2 AND l.pause_reason NOT IN"
          " (3, 6))) AND NOT EXISTS (SELECT 1 FROM items y WHERE y.replay_of = i.id AND y.replay_of"
          " <> '' AND y.run_id = ?1 AND y.ending IN (1, 2, 3, 4)) LIMIT 1");
  bind_all(row, run, lineage, next.run, next.before_ms, next.parent);
  return row.executeStep();
}

/// The generation that is that one again.
struct counterpart {
  std::string id, commit;
  std::string ended;  // where there is none that an iteration could start from: why
  std::int64_t depth = 0, born_ms = 0;
};

counterpart seed_of(SQLite::Database& db, const std::string& run) {
  SQLite::Statement row(db,
                        "SELECT id, commit_id, depth, born_ms FROM generations WHERE run_id=? AND"
                        " lineage_id IS NULL");
  bind_all(row, run);
  if (!row.executeStep()) return {};
  return {text(row, 0), text(row, 1), {}, integer(row, 2), integer(row, 3)};
}

counterpart again(SQLite::Database& db, const std::string& run, const std::string& generation) {
  SQLite::Statement of(db, "SELECT born_of_item, lineage_id IS NULL FROM generations WHERE id=?");
  bind_all(of, generation);
  if (!of.executeStep()) return {};
  if (integer(of, 1) != 0) return seed_of(db, run);
  SQLite::Statement row(
      db,
      "SELECT g.id, g.commit_id, g.depth, g.born_ms, i.id, i.ending, i.reason,"
      " COALESCE(g.barred, 0) FROM items i LEFT JOIN generations g ON g.born_of_item = i.id WHERE"
      " i.replay_of=? AND i.replay_of <> '' AND i.run_id=? AND i.ending IN (1, 2, 3, 4)");
  bind_all(row, text(of, 0), run);
  if (!row.executeStep()) return {};
  counterpart out{text(row, 0), text(row, 1), {}, integer(row, 2), integer(row, 3)};
  if (integer(row, 7) != 0) return {{}, {}, text(row, 4) + " bore it, and it was killed"};
  if (!out.id.empty()) return out;
  out.ended = text(row, 4) +
              " ended: " + lineage::to_string(static_cast<lineage::ending>(integer(row, 5))) + " " +
              text(row, 6);
  return out;
}

/// The newest context that had been added to the generation when the iteration began, by a lineage
/// that was not killed then.
std::string context_again(SQLite::Database& db, const std::string& run, const recorded& next) {
  SQLite::Statement row(
      db,
      "SELECT y.commit_id FROM items i JOIN items y ON y.replay_of = i.id AND y.replay_of <> '' AND"
      " y.run_id = ?1 AND y.ending IN (2, 3, 4) AND y.commit_id <> '' WHERE i.parent_generation ="
      " ?2 AND i.ending <> 1 AND i.commit_id <> '' AND i.ended_ms < ?3 AND " +
          sql::was_done + " AND NOT " + sql::was_killed_before("i", "?3") +
          " ORDER BY i.ended_ms DESC, i.id DESC LIMIT 1");
  bind_all(row, run, next.parent, next.started_ms);
  return row.executeStep() ? text(row, 0) : std::string();
}

/// Without those that were not born again.
std::vector<records::inspiration> shown_again(SQLite::Database& db, const std::string& run,
                                              const recorded& next) {
  std::vector<records::inspiration> out;
  SQLite::Statement row(
      db,
      "SELECT s.generation_id, b.id, s.samples, s.mean FROM inspirations s JOIN generations b ON"
      " b.run_id = ?2 AND b.commit_id = s.base_commit WHERE s.item_id = ?1 ORDER BY s.position");
  bind_all(row, next.item, next.run);
  while (row.executeStep()) {
    const auto its = again(db, run, text(row, 0));
    const auto base = again(db, run, text(row, 1));
    const auto id = generation_id::parse(its.id);
    if (!id || base.id.empty()) continue;
    out.push_back({*id, its.commit, base.commit, its.born_ms, static_cast<int>(integer(row, 2)),
                   row.getColumn(3).getDouble()});
  }
  return out;
}

std::optional<records::given_source> given_again(SQLite::Database& db, const recorded& next) {
  SQLite::Statement row(db, "SELECT position, origin, commit_id FROM imports WHERE item_id=?");
  bind_all(row, next.item);
  if (!row.executeStep()) return std::nullopt;
  const auto origin = generation_id::parse(text(row, 1));
  if (!origin) return std::nullopt;
  return records::given_source{static_cast<int>(integer(row, 0)), {*origin, text(row, 2)}};
}

/// Of a generation that no iteration was there to bear.
std::string why_not_borne(SQLite::Database& db, const std::string& run,
                          const std::string& generation) {
  SQLite::Statement row(
      db,
      "SELECT l.state FROM generations g JOIN lineages o ON o.id = g.lineage_id"
      " JOIN lineages l ON l.run_id = ? AND l.ordinal = o.ordinal WHERE g.id = ?");
  bind_all(row, run, generation);
  const auto state = row.executeStep() ? integer(row, 0) : 0;
  const std::string lineage = "the lineage that was to bear it ";
  if (state == v1::LINEAGE_STATE_KILLED) return lineage + "is killed";
  return lineage + (state == v1::LINEAGE_STATE_RETIRED ? "is retired" : "parted before");
}

std::string why_parted(const recorded& next, const counterpart& parent) {
  return "the replay parts from " + next.run + " here: its iteration " + next.item +
         " began from generation " + next.parent + ", which was not born again: " + parent.ended;
}

}  // namespace

result<records::parent> parent_again(SQLite::Database& db, const std::string& run,
                                     const std::string& lineage) {
  records::parent out;
  const auto next = next_to_do(db, lineage);
  if (!next) {
    out.pauses = lineage::pause_requested{lineage::pause_reason::done,
                                          "all that the replayed lineage did is done"};
    return out;
  }
  out.waits = must_wait(db, run, lineage, *next);
  if (out.waits) return out;
  auto parent = again(db, run, next->parent);
  if (parent.id.empty()) {
    parent.ended =
        parent.ended.empty() ? why_not_borne(db, run, next->parent) : "iteration " + parent.ended;
    out.pauses =
        lineage::pause_requested{lineage::pause_reason::diverged, why_parted(*next, parent)};
    return out;
  }
  out.replays = *item_id::parse(next->item);
  out.generation = *generation_id::parse(parent.id);
  if (next->how.among > 0) out.how = next->how;
  out.given = given_again(db, *next);
  if (!out.given) out.inspirations = shown_again(db, run, *next);
  SQLite::Statement head(
      db, "SELECT head_commit, depth FROM lineages WHERE id=? AND head_generation=?");
  bind_all(head, lineage, parent.id);
  if (head.executeStep()) {
    out.commit = text(head, 0);
    out.depth = integer(head, 1);
    return out;
  }
  // Nothing else moves a lineage that chooses nothing.
  out.rolls_back = next->how.among == 0 && !next->begins_a_fork;
  if (next->how.among > 0) out.commit = context_again(db, run, *next);
  if (out.commit.empty()) out.commit = parent.commit;
  out.depth = parent.depth;
  return out;
}

void copy_again(SQLite::Database& db, const std::string& item, const std::string& replays) {
  // A replay of a replay has what the first one had.
  exec(db,
       ("UPDATE items SET model = n.model, replay_nth = CASE WHEN n.replay_of <> '' THEN "
        "n.replay_nth"
        " ELSE n.nth END FROM (SELECT x.model, x.replay_of, x.replay_nth, (SELECT COUNT(*) FROM"
        " items i WHERE i.lineage_id = x.lineage_id AND i.kind = 2 AND i.ending IN (1, 2, 3, 4) AND"
        " (i.started_ms, i.id) < (x.started_ms, x.id)) AS nth FROM items x WHERE x.id = ?) AS n"
        " WHERE items.id = ?"),
       replays, item);
  exec(db,
       "INSERT INTO arms (item_id, position, model, pulls, mean, compared) SELECT ?, position,"
       " model, pulls, mean, compared FROM arms WHERE item_id=?",
       item, replays);
}

namespace {

/// What was measured in place of what this generation of a replay is again: that, or what had its
/// source before.
std::string measured_then(SQLite::Database& db, const std::string& generation) {
  constexpr const char* of_birth =
      "SELECT COALESCE(NULLIF(same_as, ''), id) FROM generations WHERE born_of_item = ?";
  constexpr const char* of_seed =
      "SELECT id FROM generations WHERE run_id = ? AND lineage_id IS NULL";
  SQLite::Statement of(db,
                       "SELECT g.lineage_id IS NULL, b.replay_of, r.replay_of FROM generations g"
                       " JOIN items b ON b.id = g.born_of_item JOIN runs r ON r.id = g.run_id WHERE"
                       " g.id=?");
  bind_all(of, generation);
  if (!of.executeStep()) return {};
  const bool is_seed = integer(of, 0) != 0;
  SQLite::Statement row(db, is_seed ? of_seed : of_birth);
  bind_all(row, is_seed ? text(of, 2) : text(of, 1));
  return row.executeStep() ? text(row, 0) : std::string();
}

}  // namespace

std::optional<std::int64_t> number_to_measure(SQLite::Database& db, const std::string& generation) {
  SQLite::Statement row(
      db,
      "SELECT MIN(i.number), EXISTS (SELECT 1 FROM items m WHERE m.parent_generation = ?2 AND"
      " m.kind = 3 AND m.ending = 0) FROM items i WHERE i.parent_generation = ?1 AND i.kind = 3 AND"
      " i.ending IN (4, 6) AND NOT " +
          sql::says_nothing +
          " AND NOT EXISTS (SELECT 1 FROM items m WHERE m.parent_generation = ?2 AND m.kind = 3 AND"
          " m.number = i.number)");
  bind_all(row, measured_then(db, generation), generation);
  if (!row.executeStep() || row.isColumnNull(0) || integer(row, 1) != 0) return std::nullopt;
  return integer(row, 0);
}

std::optional<slice> add_replay(SQLite::Database& db, v1::Lease& lease) {
  SQLite::Statement of(db,
                       "SELECT r.replay_of, r.replay_answers, i.replay_of FROM items i JOIN runs r"
                       " ON r.id = i.run_id WHERE i.id=?");
  bind_all(of, lease.item_id());
  if (!of.executeStep() || text(of, 0).empty()) return std::nullopt;
  lease.set_replay_answers(static_cast<v1::ReplayAnswers>(integer(of, 1)));
  if (lease.model().empty() || lease.replay_answers() == v1::REPLAY_ANSWERS_LIVE) {
    return std::nullopt;
  }
  auto item = text(of, 2);
  if (lease.kind() == v1::WORK_KIND_EVALUATE) {
    SQLite::Statement row(db,
                          "SELECT id FROM items WHERE parent_generation=? AND kind = 3 AND number=?"
                          " AND ending IN (4, 6)");
    bind_all(row, measured_then(db, lease.parent_generation()), lease.number());
    if (row.executeStep()) item = text(row, 0);
  }
  SQLite::Statement attempt(db,
                            "SELECT id, reserved_nanousd, reserved_tokens, reserved_requests FROM"
                            " attempts WHERE item_id=? AND state=? ORDER BY fence DESC LIMIT 1");
  bind_all(attempt, item, v1::ATTEMPT_STATE_FINISHED);
  if (!attempt.executeStep()) return std::nullopt;
  lease.set_replay_of(text(attempt, 0));
  slice held;
  for (const auto each : all_units) {
    const int place = 1 + static_cast<int>(each);
    if (!attempt.isColumnNull(place)) held[each] = integer(attempt, place);
  }
  return held;
}

}  // namespace germline
