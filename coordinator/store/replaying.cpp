// The part of the store that does again what a run did. Each lineage of a replay has the place of
// one of the run that is replayed, and its nth iteration is that one's nth, of the same parent: the
// generation that was born of the iteration which is done again by what bore it. It begins when all
// has ended again that had ended before its model was leased, so that nothing is known too late;
// what is known too early is not looked at.
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
  std::int64_t number = 0, started_ms = 0, leased_ms = 0;
  records::chosen how;
  bool begins_a_fork = false;
};

/// What a killed iteration was to do, it did not.
constexpr const char* select_next =
    "SELECT i.id, i.run_id, i.parent_generation, i.number, i.started_ms, COALESCE((SELECT"
    " MAX(a.leased_ms) FROM attempts a WHERE a.item_id = i.id), i.started_ms), i.chosen_among,"
    " i.chosen_probability, i.chosen_unmeasured, o.forked_from = i.parent_generation AND NOT EXISTS"
    " (SELECT 1 FROM items e WHERE e.lineage_id = o.id AND e.kind = 2 AND e.started_ms <"
    " i.started_ms) FROM lineages l JOIN runs r ON r.id = l.run_id JOIN lineages o ON o.run_id ="
    " r.replay_of AND o.ordinal = l.ordinal JOIN items i ON i.lineage_id = o.id WHERE l.id = ? AND"
    " i.kind = 2 AND i.ending IN (1, 2, 3, 4) ORDER BY i.started_ms, i.id LIMIT 1 OFFSET"
    " (SELECT iterations_done FROM lineages WHERE id = ?1)";

std::optional<recorded> next_to_do(SQLite::Database& db, const std::string& lineage) {
  SQLite::Statement row(db, select_next);
  bind_all(row, lineage);
  if (!row.executeStep()) return std::nullopt;
  recorded out;
  out.item = text(row, 0);
  out.run = text(row, 1);
  out.parent = text(row, 2);
  out.number = integer(row, 3);
  out.started_ms = integer(row, 4);
  out.leased_ms = integer(row, 5);
  out.how = {static_cast<int>(integer(row, 6)), row.getColumn(7).getDouble(),
             static_cast<int>(integer(row, 8))};
  out.begins_a_fork = integer(row, 9) != 0;
  return out;
}

/// What is not done again yet, and will be: that had ended before the iteration was leased, or that
/// bore what it starts from. A lineage that is over, or that parted, keeps nobody waiting.
bool must_wait(SQLite::Database& db, const std::string& run, const std::string& lineage,
               const recorded& next) {
  SQLite::Statement row(
      db,
      "SELECT 1 FROM items x JOIN lineages o ON o.id = x.lineage_id JOIN lineages l ON l.run_id ="
      " ?1 AND l.ordinal = o.ordinal WHERE x.run_id = ?3 AND x.kind = 2 AND x.ending IN"
      " (1, 2, 3, 4) AND l.id <> ?2 AND (x.ended_ms < ?4 OR x.id = (SELECT born_of_item FROM"
      " generations WHERE id = ?5)) AND (l.state = 1 OR (l.state = 2 AND l.pause_reason NOT IN"
      " (2, 6))) AND NOT EXISTS (SELECT 1 FROM items y WHERE y.replay_of = x.id AND y.run_id = ?1"
      " AND y.ending IN (1, 2, 3, 4)) LIMIT 1");
  bind_all(row, run, lineage, next.run, next.leased_ms, next.parent);
  return row.executeStep();
}

/// The generation that is that one again.
struct counterpart {
  std::string id, commit, ended;  // `ended`: how the iteration did where it bore none
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
      "SELECT g.id, g.commit_id, g.depth, g.born_ms, i.id, i.ending, i.reason FROM items i"
      " LEFT JOIN generations g ON g.born_of_item = i.id WHERE i.replay_of=? AND i.run_id=? AND"
      " i.ending IN (1, 2, 3, 4)");
  bind_all(row, text(of, 0), run);
  if (!row.executeStep()) return {};
  counterpart out{text(row, 0), text(row, 1), {}, integer(row, 2), integer(row, 3)};
  if (!out.id.empty()) return out;
  out.ended = text(row, 4) +
              " ended: " + lineage::to_string(static_cast<lineage::ending>(integer(row, 5))) + " " +
              text(row, 6);
  return out;
}

/// The newest context that had been added to the generation when the iteration began.
std::string context_again(SQLite::Database& db, const std::string& run, const recorded& next) {
  SQLite::Statement row(
      db,
      "SELECT y.commit_id FROM items x JOIN items y ON y.replay_of = x.id AND y.run_id = ?1 AND"
      " y.ending IN (2, 3, 4) AND y.commit_id <> '' WHERE x.parent_generation = ?2 AND x.kind = 2"
      " AND x.ending IN (2, 3, 4) AND x.commit_id <> '' AND x.ended_ms <= ?3"
      " ORDER BY x.ended_ms DESC, x.id DESC LIMIT 1");
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

std::string why_parted(const recorded& next, const counterpart& parent) {
  return "the replay parts from " + next.run + " here: its iteration " + next.item +
         " began from generation " + next.parent + ", which was not born again: " +
         (parent.ended.empty() ? "the lineage that bore it has not come so far"
                               : "iteration " + parent.ended);
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
  const auto parent = again(db, run, next->parent);
  if (parent.id.empty()) {
    out.pauses = lineage::pause_requested{lineage::pause_reason::policy, why_parted(*next, parent)};
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
  if (next->how.among > 0 && !next->begins_a_fork) out.commit = context_again(db, run, *next);
  if (out.commit.empty()) out.commit = parent.commit;
  out.depth = parent.depth;
  return out;
}

void choose_model_again(SQLite::Database& db, const std::string& item, const std::string& replays) {
  exec(db, "UPDATE items SET model=(SELECT model FROM items WHERE id=?) WHERE id=?", replays, item);
  exec(db,
       "INSERT INTO arms (item_id, position, model, pulls, mean, compared) SELECT ?, position,"
       " model, pulls, mean, compared FROM arms WHERE item_id=?",
       item, replays);
}

namespace {

// Of generations of a replay, g, and what they are again, o; a seed is born of no iteration.
constexpr const char* generations_again =
    " FROM generations g JOIN runs r ON r.id = g.run_id JOIN items b ON b.id = g.born_of_item JOIN"
    " generations o ON o.run_id = r.replay_of AND (o.born_of_item = b.replay_of OR (g.lineage_id IS"
    " NULL AND o.lineage_id IS NULL)) ";

}  // namespace

std::optional<std::string> measured_less(SQLite::Database& db, const std::string& run) {
  SQLite::Statement row(
      db, std::string("SELECT g.id") + generations_again +
              "WHERE g.run_id = ? AND g.barred = 0 AND EXISTS (SELECT 1 FROM items e WHERE"
              " e.parent_generation = g.id AND e.kind = 3) AND NOT EXISTS (SELECT 1 FROM items e"
              " WHERE e.parent_generation = g.id AND e.kind = 3 AND e.ending = 0) AND (SELECT"
              " COUNT(*) FROM items e WHERE e.parent_generation = g.id AND e.kind = 3) < (SELECT"
              " COUNT(*) FROM items i WHERE i.parent_generation = o.id AND i.kind = 3 AND i.ending"
              " IN (4, 6) AND NOT " +
              sql::says_nothing + ") LIMIT 1");
  bind_all(row, run);
  if (!row.executeStep()) return std::nullopt;
  return text(row, 0);
}

void add_replay(SQLite::Database& db, v1::Lease& lease) {
  SQLite::Statement of(db,
                       "SELECT r.replay_of, r.replay_answers, i.replay_of FROM items i JOIN runs r"
                       " ON r.id = i.run_id WHERE i.id=?");
  bind_all(of, lease.item_id());
  if (!of.executeStep() || text(of, 0).empty()) return;
  lease.set_replay_answers(static_cast<v1::ReplayAnswers>(integer(of, 1)));
  if (lease.model().empty() || lease.replay_answers() == v1::REPLAY_ANSWERS_LIVE) return;
  auto item = text(of, 2);
  if (lease.kind() == v1::WORK_KIND_EVALUATE) {
    SQLite::Statement row(db, std::string("SELECT e.id") + generations_again +
                                  "JOIN items e ON e.parent_generation = o.id AND e.kind = 3 WHERE"
                                  " g.id=? AND e.number=?");
    bind_all(row, lease.parent_generation(), lease.number());
    if (row.executeStep()) item = text(row, 0);
  }
  SQLite::Statement attempt(
      db, "SELECT id FROM attempts WHERE item_id=? ORDER BY state = ? DESC, fence DESC LIMIT 1");
  bind_all(attempt, item, v1::ATTEMPT_STATE_FINISHED);
  if (attempt.executeStep()) lease.set_replay_of(text(attempt, 0));
}

}  // namespace germline
