#include "coordinator/store/store.hpp"

#include <algorithm>

#include "common/config/run_file.hpp"
#include "common/hash.hpp"
#include "common/text/tags.hpp"
#include "coordinator/store/purse.hpp"
#include "coordinator/store/schema.hpp"
#include "coordinator/store/sql.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

std::uint64_t seed_from(const std::string& what) {
  return std::stoull(sha256_hex("germline random_seed " + what).substr(0, 16), nullptr, 16) &
         random_seed_max;
}

namespace {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

error stale(const std::string& why) {
  return {error_code::failed_precondition, why};
}

/// Of an item that is open, and that nobody is to run any more.
error unwanted(const std::string& why) {
  return {error_code::cancelled, why};
}

/// Rules that were hit, but for the one whose action tells of itself.
void note_findings(SQLite::Database& db, const records::iteration_end& end) {
  const auto before = read_before(db, end.next.id.str());
  for (const auto& each : end.found) {
    if (each.is_done || !before) continue;
    auto as_it_was = end.next;
    as_it_was.at = static_cast<lineage::status>(before->state);
    as_it_was.why_paused = static_cast<lineage::pause_reason>(before->pause_reason);
    write_change(db, as_it_was, before->state, each.words, {}, end.judged.now_ms, each.rule);
  }
}

/// Whether `judged` comes from the attempt that holds the item's fence, and the item is open.
result<void> check_fence(SQLite::Database& db, const records::verdict& judged) {
  SQLite::Statement item(db, "SELECT ending, fence FROM items WHERE id = ?");
  bind_all(item, judged.item.str());
  if (!item.executeStep()) return stale("no such item");
  if (integer(item, 0) != 0) return stale("the iteration has ended already");
  if (judged.attempt.empty()) return {};
  if (integer(item, 1) != judged.fence) return stale("the fence has moved on");
  SQLite::Statement attempt(db,
                            "SELECT 1 FROM attempts WHERE id=? AND item_id=? AND fence=?"
                            " AND state=?");
  bind_all(attempt, judged.attempt.str(), judged.item.str(), judged.fence,
           v1::ATTEMPT_STATE_LEASED);
  if (!attempt.executeStep()) return stale("this attempt no longer holds the lease");
  return {};
}

void write_verdict(SQLite::Database& db, const records::verdict& judged,
                   const std::string& generation) {
  exec(db,
       "UPDATE items SET ending=?, reason=?, details=?, action=?, commit_id=?, generation_id=?,"
       " usage=?, ended_ms=? WHERE id=?",
       judged.how, judged.reason, judged.details, judged.action, judged.commit, generation,
       sql::blob{judged.usage.SerializeAsString()}, judged.now_ms, judged.item.str());
  for (const auto& test : judged.tests) {
    exec(db, "INSERT INTO test_outcomes VALUES (?,?,?,?,?)", judged.item.str(), test.name(),
         test.status(), test.message(), test.is_protected() ? 1 : 0);
  }
  if (judged.attempt.empty()) return;
  exec(db, "UPDATE attempts SET state=?, ended_ms=? WHERE id=?", v1::ATTEMPT_STATE_FINISHED,
       judged.now_ms, judged.attempt.str());
  book(db, judged.attempt.str(), records::cost_of(judged.usage), judged.now_ms);
}

/// The eldest generation of the run with that source, which has its scores or is to; empty: none.
std::string measured_with_source(SQLite::Database& db, const std::string& run,
                                 const std::string& source) {
  SQLite::Statement row(
      db,
      "SELECT g.id FROM generations g WHERE g.run_id=?1 AND g.source_id=?2 AND g.barred=0 AND"
      " EXISTS (SELECT 1 FROM items i WHERE i.parent_generation = g.id AND i.kind = 3) AND NOT"
      " EXISTS (SELECT 1 FROM items i WHERE i.parent_generation = g.id AND i.kind = 3 AND"
      " i.asked_by = '' AND i.ending NOT IN (0, ?3)) ORDER BY g.rowid LIMIT 1");
  bind_all(row, run, source, v1::ENDING_SCORED);
  return row.executeStep() ? text(row, 0) : std::string();
}

/// Whether it is to be measured.
bool write_birth(SQLite::Database& db, const records::birth& born, const std::string& run,
                 const std::string& lineage, const records::verdict& judged) {
  std::string same_as;
  if (!born.evaluations.empty()) same_as = measured_with_source(db, run, born.source_id);
  exec(db,
       "INSERT INTO generations (id, run_id, lineage_id, depth, number, commit_id, source_id,"
       " build_id, artefact_id, born_ms, born_of_item, same_as) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
       born.id.str(), run, sql::nullable{lineage}, born.depth, born.number, born.commit,
       born.source_id, born.build_id, born.artefact_id, judged.now_ms, judged.item.str(), same_as);
  if (!born.parent.empty()) {
    exec(db, "INSERT INTO generation_parents VALUES (?,?,'primary')", born.id.str(),
         born.parent.str());
  }
  for (const auto& merged : born.merged) {
    exec(db,
         "INSERT OR IGNORE INTO generation_parents SELECT ?1, generation_id, 'merged' FROM"
         " inspirations WHERE item_id=?2 AND generation_id=?3",
         born.id.str(), judged.item.str(), merged);
  }
  if (!same_as.empty()) return false;
  int repeat = 0;
  for (const auto& evaluation : born.evaluations) {
    exec(db,
         "INSERT INTO items (id, run_id, lineage_id, kind, number, parent_generation,"
         " parent_commit, started_ms) VALUES (?,?,?,?,?,?,?,?)",
         evaluation.str(), run, sql::nullable{lineage}, v1::WORK_KIND_EVALUATE, ++repeat,
         born.id.str(), born.commit, judged.now_ms);
  }
  return !born.evaluations.empty();
}

v1::Lease make_lease(SQLite::Database& db, SQLite::Statement& row,
                     const records::grant_request& request) {
  v1::Lease lease;
  lease.set_attempt_id(request.attempt.str());
  lease.set_item_id(request.item.str());
  lease.set_fence(request.fence);
  lease.set_kind(static_cast<v1::WorkKind>(integer(row, 2)));
  lease.set_run_id(text(row, 3));
  lease.set_lineage_id(text(row, 4));
  lease.set_number(integer(row, 5));
  lease.set_parent_generation(text(row, 6));
  lease.set_parent_commit(text(row, 7));
  lease.set_seed_commit(text(row, 8));
  lease.set_folder(text(row, 9));
  lease.mutable_limits()->ParseFromString(sql::bytes(row, 10));
  lease.set_model(text(row, 11));
  lease.set_goal(text(row, 12));
  // Evaluations of all generations have the same seeds, so that their scores can be compared. An
  // iteration has another than the one before it, also where that was not born.
  const auto seed_of = [&](int part, int nth) { return text(row, part) + " " + text(row, nth); };
  lease.set_random_seed(seed_from(lease.kind() == v1::WORK_KIND_EVALUATE
                                      ? "evaluation " + seed_of(20, 5)
                                      : "iteration " + text(row, 13) + " " + seed_of(18, 19)));
  lease.set_genome_toml(text(row, 14));
  if (lease.kind() == v1::WORK_KIND_EVALUATE) lease.set_held_out_id(text(row, 27));
  SQLite::Statement parent(db, "SELECT artefact_id FROM generations WHERE id = ?");
  bind_all(parent, lease.parent_generation());
  if (parent.executeStep()) lease.set_parent_artefact_id(text(parent, 0));
  SQLite::Statement names(db, "SELECT name FROM protected_tests WHERE run_id=? ORDER BY name");
  bind_all(names, lease.run_id());
  while (names.executeStep()) lease.add_protected_tests(text(names, 0));
  // What was killed since is shown no more.
  SQLite::Statement shown(
      db,
      "SELECT i.generation_id, i.commit_id, i.samples, i.mean, i.base_commit FROM"
      " inspirations"
      " i JOIN generations g ON g.id = i.generation_id WHERE i.item_id=? AND"
      " g.barred = 0 ORDER BY i.position");
  bind_all(shown, request.item.str());
  while (shown.executeStep()) *lease.add_inspirations() = sql::read_inspiration(shown);
  return lease;
}

constexpr const char* select_for_lease =
    "SELECT i.ending, i.fence, i.kind, i.run_id, i.lineage_id, i.number, i.parent_generation,"
    " i.parent_commit, r.seed_commit, r.folder, r.limits,"
    " COALESCE(NULLIF(i.model, ''), r.model), r.goal, r.random_seed,"
    " r.genome_toml, r.budget_nanousd, r.spent_nanousd, COALESCE(l.state, 1),"
    " COALESCE(l.ordinal, 0), CASE WHEN i.replay_of <> '' THEN i.replay_nth ELSE"
    " COALESCE(l.iterations_done, 0) END, r.evaluation_key,"
    " COALESCE(g.barred, 0) AND (i.kind = 3 OR i.chosen_among > 0), COALESCE(l.draining, 0) AND"
    " i.kind = 2, i.model <> '' AND i.replay_of = '', r.evaluation_budget_nanousd, r.evaluations, "
    "r.agents_ask,"
    " r.held_out_id, r.policy, i.asked_by <> '',"
    " COALESCE(l.budget_nanousd, r.lineage_budget_nanousd), COALESCE(l.spent_nanousd, 0),"
    " r.budget_tokens, r.spent_tokens, r.evaluation_budget_tokens, COALESCE(l.budget_tokens,"
    " r.lineage_budget_tokens), COALESCE(l.spent_tokens, 0), r.budget_requests, r.spent_requests,"
    " r.evaluation_budget_requests, COALESCE(l.budget_requests, r.lineage_budget_requests),"
    " COALESCE(l.spent_requests, 0)"
    " FROM items i JOIN runs r ON r.id = i.run_id LEFT JOIN lineages l ON l.id = i.lineage_id"
    " LEFT JOIN generations g ON g.id = i.parent_generation WHERE i.id = ?";

/// Of a row of select_for_lease.
purse read_purse(SQLite::Statement& row) {
  v1::IterationLimits limits;
  limits.ParseFromString(sql::bytes(row, 10));
  purse of;
  of.budget = {integer(row, 15), integer(row, 32), integer(row, 37)};
  of.spent = {integer(row, 16), integer(row, 33), integer(row, 38)};
  of.each_iteration = most_by_limits(limits);
  of.each_evaluation = {integer(row, 24), integer(row, 34), integer(row, 39)};
  of.evaluations = integer(row, 25);
  of.agents_ask = integer(row, 26) != 0;
  of.measures_again = integer(row, 29) != 0;
  of.run = text(row, 3);
  of.lineage = text(row, 4);
  of.lineage_budget = {integer(row, 30), integer(row, 35), integer(row, 40)};
  of.lineage_spent = {integer(row, 31), integer(row, 36), integer(row, 41)};
  return of;
}

/// Its slice is the least that its limits say.
void limit(v1::Lease& lease, const slice& held) {
  auto& limits = *lease.mutable_limits();
  limits.set_budget_nanousd(held.money.value_or(0));
  if (held.tokens) limits.set_max_tokens(*held.tokens);
  if (!held.requests) return;
  const auto said = limits.max_requests();
  limits.set_max_requests(said > 0 ? std::min(said, *held.requests) : *held.requests);
}

std::vector<std::string> open_items(SQLite::Database& db, const std::string& where,
                                    const std::string& value) {
  SQLite::Statement row(db, "SELECT id FROM items WHERE ending=0 AND " + where);
  bind_all(row, value);
  std::vector<std::string> ids;
  while (row.executeStep()) ids.push_back(text(row, 0));
  return ids;
}

}  // namespace

void kill_item(SQLite::Database& db, const std::string& item, const std::string& why,
               std::int64_t now_ms) {
  exec(db,
       "UPDATE items SET ending=?, reason='killed', details=?, fence=fence+1, ended_ms=?"
       " WHERE id=? AND ending=0",
       v1::ENDING_KILLED, why, now_ms, item);
  exec(db, "UPDATE attempts SET state=?, ended_ms=? WHERE item_id=? AND state=?",
       v1::ATTEMPT_STATE_KILLED, now_ms, item, v1::ATTEMPT_STATE_LEASED);
}

store::store(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
store::~store() = default;

result<std::unique_ptr<store>> store::open(const std::string& path) {
  return sql::guarded([&]() -> result<std::unique_ptr<store>> {
    auto opened = std::make_unique<impl>(path);
    opened->db.exec("PRAGMA journal_mode = WAL");
    opened->db.exec("PRAGMA synchronous = FULL");
    opened->db.exec("PRAGMA foreign_keys = ON");
    GERMLINE_TRY(migrate(opened->db));
    return std::unique_ptr<store>(new store(std::move(opened)));
  });
}

result<void> store::create_run(const records::new_run& run) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    exec(db,
         "INSERT INTO runs (id, name, repository, branch, folder, seed_commit, genome_toml, model,"
         " budget_nanousd, goal, random_seed, max_iterations, limits, created_ms, required_tags,"
         " fitness_direction, evaluations, evaluation_key, strategy, policy, elite_evaluations,"
         " priority, weight, inspirations, models, model_choice, evaluation_budget_nanousd,"
         " agents_ask, held_out_id, held_out_files, held_out_bytes, replay_of, replay_answers,"
         " lineage_budget_nanousd, budget_tokens, budget_requests, evaluation_budget_tokens,"
         " evaluation_budget_requests, lineage_budget_tokens, lineage_budget_requests) VALUES "
         "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
         run.id.str(), run.name, run.repository, run.branch, run.folder, run.seed_commit,
         run.genome_toml, run.model, run.budget.money, run.goal, run.random_seed,
         run.max_iterations, sql::blob{run.limits.SerializeAsString()}, run.now_ms,
         join_tags(run.required_tags, "\n"), run.measured.direction, run.measured.evaluations,
         run.measured.key, run.measured.strategy, join_tags(run.measured.policy, "\n"),
         run.measured.elite_evaluations, run.share.priority, run.share.weight,
         run.measured.inspirations, join_tags(run.models, "\n"), run.model_choice,
         run.evaluation_budget.money, run.agents_ask ? 1 : 0, run.held_out.id, run.held_out.files,
         run.held_out.bytes, run.replay_of.str(), run.replay_answers, run.lineage_budget.money,
         run.budget.tokens, run.budget.requests, run.evaluation_budget.tokens,
         run.evaluation_budget.requests, run.lineage_budget.tokens, run.lineage_budget.requests);
    write_imports(db, run);
    int ordinal = 0;
    for (const auto& id : run.lineages) {
      const auto& again = run.replayed.empty() ? records::replayed_lineage{run.max_iterations, 0}
                                               : run.replayed.at(static_cast<std::size_t>(ordinal));
      exec(db,
           "INSERT INTO lineages (id, run_id, ordinal, state, pause_reason, details,"
           " head_generation, head_commit, depth, last_number, iterations_done, max_iterations,"
           " failures_in_row, live_item) VALUES (?,?,?,1,0,'','','',0,?,0,?,0,'')",
           id.str(), run.id.str(), ordinal++, again.last_number, again.iterations);
    }
    exec(db,
         "INSERT INTO items (id, run_id, kind, number, parent_generation, parent_commit,"
         " started_ms, source_bytes, context_bytes) VALUES (?,?,?,0,'',?,?,?,?)",
         run.found_item.str(), run.id.str(), v1::WORK_KIND_FOUND, run.seed_commit, run.now_ms,
         run.seed_sizes.source, run.seed_sizes.context);
    return {};
  });
}

result<dispatch::run_share> store::set_share(const records::share_change& change) {
  auto& db = impl_->db;
  dispatch::run_share share;
  GERMLINE_TRY(impl_->transact([&]() -> result<void> {
    exec(db,
         "UPDATE runs SET priority = COALESCE(?, priority), weight = COALESCE(?, weight)"
         " WHERE id=?",
         change.priority, change.weight, change.run.str());
    SQLite::Statement row(db, "SELECT priority, weight FROM runs WHERE id=?");
    bind_all(row, change.run.str());
    if (!row.executeStep()) return error(error_code::not_found, "there is no such run");
    share = {static_cast<int>(integer(row, 0)), static_cast<int>(integer(row, 1))};
    return {};
  }));
  return share;
}

result<void> check_can_hold(SQLite::Database& db, const std::string& item, std::int64_t now_ms) {
  SQLite::Statement row(db, select_for_lease);
  bind_all(row, item);
  if (!row.executeStep()) return stale("no such item");
  GERMLINE_TRY_ASSIGN(const auto id, item_id::parse(item));
  records::grant_request request;
  request.item = id;
  request.now_ms = now_ms;
  auto lease = make_lease(db, row, request);
  const auto of = read_purse(row);
  const auto then = add_replay(db, lease);
  GERMLINE_TRY(then ? reserve_again(db, lease.kind(), *then, of, now_ms)
                    : reserve(db, lease.kind(), of, now_ms));
  return {};
}

result<v1::Lease> store::grant(const records::grant_request& request) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<v1::Lease> {
    SQLite::Statement row(db, select_for_lease);
    bind_all(row, request.item.str());
    if (!row.executeStep()) return stale("no such item");
    if (integer(row, 0) != 0) return stale("the iteration has ended already");
    if (integer(row, 1) >= request.fence) return stale("the fence is not newer than the last");
    if (integer(row, 21) != 0) return unwanted("its parent was killed while it waited");
    if (integer(row, 22) != 0) return unwanted("its lineage drains, and no worker has it");
    // What was born is measured, whatever its lineage does next; unless it is killed.
    const bool measures = integer(row, 2) == v1::WORK_KIND_EVALUATE;
    const auto state = integer(row, 17);
    if (measures ? state == v1::LINEAGE_STATE_KILLED : state != v1::LINEAGE_STATE_ACTIVE) {
      return stale("the lineage is not active");
    }
    const auto of = read_purse(row);
    v1::Lease lease = make_lease(db, row, request);
    if (integer(row, 23) != 0) {
      lease.set_model(model_again(db, lease.run_id(), lease.item_id(), lease.lineage_id()));
    }
    add_given(db, lease);
    const auto then = add_replay(db, lease);
    const auto now_ms = request.now_ms;
    GERMLINE_TRY_ASSIGN(const auto held, then ? reserve_again(db, lease.kind(), *then, of, now_ms)
                                              : reserve(db, lease.kind(), of, now_ms));
    limit(lease, held);
    add_siblings(db, sql::lines(text(row, 28)), lease);
    exec(db, "UPDATE items SET fence=?, phase=0 WHERE id=?", request.fence, request.item.str());
    exec(db,
         "INSERT INTO attempts (id, item_id, fence, state, worker_id, leased_ms, reserved_nanousd,"
         " reserved_tokens, reserved_requests) VALUES (?,?,?,?,?,?,?,?,?)",
         request.attempt.str(), request.item.str(), request.fence, v1::ATTEMPT_STATE_LEASED,
         request.worker, request.now_ms, held.money, held.tokens, held.requests);
    return lease;
  });
}

result<void> store::end_seed(const records::seed_end& end) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    GERMLINE_TRY(check_fence(db, end.judged));
    write_verdict(db, end.judged, end.born ? end.born->id.str() : "");
    if (end.born) write_birth(db, *end.born, end.run.str(), "", end.judged);
    for (const auto& name : end.protected_tests) {
      exec(db, "INSERT OR IGNORE INTO protected_tests VALUES (?,?)", end.run.str(), name);
    }
    exec(db, "UPDATE runs SET found_state=?, found_details=?, base_digest=? WHERE id=?",
         end.born ? "founded" : "refused", end.judged.details, end.base_digest, end.run.str());
    return {};
  });
}

result<void> store::begin_iteration(const records::new_iteration& begin) {
  auto& db = impl_->db;
  const auto& s = begin.next;
  const auto parent = s.head_generation.str();
  std::string run;
  const auto begun = impl_->transact([&]() -> result<void> {
    SQLite::Statement of(db, "SELECT run_id, barred FROM generations WHERE id=?");
    bind_all(of, parent);
    if (!of.executeStep()) return stale("there is no generation " + parent);
    if (begin.how && integer(of, 1) != 0) return stale("the parent was killed meanwhile");
    run = text(of, 0);
    const auto how = begin.how.value_or(records::chosen{});
    exec(db,
         "INSERT INTO items (id, run_id, lineage_id, kind, number, parent_generation,"
         " parent_commit, started_ms, chosen_among, chosen_probability, chosen_unmeasured,"
         " replay_of) SELECT ?, run_id, id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM lineages WHERE id=?",
         begin.item.str(), v1::WORK_KIND_ITERATE, s.last_number + 1, parent, s.head_commit,
         begin.now_ms, how.among, how.probability, how.unmeasured, begin.replays.str(), s.id.str());
    if (begin.given) {
      if (!take_import(db, run, *begin.given, begin.item.str())) {
        return stale("the import was taken meanwhile");
      }
    } else if (begin.replays.empty()) {
      choose_model(db, run, begin.item.str(), s.id.str());
    }
    if (!begin.replays.empty()) copy_again(db, begin.item.str(), begin.replays.str());
    int position = 0;
    for (const auto& each : begin.inspirations) {
      exec(db,
           "INSERT INTO inspirations (item_id, position, generation_id, commit_id, base_commit,"
           " samples, mean) VALUES (?,?,?,?,?,?,?)",
           begin.item.str(), ++position, each.generation.str(), each.commit, each.base,
           each.samples, each.mean);
    }
    write_lineage(db, s, begin.now_ms);
    return {};
  });
  if (auto* archive = begun ? impl_->known_archive(run) : nullptr) archive->begin(parent);
  return begun;
}

result<bool> store::end_iteration(const records::iteration_end& end) {
  auto& db = impl_->db;
  std::string run, parent;
  int lineage = 0;
  auto ended = impl_->transact([&]() -> result<bool> {
    GERMLINE_TRY(check_fence(db, end.judged));
    SQLite::Statement row(db,
                          "SELECT l.run_id, l.state, i.parent_generation, l.ordinal FROM lineages l"
                          " JOIN items i ON i.id = l.live_item WHERE l.id=? AND i.id=?");
    bind_all(row, end.next.id.str(), end.judged.item.str());
    if (!row.executeStep()) return stale("this is not the lineage's live iteration");
    if (integer(row, 1) >= v1::LINEAGE_STATE_KILLED) return stale("the lineage is killed");
    run = text(row, 0);
    parent = text(row, 2);
    lineage = static_cast<int>(integer(row, 3)) + 1;
    write_verdict(db, end.judged, end.born ? end.born->id.str() : "");
    exec(db, "UPDATE items SET source_bytes=?, context_bytes=? WHERE id=?", end.sizes.source,
         end.sizes.context, end.judged.item.str());
    const bool is_measured =
        end.born && write_birth(db, *end.born, run, end.next.id.str(), end.judged);
    impl_->note_change(end.judged, end.next.id.str(), end.born ? end.born->id.str() : "");
    note_findings(db, end);
    write_lineage(db, end.next, end.judged.now_ms);
    return is_measured;
  });
  if (ended) impl_->keep_tally(end.next.id.str(), end.judged.item.str());
  if (auto* archive = ended ? impl_->known_archive(run) : nullptr) {
    archive->end(parent, end.judged.how == lineage::ending::failed,
                 lineage::is_agents_own(end.judged.reason));
    if (end.born) {
      const auto evaluations = *ended ? end.born->evaluations.size() : 0;
      archive->add({end.born->id.str(), parent, static_cast<int>(evaluations), lineage});
    }
  }
  return ended;
}

result<bool> store::end_evaluation(const records::evaluation_end& end) {
  auto& db = impl_->db;
  std::string run;
  bool is_known = false;  // to an archive, before it is recorded
  auto ended = impl_->transact([&]() -> result<bool> {
    GERMLINE_TRY(check_fence(db, end.judged));
    write_verdict(db, end.judged, "");
    SQLite::Statement of(db, "SELECT i.run_id, i.parent_generation, " + sql::says_nothing +
                                 " FROM items i WHERE i.id=?");
    bind_all(of, end.judged.item.str());
    of.executeStep();
    if (integer(of, 2) != 0) return false;  // nor is another begun, which might end so, too
    run = text(of, 0);
    if (end.score) {
      exec(db,
           "INSERT INTO scores (item_id, generation_id, score, details)"
           " SELECT id, parent_generation, ?, ? FROM items WHERE id=? AND kind=?",
           end.score->score(), sql::blob{end.score->SerializeAsString()}, end.judged.item.str(),
           v1::WORK_KIND_EVALUATE);
    }
    is_known = true;
    if (auto* archive = impl_->known_archive(run)) {
      archive->measure(text(of, 1), outcome_of(end.score));
    }
    return impl_->measure_elite(run, text(of, 1), end.again, end.judged.now_ms);
  });
  if (!ended && is_known) impl_->populations.erase(run);
  return ended;
}

result<void> store::refuse_result(const attempt_id& attempt, std::int64_t now_ms) {
  return impl_->transact([&]() -> result<void> {
    exec(impl_->db, "UPDATE attempts SET state=?, ended_ms=? WHERE id=? AND state=?",
         v1::ATTEMPT_STATE_REFUSED, now_ms, attempt.str(), v1::ATTEMPT_STATE_LOST);
    return {};
  });
}

result<void> store::save_lineage(const lineage::state& state, std::int64_t now_ms) {
  return impl_->transact([&]() -> result<void> {
    write_lineage(impl_->db, state, now_ms);
    return {};
  });
}

result<void> store::kill_lineage(const lineage::state& killed, std::int64_t now_ms) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    for (const auto& item : open_items(db, "lineage_id=?", killed.id.str())) {
      kill_item(db, item, killed.details, now_ms);
    }
    write_lineage(db, killed, now_ms);
    impl_->tallies.erase(killed.id.str());
    impl_->forget_archive(killed.id);
    return {};
  });
}

result<void> store::kill_evaluations(const lineage_id& lineage, const std::string& why,
                                     std::int64_t now_ms) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    for (const auto& item : open_items(db, "kind=3 AND lineage_id=?", lineage.str())) {
      kill_item(db, item, why, now_ms);
    }
    impl_->forget_archive(lineage);
    return {};
  });
}

result<void> store::kill_seed(const run_id& run, const std::string& why, std::int64_t now_ms) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    for (const auto& item : open_items(db, "run_id=? AND lineage_id IS NULL", run.str())) {
      kill_item(db, item, why, now_ms);
    }
    impl_->populations.erase(run.str());
    exec(db,
         "UPDATE runs SET found_state='refused', found_details=? WHERE id=? AND"
         " found_state='pending'",
         "killed: " + why, run.str());
    return {};
  });
}

result<void> store::drop_waiting(const records::dropped_iteration& drop) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    SQLite::Statement live(db,
                           "SELECT i.id, EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id"
                           " AND a.state=?) FROM items i WHERE i.lineage_id=? AND i.kind=2"
                           " AND i.ending=0");
    bind_all(live, v1::ATTEMPT_STATE_LEASED, drop.next.id.str());
    if (live.executeStep()) {
      if (integer(live, 1) != 0) {
        return stale("an iteration is live (" + text(live, 0) +
                     "): wait for it to end; the lineage is paused, and no other begins");
      }
      kill_item(db, text(live, 0), drop.why, drop.now_ms);
      impl_->forget_archive(drop.next.id);
    }
    write_lineage(db, drop.next, drop.now_ms);
    return {};
  });
}

result<void> store::set_branch(const lineage_id& lineage, const std::string& commit) {
  return impl_->transact([&]() -> result<void> {
    exec(impl_->db, "UPDATE lineages SET branch_commit=? WHERE id=?", commit, lineage.str());
    return {};
  });
}

result<void> store::add_events(const std::vector<v1::ProgressEvent>& events, int limit) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    for (const auto& event : events) {
      exec(db,
           "UPDATE items SET phase=? WHERE ending=0 AND id=(SELECT item_id FROM attempts"
           " WHERE id=? AND state=1)",
           event.phase(), event.attempt_id());
      exec(db,
           "INSERT INTO events (attempt_id, event) SELECT id, ? FROM attempts WHERE id=?"
           " AND (SELECT COUNT(*) FROM events WHERE attempt_id=?) < ?",
           sql::blob{event.SerializeAsString()}, event.attempt_id(), event.attempt_id(), limit);
    }
    return {};
  });
}

}  // namespace germline
