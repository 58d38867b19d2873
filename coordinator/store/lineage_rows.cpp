// The part of the store that writes lineages' rows and what happens to them, and that founds a
// lineage from another's generation or takes one back to an ancestor.
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

std::optional<lineage_before> read_before(SQLite::Database& db, const std::string& id) {
  SQLite::Statement row(db, "SELECT state, pause_reason, head_generation FROM lineages WHERE id=?");
  bind_all(row, id);
  if (!row.executeStep()) return std::nullopt;
  return lineage_before{integer(row, 0), integer(row, 1), !text(row, 2).empty()};
}

void write_change(SQLite::Database& db, const lineage::state& s, std::int64_t was,
                  const std::string& details, const std::string& rolled_to, std::int64_t now_ms,
                  const std::string& rule) {
  exec(db,
       "INSERT INTO lineage_changes (lineage_id, at_ms, was, state, pause_reason, details,"
       " rolled_to, rule, item_id, item_ended, after_event) SELECT l.id, ?, ?, ?, ?, ?, ?, ?, i.id,"
       " i.ending <> 0, (SELECT COALESCE(MAX(seq), 0) FROM events) FROM lineages l JOIN items i ON"
       " i.run_id = l.run_id AND (i.lineage_id = l.id OR i.lineage_id IS NULL) AND i.kind <> 3"
       " WHERE l.id=?"
       " ORDER BY i.lineage_id IS NULL, i.started_ms DESC, i.id DESC LIMIT 1",
       now_ms, was, s.at, s.why_paused, details, rolled_to, rule, s.id.str());
}

namespace {

/// Puts into the record that the lineage comes into another state, or begins, with `s`.
void note_change(SQLite::Database& db, const lineage::state& s, std::int64_t now_ms) {
  const auto before = read_before(db, s.id.str());
  if (!before) return;
  const bool begins =
      s.at == lineage::status::active && !before->is_founded && !s.head_generation.empty();
  const bool same = before->state == static_cast<std::int64_t>(s.at) &&
                    before->pause_reason == static_cast<std::int64_t>(s.why_paused);
  if (same && !begins) return;
  write_change(db, s, begins ? 0 : before->state, s.details, {}, now_ms);
}

}  // namespace

void write_lineage(SQLite::Database& db, const lineage::state& s, std::int64_t now_ms) {
  note_change(db, s, now_ms);
  exec(db,
       "UPDATE lineages SET state=?, pause_reason=?, details=?, head_generation=?, head_commit=?,"
       " depth=?, last_number=?, iterations_done=?, max_iterations=?, failures_in_row=?,"
       " live_item=?, unproven=?, own_failures=?, draining=?, due=?, due_why=? WHERE id=?",
       s.at, s.why_paused, s.details, s.head_generation.str(), s.head_commit, s.depth,
       s.last_number, s.iterations_done, s.max_iterations, s.failures_in_row, s.live.str(),
       s.unproven ? 1 : 0, s.own_failures, s.draining ? 1 : 0, s.due, s.due_why, s.id.str());
}

namespace {

error gone(const std::string& why) {
  return {error_code::failed_precondition, why};
}

constexpr const char* ancestors =
    "WITH RECURSIVE up(id, steps) AS (SELECT parent_id, 1 FROM generation_parents WHERE"
    " generation_id=?1 AND role='primary' UNION ALL SELECT p.parent_id, up.steps + 1 FROM"
    " generation_parents p JOIN up ON p.generation_id = up.id AND p.role='primary')"
    " SELECT g.id, g.commit_id, g.depth, g.number FROM up JOIN generations g ON g.id = up.id";

/// The nearest few, for who named something else.
std::string nearest_ancestors(SQLite::Database& db, const generation_id& of) {
  constexpr int named = 6;
  SQLite::Statement row(db, std::string(ancestors) + " ORDER BY up.steps LIMIT ?2");
  bind_all(row, of.str(), named + 1);
  std::string names;
  for (int i = 0; row.executeStep(); ++i) {
    const auto name = "generation " + std::to_string(integer(row, 3)) + " " + text(row, 0);
    names += (names.empty() ? "" : ", ") + (i < named ? name : "…");
  }
  return names;
}

}  // namespace

result<records::ancestor> store::ancestor_of(const records::ancestor_request& request) {
  auto& db = impl_->db;
  return sql::guarded([&]() -> result<records::ancestor> {
    SQLite::Statement head(db, "SELECT number FROM generations WHERE id=?");
    bind_all(head, request.of.str());
    if (!head.executeStep()) return gone("there is no generation " + request.of.str());
    SQLite::Statement row(db,
                          std::string(ancestors) +
                              (request.wanted.empty() ? " WHERE up.steps=1" : " WHERE up.id=?2"));
    if (request.wanted.empty()) {
      bind_all(row, request.of.str());
    } else {
      bind_all(row, request.of.str(), request.wanted.str());
    }
    if (row.executeStep()) {
      return records::ancestor{*generation_id::parse(text(row, 0)), text(row, 1), integer(row, 2),
                               integer(row, 3), integer(head, 0)};
    }
    const auto names = nearest_ancestors(db, request.of);
    const auto head_words =
        "generation " + std::to_string(integer(head, 0)) + " " + request.of.str();
    if (names.empty()) return gone("the head is the seed, " + head_words + ": it has no ancestor");
    if (request.wanted == request.of) {
      return gone(request.wanted.str() + " is the head already; its ancestors are " + names);
    }
    return gone(request.wanted.str() + " is no ancestor of the head, " + head_words +
                "; its ancestors are " + names);
  });
}

result<void> store::roll_back(const records::rollback& back) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    const auto before = read_before(db, back.next.id.str());
    if (!before) return gone("no such lineage");
    if (before->state >= v1::LINEAGE_STATE_KILLED) return gone("the lineage is killed");
    write_change(db, back.next, before->state, back.why, back.next.head_generation.str(),
                 back.now_ms);
    write_lineage(db, back.next, back.now_ms);
    return {};
  });
}

result<records::forked> store::fork(const records::new_fork& fork) {
  constexpr int forks_max = 16'384;  // lineages of one run, those that are over among them
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<records::forked> {
    SQLite::Statement from(
        db,
        "SELECT g.run_id, g.commit_id, g.depth, g.number, r.max_iterations,"
        " (SELECT COUNT(*) FROM lineages WHERE run_id = g.run_id),"
        " g.depth > 0 AND NOT EXISTS (SELECT 1 FROM items i WHERE"
        " i.parent_generation = g.id AND i.kind = 2 AND i.ending IN (1, 2, 3)),"
        " r.folder, r.fitness_direction, r.evaluations, r.strategy, r.policy, r.inspirations,"
        " r.replay_of FROM"
        " generations g JOIN runs r ON r.id = g.run_id WHERE g.id=?");
    bind_all(from, fork.from.str());
    if (!from.executeStep()) {
      return error(error_code::not_found, "there is no generation " + fork.from.str());
    }
    if (integer(from, 5) >= forks_max) {
      return gone("the run has " + std::to_string(forks_max) +
                  " lineages, and may have no more: start another run from the generation");
    }
    if (!text(from, 13).empty()) {
      return gone(
          "run " + text(from, 0) +
          " is a replay, and has the lineages of what it does again: fork a generation of " +
          text(from, 13) + " instead");
    }
    lineage::state s;
    s.id = fork.id;
    s.head_generation = fork.from;
    s.head_commit = text(from, 1);
    s.depth = integer(from, 2);
    s.last_number = integer(from, 3);
    s.max_iterations = fork.max_iterations.value_or(integer(from, 4));
    s.unproven = integer(from, 6) != 0;
    s.details = fork.why;
    if (s.details.empty()) {
      s.details = "forked from generation " + std::to_string(s.last_number) + " " + fork.from.str();
    }
    exec(db,
         "INSERT INTO lineages (id, run_id, ordinal, state, pause_reason, details,"
         " head_generation, head_commit, depth, last_number, iterations_done, max_iterations,"
         " failures_in_row, live_item, forked_from) SELECT ?1, ?2, MAX(ordinal) + 1, 1, 0, '', '',"
         " '', 0, 0, 0, 0, 0, '', ?3 FROM lineages WHERE run_id=?2",
         s.id.str(), text(from, 0), fork.from.str());
    write_lineage(db, s, fork.now_ms);
    return records::forked{s, text(from, 7), sql::measuring_of(from, 8)};
  });
}

}  // namespace germline
