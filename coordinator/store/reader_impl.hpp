// reader_impl: what the files of the reader share: its connection, and how rows become the shapes
// of control.proto. Internal to coordinator/store.
#pragma once

#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "coordinator/evolution/fitness.hpp"
#include "coordinator/lineage/lineage_state.hpp"
#include "coordinator/store/reader.hpp"
#include "coordinator/store/sql.hpp"

namespace germline {
namespace rows {

using sql::bind_all;
using sql::integer;
using sql::text;

inline constexpr const char* select_run =
    "SELECT id, name, seed_commit, branch, repository, model, budget_nanousd, spent_nanousd,"
    " created_ms, found_state, found_details, required_tags, folder, fitness_direction,"
    " random_seed, strategy, policy, priority, weight,"
    " inspirations, models, model_choice, evaluation_budget_nanousd, held_out_id,"
    " held_out_files, held_out_bytes, replay_of, replay_answers, lineage_budget_nanousd,"
    " budget_tokens, budget_requests, lineage_budget_tokens, lineage_budget_requests,"
    " evaluation_budget_tokens, evaluation_budget_requests, spent_tokens, spent_requests FROM runs";
inline constexpr const char* select_lineage =
    "SELECT id, run_id, state, pause_reason, details, head_generation, head_commit, depth,"
    " iterations_done, max_iterations, spent_nanousd, live_item, COALESCE((SELECT at_ms FROM"
    " lineage_changes c WHERE c.lineage_id = lineages.id AND c.rolled_to = '' AND c.rule = '' "
    "ORDER BY"
    " seq DESC"
    " LIMIT 1), 0), forked_from,"
    " draining,"
    // What it waits for, where nothing of it is live: to have its newest generation measured, or
    // what its choice asked for.
    " CASE WHEN state = 1 AND live_item = '' THEN COALESCE((SELECT 'generation ' || g.number ||"
    " ' to be measured' FROM generations g JOIN items i"
    " ON i.parent_generation = g.id AND i.kind = 3 AND i.ending = 0 AND i.asked_by = '' WHERE"
    " g.lineage_id ="
    " lineages.id AND g.number = last_number AND (SELECT r.strategy FROM runs r WHERE r.id ="
    " lineages.run_id) <> 'chain' LIMIT 1), (SELECT i.parent_generation ||"
    " ' to be measured once more' FROM items i WHERE i.asked_by = lineages.id AND i.asked_by <> ''"
    " AND i.ending = 0 LIMIT 1), (SELECT 'what had ended before its next iteration in ' ||"
    " r.replay_of FROM runs r WHERE r.id = lineages.run_id AND r.replay_of <> '' AND"
    " head_generation <> '')) END,"
    // The first change of a fork is its beginning; of another it is its founding.
    " COALESCE(CASE WHEN forked_from <> '' THEN (SELECT MIN(at_ms) FROM lineage_changes c WHERE"
    " c.lineage_id = lineages.id) END, (SELECT created_ms FROM runs r WHERE r.id = run_id)),"
    " COALESCE(budget_nanousd, (SELECT lineage_budget_nanousd FROM runs r WHERE r.id = run_id)),"
    " COALESCE(budget_tokens, (SELECT lineage_budget_tokens FROM runs r WHERE r.id = run_id)),"
    " COALESCE(budget_requests, (SELECT lineage_budget_requests FROM runs r WHERE r.id = run_id)),"
    " spent_tokens, spent_requests FROM lineages";
inline constexpr const char* select_generation =
    "SELECT g.id, g.lineage_id, p.parent_id, g.depth, g.number, g.commit_id, g.source_id,"
    " g.artefact_id, g.born_ms, g.born_of_item, g.barred, i.source_bytes, i.context_bytes,"
    " g.same_as, (SELECT group_concat(parent_id, char(10)) FROM (SELECT m.parent_id FROM"
    " generation_parents m WHERE m.generation_id = g.id AND m.role = 'merged' ORDER BY m.rowid)),"
    " i.likeness, i.like_generation, (SELECT COALESCE(SUM(a.cost_nanousd), 0)"
    " FROM attempts a WHERE a.item_id = g.born_of_item),"
    " (SELECT m.origin FROM imports m WHERE m.item_id = g.born_of_item AND m.item_id <> '')"
    " FROM generations g JOIN items i ON i.id = "
    "g.born_of_item LEFT JOIN generation_parents p ON"
    " p.generation_id = g.id AND p.role = 'primary'";
inline constexpr const char* select_item =
    "SELECT id, lineage_id, parent_generation, number, ending, reason, details, commit_id,"
    " generation_id, phase, usage, started_ms, ended_ms, action, kind,"
    " chosen_among, chosen_probability, chosen_unmeasured, model, likeness, like_generation,"
    " (SELECT m.origin FROM imports m WHERE m.item_id = items.id AND m.item_id <> ''), replay_of"
    " FROM items";

/// What becomes of a lineage, in one word.
inline std::string word_of(const v1::LineageInfo& lineage) {
  if (lineage.pause_reason() == v1::PAUSE_REASON_DONE) return "done";
  return lineage::to_string(static_cast<lineage::status>(lineage.state()));
}

inline error not_found(const std::string& what) {
  return {error_code::not_found, "there is no '" + what + "'"};
}

}  // namespace rows

struct record_reader::impl {
  explicit impl(const std::string& path) : db(path, SQLite::OPEN_READONLY, 5'000) {}

  template <class Work>
  std::invoke_result_t<Work> locked(Work&& work) {
    const std::lock_guard lock(mutex);
    return sql::guarded(std::forward<Work>(work));
  }

  /// How many generations of its run were measured while the iteration went on.
  int measured_during(const v1::IterationInfo& iteration) {
    SQLite::Statement row(
        db,
        "SELECT COUNT(DISTINCT parent_generation) FROM items WHERE run_id = (SELECT run_id FROM"
        " items WHERE id=?1) AND kind = 3 AND asked_by = '' AND ending <> 0 AND ended_ms > ?2 AND"
        " (?3 = 0 OR"
        " ended_ms < ?3)");
    rows::bind_all(row, iteration.item_id(), iteration.started_ms(), iteration.ended_ms());
    row.executeStep();
    return static_cast<int>(rows::integer(row, 0));
  }

  v1::IterationInfo read_item(SQLite::Statement& row) {
    v1::IterationInfo info;
    info.set_item_id(rows::text(row, 0));
    info.set_lineage_id(rows::text(row, 1));
    info.set_parent_generation(rows::text(row, 2));
    info.set_number(rows::integer(row, 3));
    info.set_ending(static_cast<v1::Ending>(rows::integer(row, 4)));
    info.set_reason(rows::text(row, 5));
    info.set_details(rows::text(row, 6));
    info.set_commit(rows::text(row, 7));
    info.set_generation_id(rows::text(row, 8));
    info.set_phase(static_cast<v1::IterationPhase>(rows::integer(row, 9)));
    info.mutable_usage()->ParseFromString(sql::bytes(row, 10));
    info.set_started_ms(rows::integer(row, 11));
    info.set_ended_ms(rows::integer(row, 12));
    info.set_action(rows::text(row, 13));
    info.set_kind(static_cast<v1::WorkKind>(rows::integer(row, 14)));
    SQLite::Statement attempts(db,
                               "SELECT id, fence, state, worker_id, leased_ms, ended_ms,"
                               " details FROM attempts WHERE item_id=? ORDER BY fence");
    rows::bind_all(attempts, info.item_id());
    while (attempts.executeStep()) {
      auto* attempt = info.add_attempts();
      attempt->set_attempt_id(rows::text(attempts, 0));
      attempt->set_fence(rows::integer(attempts, 1));
      attempt->set_state(static_cast<v1::AttemptState>(rows::integer(attempts, 2)));
      attempt->set_worker_id(rows::text(attempts, 3));
      attempt->set_leased_ms(rows::integer(attempts, 4));
      attempt->set_ended_ms(rows::integer(attempts, 5));
      attempt->set_details(rows::text(attempts, 6));
    }
    info.set_model(rows::text(row, 18));
    if (!row.isColumnNull(19)) info.set_likeness(row.getColumn(19).getDouble());
    info.set_like_generation(rows::text(row, 20));
    info.set_imported(rows::text(row, 21));
    info.set_replay_of(rows::text(row, 22));
    if (rows::integer(row, 15) > 0) {
      auto& choice = *info.mutable_choice();
      choice.set_among(static_cast<int>(rows::integer(row, 15)));
      choice.set_probability(row.getColumn(16).getDouble());
      choice.set_unmeasured(static_cast<int>(rows::integer(row, 17)));
    }
    if (info.kind() == v1::WORK_KIND_EVALUATE) {
      SQLite::Statement score(db, "SELECT details FROM scores WHERE item_id=?");
      rows::bind_all(score, info.item_id());
      if (score.executeStep()) info.mutable_score()->ParseFromString(sql::bytes(score, 0));
    }
    return info;
  }

  /// Of which `where` is said with one parameter.
  std::vector<v1::IterationInfo> items_where(const std::string& where, const std::string& value) {
    SQLite::Statement row(
        db, std::string(rows::select_item) + " WHERE " + where + " ORDER BY started_ms, id");
    rows::bind_all(row, value);
    std::vector<v1::IterationInfo> out;
    while (row.executeStep()) out.push_back(read_item(row));
    return out;
  }

  /// By generation; of a run, or of one generation.
  std::map<std::string, v1::Fitness> fitness_where(const std::string& where,
                                                   const std::string& value) {
    SQLite::Statement row(db,
                          "SELECT i.parent_generation, i.ending, s.score, i.reason, i.asked_by"
                          " FROM items i LEFT JOIN scores s ON s.item_id = i.id WHERE i.kind = 3"
                          " AND NOT " +
                              sql::says_nothing + " AND " + where + " ORDER BY i.ended_ms, i.id");
    rows::bind_all(row, value);
    std::map<std::string, v1::Fitness> out;
    std::map<std::string, std::vector<double>> scores;
    while (row.executeStep()) {
      auto& fitness = out[rows::text(row, 0)];
      if (!row.isColumnNull(2)) {
        scores[rows::text(row, 0)].push_back(row.getColumn(2).getDouble());
      } else if (rows::integer(row, 1) == 0) {
        if (rows::text(row, 4).empty()) {
          fitness.set_open(fitness.open() + 1);
        } else {
          fitness.set_open_again(fitness.open_again() + 1);
        }
      } else if (rows::integer(row, 1) != v1::ENDING_KILLED) {
        fitness.set_failed(fitness.failed() + 1);
        fitness.set_reason(rows::text(row, 3));
      }
    }
    for (const auto& [generation, values] : scores) {
      auto& fitness = out[generation];
      const auto estimate = evolution::estimate(values);
      fitness.set_samples(static_cast<int>(values.size()));
      fitness.set_mean(estimate.mean);
      fitness.set_low(estimate.low);
      fitness.set_high(estimate.high);
    }
    return out;
  }

  v1::LineageInfo read_lineage(SQLite::Statement& row) {
    v1::LineageInfo info;
    info.set_lineage_id(rows::text(row, 0));
    info.set_run_id(rows::text(row, 1));
    info.set_state(static_cast<v1::LineageState>(rows::integer(row, 2)));
    info.set_pause_reason(static_cast<v1::PauseReason>(rows::integer(row, 3)));
    info.set_pause_details(rows::text(row, 4));
    info.set_head_generation(rows::text(row, 5));
    info.set_head_commit(rows::text(row, 6));
    info.set_depth(rows::integer(row, 7));
    info.set_iterations_done(rows::integer(row, 8));
    info.set_max_iterations(rows::integer(row, 9));
    info.set_spent_nanousd(rows::integer(row, 10));
    info.set_changed_ms(rows::integer(row, 12));
    info.set_forked_from(rows::text(row, 13));
    info.set_draining(rows::integer(row, 14) != 0);
    if (!row.isColumnNull(15)) {
      info.set_waits_for(rows::text(row, 15));
    }
    info.set_created_ms(rows::integer(row, 16));
    info.set_budget_nanousd(rows::integer(row, 17));
    info.set_budget_tokens(rows::integer(row, 18));
    info.set_budget_requests(rows::integer(row, 19));
    info.set_spent_tokens(rows::integer(row, 20));
    info.set_spent_requests(rows::integer(row, 21));
    const std::string live = rows::text(row, 11);
    if (!live.empty()) {
      SQLite::Statement item(db, std::string(rows::select_item) + " WHERE id=?");
      rows::bind_all(item, live);
      if (item.executeStep()) *info.mutable_live() = read_item(item);
    }
    return info;
  }

  std::vector<v1::LineageInfo> lineages_of(const std::string& run) {
    SQLite::Statement row(db, std::string(rows::select_lineage) +
                                  " WHERE ?1='' OR run_id=?1 ORDER BY run_id, ordinal");
    rows::bind_all(row, run);
    std::vector<v1::LineageInfo> out;
    while (row.executeStep()) out.push_back(read_lineage(row));
    return out;
  }

  worker_needs needs_of(const std::string& run) {
    SQLite::Statement row(db, "SELECT base_digest, required_tags, priority FROM runs WHERE id=?");
    rows::bind_all(row, run);
    if (!row.executeStep()) return {};
    return {rows::text(row, 0), sql::lines(rows::text(row, 1)),
            static_cast<int>(rows::integer(row, 2))};
  }

  std::vector<v1::Inspiration> inspirations_of(const std::string& item) {
    SQLite::Statement row(
        db,
        "SELECT generation_id, commit_id, samples, mean, base_commit FROM inspirations WHERE"
        " item_id=? ORDER BY position");
    rows::bind_all(row, item);
    std::vector<v1::Inspiration> out;
    while (row.executeStep()) out.push_back(sql::read_inspiration(row));
    return out;
  }

  std::vector<v1::ModelArm> arms_of(const std::string& item) {
    SQLite::Statement row(
        db, "SELECT model, pulls, mean, compared FROM arms WHERE item_id=? ORDER BY position");
    rows::bind_all(row, item);
    std::vector<v1::ModelArm> out;
    while (row.executeStep()) {
      auto& arm = out.emplace_back();
      arm.set_model(rows::text(row, 0));
      arm.set_pulls(static_cast<std::int32_t>(rows::integer(row, 1)));
      arm.set_mean(row.getColumn(2).getDouble());
      arm.set_index(row.isColumnNull(3) ? std::numeric_limits<double>::infinity()
                                        : row.getColumn(3).getDouble());
    }
    return out;
  }

  std::vector<v1::IterationInfo> iterations_of(const std::string& run) {
    return items_where("run_id=? AND kind <> 3", run);
  }

  /// The evaluation that the target is, or of whose attempts it is one.
  std::vector<v1::IterationInfo> target_evaluation(const resolved_target& target) {
    return items_where("kind = 3 AND id = COALESCE((SELECT item_id FROM attempts WHERE id=?1), ?1)",
                       target.id);
  }

  /// Changes are of lineages and runs; no other target has any.
  std::vector<stored_change> changes_of(const resolved_target& target, std::int64_t seq) {
    SQLite::Statement row(
        db,
        "SELECT c.seq, c.at_ms, c.lineage_id, c.state, c.pause_reason, c.details, c.was, c.item_id,"
        " c.item_ended, c.after_event, c.rolled_to, g.number, c.rule FROM lineage_changes c JOIN "
        "lineages l"
        " ON l.id = c.lineage_id LEFT JOIN generations g ON g.id = c.rolled_to WHERE c.seq > ?1 "
        "AND ?2 IN (l.id, l.run_id) ORDER BY c.seq");
    rows::bind_all(row, seq, target.id);
    std::vector<stored_change> out;
    while (row.executeStep()) {
      stored_change each;
      each.seq = rows::integer(row, 0);
      each.at_ms = rows::integer(row, 1);
      each.lineage = rows::text(row, 2);
      each.change.set_state(static_cast<v1::LineageState>(rows::integer(row, 3)));
      each.change.set_pause_reason(static_cast<v1::PauseReason>(rows::integer(row, 4)));
      each.change.set_why(rows::text(row, 5));
      each.change.set_was(static_cast<v1::LineageState>(rows::integer(row, 6)));
      each.item = rows::text(row, 7);
      each.item_ended = rows::integer(row, 8) != 0;
      each.after_event = rows::integer(row, 9);
      each.change.set_rolled_back_to(rows::text(row, 10));
      each.change.set_rolled_back_number(rows::integer(row, 11));
      each.change.set_rule(rows::text(row, 12));
      out.push_back(std::move(each));
    }
    return out;
  }

  std::vector<stored_event> events_of(const resolved_target& target, std::int64_t seq, int limit) {
    SQLite::Statement row(
        db,
        "SELECT e.seq, i.lineage_id, i.id, e.event FROM events e"
        " JOIN attempts a ON a.id = e.attempt_id JOIN items i ON i.id = a.item_id WHERE e.seq > ?1 "
        "AND ?2 IN (i.run_id,"
        " COALESCE(i.lineage_id, ''), i.id, a.id, i.generation_id)"
        " AND (i.kind <> 3 OR ?2 IN (i.id, a.id)) ORDER BY e.seq LIMIT ?3");
    rows::bind_all(row, seq, target.id, limit);
    std::vector<stored_event> out;
    while (row.executeStep()) {
      stored_event event{rows::integer(row, 0), rows::text(row, 1), rows::text(row, 2), {}};
      event.event.ParseFromString(sql::bytes(row, 3));
      out.push_back(std::move(event));
    }
    return out;
  }

  v1::RunInfo read_run(SQLite::Statement& row) {
    v1::RunInfo info;
    info.set_run_id(rows::text(row, 0));
    info.set_name(rows::text(row, 1));
    info.set_seed_commit(rows::text(row, 2));
    info.set_branch(rows::text(row, 3));
    info.set_repository(rows::text(row, 4));
    info.set_model(rows::text(row, 5));
    info.set_budget_nanousd(rows::integer(row, 6));
    info.set_spent_nanousd(rows::integer(row, 7));
    info.set_created_ms(rows::integer(row, 8));
    info.set_found_state(rows::text(row, 9));
    info.set_found_details(rows::text(row, 10));
    for (auto& tag : sql::lines(rows::text(row, 11))) info.add_required_tags(std::move(tag));
    info.set_folder(rows::text(row, 12));
    info.set_fitness_direction(static_cast<v1::FitnessDirection>(rows::integer(row, 13)));
    info.set_random_seed(static_cast<std::uint64_t>(rows::integer(row, 14)));
    info.set_strategy(rows::text(row, 15));
    for (auto& rule : sql::lines(rows::text(row, 16))) info.add_policy(std::move(rule));
    info.set_priority(static_cast<std::int32_t>(rows::integer(row, 17)));
    info.set_weight(static_cast<std::int32_t>(rows::integer(row, 18)));
    info.set_inspirations(static_cast<std::int32_t>(rows::integer(row, 19)));
    for (auto& model : sql::lines(rows::text(row, 20))) info.add_models(std::move(model));
    info.set_model_choice(rows::text(row, 21));
    info.set_evaluation_budget_nanousd(rows::integer(row, 22));
    info.set_lineage_budget_nanousd(rows::integer(row, 28));
    info.set_budget_tokens(rows::integer(row, 29));
    info.set_budget_requests(rows::integer(row, 30));
    info.set_lineage_budget_tokens(rows::integer(row, 31));
    info.set_lineage_budget_requests(rows::integer(row, 32));
    info.set_evaluation_budget_tokens(rows::integer(row, 33));
    info.set_evaluation_budget_requests(rows::integer(row, 34));
    info.set_spent_tokens(rows::integer(row, 35));
    info.set_spent_requests(rows::integer(row, 36));
    info.set_replay_of(rows::text(row, 26));
    info.set_replay_answers(static_cast<v1::ReplayAnswers>(rows::integer(row, 27)));
    if (auto held_out = rows::text(row, 23); !held_out.empty()) {
      info.mutable_held_out()->set_held_out_id(std::move(held_out));
      info.mutable_held_out()->set_files(static_cast<std::int32_t>(rows::integer(row, 24)));
      info.mutable_held_out()->set_bytes(rows::integer(row, 25));
    }
    for (auto& lineage : lineages_of(info.run_id())) *info.add_lineages() = std::move(lineage);
    return info;
  }

  /// By what people tell one run or lineage from another: its time and its state.
  std::string told(const resolved_target& target) {
    const bool is_run = target.what == resolved_target::kind::run;
    if (!is_run && target.what != resolved_target::kind::lineage) return {};
    SQLite::Statement row(db, std::string(rows::select_run) + " WHERE id=?");
    rows::bind_all(row, target.run);
    if (!row.executeStep()) return {};
    const auto run = read_run(row);
    std::map<std::string, int> states;
    for (const auto& each : run.lineages()) {
      if (is_run || each.lineage_id() == target.id) ++states[rows::word_of(each)];
    }
    auto text = " " + to_iso8601(run.created_ms()).substr(0, 19) + "Z";
    if (run.found_state() == "pending") text += " founding";
    for (const auto& [word, count] : states) {
      if (run.found_state() == "pending" && word == "active") continue;
      text += " " + (count > 1 ? std::to_string(count) + " " : std::string()) + word;
    }
    return text;
  }

  static v1::GenerationInfo read_generation(SQLite::Statement& row) {
    v1::GenerationInfo info;
    info.set_generation_id(rows::text(row, 0));
    info.set_lineage_id(rows::text(row, 1));
    info.set_parent(rows::text(row, 2));
    info.set_depth(rows::integer(row, 3));
    info.set_number(rows::integer(row, 4));
    info.set_commit(rows::text(row, 5));
    info.set_source_id(rows::text(row, 6));
    info.set_artefact_id(rows::text(row, 7));
    info.set_born_ms(rows::integer(row, 8));
    info.set_born_of_iteration(rows::text(row, 9));
    info.set_barred(rows::integer(row, 10) != 0);
    info.set_source_bytes(rows::integer(row, 11));
    info.set_context_bytes(rows::integer(row, 12));
    info.set_same_as(rows::text(row, 13));
    for (auto& merged : sql::lines(rows::text(row, 14))) info.add_merged(std::move(merged));
    if (!row.isColumnNull(15)) info.set_likeness(row.getColumn(15).getDouble());
    info.set_like_generation(rows::text(row, 16));
    info.set_cost_nanousd(rows::integer(row, 17));
    info.set_imported(rows::text(row, 18));
    return info;
  }

  SQLite::Database db;
  std::mutex mutex;
};

}  // namespace germline
