#include "coordinator/store/reader.hpp"

#include <array>
#include <map>
#include <mutex>

#include "common/clock.hpp"
#include "coordinator/evolution/fitness.hpp"
#include "coordinator/lineage/lineage_state.hpp"
#include "coordinator/store/sql.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;
using sql::text;

constexpr const char* select_run =
    "SELECT id, name, seed_commit, branch, repository, model, budget_nanousd, spent_nanousd,"
    " created_ms, found_state, found_details, required_tags, folder, fitness_direction,"
    " random_seed, strategy FROM runs";
constexpr const char* select_lineage =
    "SELECT id, run_id, state, pause_reason, details, head_generation, head_commit, depth,"
    " iterations_done, max_iterations, spent_nanousd, live_item, COALESCE((SELECT at_ms FROM"
    " lineage_changes c WHERE c.lineage_id = lineages.id AND c.rolled_to = '' ORDER BY seq DESC"
    " LIMIT 1), 0), forked_from,"
    " draining,"
    // The number of its newest generation, where that is being measured and nothing else is live.
    " CASE WHEN state = 1 AND live_item = '' THEN (SELECT g.number FROM generations g JOIN items i"
    " ON i.parent_generation = g.id AND i.kind = 3 AND i.ending = 0 WHERE g.lineage_id ="
    " lineages.id AND g.number = last_number AND (SELECT r.strategy FROM runs r WHERE r.id ="
    " lineages.run_id) <> 'chain' LIMIT 1) END,"
    // The first change of a fork is its beginning; of another it is its founding.
    " COALESCE(CASE WHEN forked_from <> '' THEN (SELECT MIN(at_ms) FROM lineage_changes c WHERE"
    " c.lineage_id = lineages.id) END, (SELECT created_ms FROM runs r WHERE r.id = run_id))"
    " FROM lineages";
constexpr const char* select_generation =
    "SELECT g.id, g.lineage_id, p.parent_id, g.depth, g.number, g.commit_id, g.source_id,"
    " g.artefact_id, g.born_ms, g.born_of_item, g.barred FROM generations g LEFT JOIN "
    "generation_parents p"
    " ON p.generation_id = g.id AND p.role = 'primary'";
constexpr const char* select_item =
    "SELECT id, lineage_id, parent_generation, number, ending, reason, details, commit_id,"
    " generation_id, phase, usage, started_ms, ended_ms, action, kind,"
    " chosen_among, chosen_probability, chosen_unmeasured FROM items";

constexpr std::size_t ambiguous_most = 8;

/// What becomes of a lineage, in one word.
std::string word_of(const v1::LineageInfo& lineage) {
  if (lineage.pause_reason() == v1::PAUSE_REASON_DONE) return "done";
  return lineage::to_string(static_cast<lineage::status>(lineage.state()));
}

/// The smallest text that is greater than every text that begins with `prefix`.
std::string upper_bound(std::string prefix) {
  prefix.push_back('\x7f');
  return prefix;
}

error not_found(const std::string& what) {
  return {error_code::not_found, "there is no '" + what + "'"};
}

}  // namespace

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
        " items WHERE id=?1) AND kind = 3 AND ending <> 0 AND ended_ms > ?2 AND (?3 = 0 OR"
        " ended_ms < ?3)");
    bind_all(row, iteration.item_id(), iteration.started_ms(), iteration.ended_ms());
    row.executeStep();
    return static_cast<int>(integer(row, 0));
  }

  v1::IterationInfo read_item(SQLite::Statement& row) {
    v1::IterationInfo info;
    info.set_item_id(text(row, 0));
    info.set_lineage_id(text(row, 1));
    info.set_parent_generation(text(row, 2));
    info.set_number(integer(row, 3));
    info.set_ending(static_cast<v1::Ending>(integer(row, 4)));
    info.set_reason(text(row, 5));
    info.set_details(text(row, 6));
    info.set_commit(text(row, 7));
    info.set_generation_id(text(row, 8));
    info.set_phase(static_cast<v1::IterationPhase>(integer(row, 9)));
    info.mutable_usage()->ParseFromString(sql::bytes(row, 10));
    info.set_started_ms(integer(row, 11));
    info.set_ended_ms(integer(row, 12));
    info.set_action(text(row, 13));
    info.set_kind(static_cast<v1::WorkKind>(integer(row, 14)));
    SQLite::Statement attempts(db,
                               "SELECT id, fence, state, worker_id, leased_ms, ended_ms,"
                               " details FROM attempts WHERE item_id=? ORDER BY fence");
    bind_all(attempts, info.item_id());
    while (attempts.executeStep()) {
      auto* attempt = info.add_attempts();
      attempt->set_attempt_id(text(attempts, 0));
      attempt->set_fence(integer(attempts, 1));
      attempt->set_state(static_cast<v1::AttemptState>(integer(attempts, 2)));
      attempt->set_worker_id(text(attempts, 3));
      attempt->set_leased_ms(integer(attempts, 4));
      attempt->set_ended_ms(integer(attempts, 5));
      attempt->set_details(text(attempts, 6));
    }
    if (integer(row, 15) > 0) {
      auto& choice = *info.mutable_choice();
      choice.set_among(static_cast<int>(integer(row, 15)));
      choice.set_probability(row.getColumn(16).getDouble());
      choice.set_unmeasured(static_cast<int>(integer(row, 17)));
    }
    if (info.kind() == v1::WORK_KIND_EVALUATE) {
      SQLite::Statement score(db, "SELECT details FROM scores WHERE item_id=?");
      bind_all(score, info.item_id());
      if (score.executeStep()) info.mutable_score()->ParseFromString(sql::bytes(score, 0));
    }
    return info;
  }

  /// Of which `where` is said with one parameter.
  std::vector<v1::IterationInfo> items_where(const std::string& where, const std::string& value) {
    SQLite::Statement row(
        db, std::string(select_item) + " WHERE " + where + " ORDER BY started_ms, id");
    bind_all(row, value);
    std::vector<v1::IterationInfo> out;
    while (row.executeStep()) out.push_back(read_item(row));
    return out;
  }

  /// By generation; of a run, or of one generation.
  std::map<std::string, v1::Fitness> fitness_where(const std::string& where,
                                                   const std::string& value) {
    SQLite::Statement row(db,
                          "SELECT i.parent_generation, i.ending, s.score, i.reason FROM items i"
                          " LEFT JOIN"
                          " scores s ON s.item_id = i.id WHERE i.kind = 3 AND " +
                              where + " ORDER BY i.ended_ms, i.id");
    bind_all(row, value);
    std::map<std::string, v1::Fitness> out;
    std::map<std::string, std::vector<double>> scores;
    while (row.executeStep()) {
      auto& fitness = out[text(row, 0)];
      if (!row.isColumnNull(2)) {
        scores[text(row, 0)].push_back(row.getColumn(2).getDouble());
      } else if (integer(row, 1) == 0) {
        fitness.set_open(fitness.open() + 1);
      } else if (integer(row, 1) != v1::ENDING_KILLED) {
        fitness.set_failed(fitness.failed() + 1);
        fitness.set_reason(text(row, 3));
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
    info.set_lineage_id(text(row, 0));
    info.set_run_id(text(row, 1));
    info.set_state(static_cast<v1::LineageState>(integer(row, 2)));
    info.set_pause_reason(static_cast<v1::PauseReason>(integer(row, 3)));
    info.set_pause_details(text(row, 4));
    info.set_head_generation(text(row, 5));
    info.set_head_commit(text(row, 6));
    info.set_depth(integer(row, 7));
    info.set_iterations_done(integer(row, 8));
    info.set_max_iterations(integer(row, 9));
    info.set_spent_nanousd(integer(row, 10));
    info.set_changed_ms(integer(row, 12));
    info.set_forked_from(text(row, 13));
    info.set_draining(integer(row, 14) != 0);
    if (!row.isColumnNull(15)) {
      info.set_waits_for("generation " + std::to_string(integer(row, 15)) + " to be measured");
    }
    info.set_created_ms(integer(row, 16));
    const std::string live = text(row, 11);
    if (!live.empty()) {
      SQLite::Statement item(db, std::string(select_item) + " WHERE id=?");
      bind_all(item, live);
      if (item.executeStep()) *info.mutable_live() = read_item(item);
    }
    return info;
  }

  std::vector<v1::LineageInfo> lineages_of(const std::string& run) {
    SQLite::Statement row(
        db, std::string(select_lineage) + " WHERE ?1='' OR run_id=?1 ORDER BY run_id, ordinal");
    bind_all(row, run);
    std::vector<v1::LineageInfo> out;
    while (row.executeStep()) out.push_back(read_lineage(row));
    return out;
  }

  worker_needs needs_of(const std::string& run) {
    SQLite::Statement row(db, "SELECT base_digest, required_tags FROM runs WHERE id=?");
    bind_all(row, run);
    if (!row.executeStep()) return {};
    return {text(row, 0), sql::lines(text(row, 1))};
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
        " c.item_ended, c.after_event, c.rolled_to, g.number FROM lineage_changes c JOIN lineages l"
        " ON l.id = c.lineage_id LEFT JOIN generations g ON g.id = c.rolled_to WHERE c.seq > ?1 "
        "AND ?2 IN (l.id, l.run_id) ORDER BY c.seq");
    bind_all(row, seq, target.id);
    std::vector<stored_change> out;
    while (row.executeStep()) {
      stored_change each;
      each.seq = integer(row, 0);
      each.at_ms = integer(row, 1);
      each.lineage = text(row, 2);
      each.change.set_state(static_cast<v1::LineageState>(integer(row, 3)));
      each.change.set_pause_reason(static_cast<v1::PauseReason>(integer(row, 4)));
      each.change.set_why(text(row, 5));
      each.change.set_was(static_cast<v1::LineageState>(integer(row, 6)));
      each.item = text(row, 7);
      each.item_ended = integer(row, 8) != 0;
      each.after_event = integer(row, 9);
      each.change.set_rolled_back_to(text(row, 10));
      each.change.set_rolled_back_number(integer(row, 11));
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
    bind_all(row, seq, target.id, limit);
    std::vector<stored_event> out;
    while (row.executeStep()) {
      stored_event event{integer(row, 0), text(row, 1), text(row, 2), {}};
      event.event.ParseFromString(sql::bytes(row, 3));
      out.push_back(std::move(event));
    }
    return out;
  }

  v1::RunInfo read_run(SQLite::Statement& row) {
    v1::RunInfo info;
    info.set_run_id(text(row, 0));
    info.set_name(text(row, 1));
    info.set_seed_commit(text(row, 2));
    info.set_branch(text(row, 3));
    info.set_repository(text(row, 4));
    info.set_model(text(row, 5));
    info.set_budget_nanousd(integer(row, 6));
    info.set_spent_nanousd(integer(row, 7));
    info.set_created_ms(integer(row, 8));
    info.set_found_state(text(row, 9));
    info.set_found_details(text(row, 10));
    for (auto& tag : sql::lines(text(row, 11))) info.add_required_tags(std::move(tag));
    info.set_folder(text(row, 12));
    info.set_fitness_direction(static_cast<v1::FitnessDirection>(integer(row, 13)));
    info.set_random_seed(static_cast<std::uint64_t>(integer(row, 14)));
    info.set_strategy(text(row, 15));
    for (auto& lineage : lineages_of(info.run_id())) *info.add_lineages() = std::move(lineage);
    return info;
  }

  /// By what people tell one run or lineage from another: its time and its state.
  std::string told(const resolved_target& target) {
    const bool is_run = target.what == resolved_target::kind::run;
    if (!is_run && target.what != resolved_target::kind::lineage) return {};
    SQLite::Statement row(db, std::string(select_run) + " WHERE id=?");
    bind_all(row, target.run);
    if (!row.executeStep()) return {};
    const auto run = read_run(row);
    std::map<std::string, int> states;
    for (const auto& each : run.lineages()) {
      if (is_run || each.lineage_id() == target.id) ++states[word_of(each)];
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
    info.set_generation_id(text(row, 0));
    info.set_lineage_id(text(row, 1));
    info.set_parent(text(row, 2));
    info.set_depth(integer(row, 3));
    info.set_number(integer(row, 4));
    info.set_commit(text(row, 5));
    info.set_source_id(text(row, 6));
    info.set_artefact_id(text(row, 7));
    info.set_born_ms(integer(row, 8));
    info.set_born_of_iteration(text(row, 9));
    info.set_barred(integer(row, 10) != 0);
    return info;
  }

  SQLite::Database db;
  std::mutex mutex;
};

record_reader::record_reader(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
record_reader::~record_reader() = default;

result<std::unique_ptr<record_reader>> record_reader::open(const std::string& path) {
  return sql::guarded([&]() -> result<std::unique_ptr<record_reader>> {
    return std::unique_ptr<record_reader>(new record_reader(std::make_unique<impl>(path)));
  });
}

result<resolved_target> record_reader::resolve(const std::string& given) {
  using kind = resolved_target::kind;
  struct table {
    kind what;
    const char* query;
  };
  static constexpr std::array tables = {
      table{kind::run,
            "SELECT id, id FROM runs WHERE (id>=?1 AND id<?2) OR name=?1"
            " ORDER BY created_ms DESC, id DESC LIMIT ?3"},
      table{kind::lineage, "SELECT id, run_id FROM lineages WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::generation, "SELECT id, run_id FROM generations WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::item, "SELECT id, run_id FROM items WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::attempt,
            "SELECT a.id, i.run_id FROM attempts a JOIN items i ON i.id=a.item_id"
            " WHERE a.id>=?1 AND a.id<?2 LIMIT ?3"},
  };
  if (given.empty()) return error(error_code::invalid_argument, "no id or name was given");
  return impl_->locked([&]() -> result<resolved_target> {
    std::vector<resolved_target> found;
    // A name that is said in full is not a beginning of ids.
    SQLite::Statement named(impl_->db, "SELECT id FROM runs WHERE name=?1 LIMIT 2");
    bind_all(named, given);
    while (named.executeStep()) found.push_back({kind::run, text(named, 0), text(named, 0)});
    if (found.size() == 1) return found.front();
    found.clear();
    for (const auto& each : tables) {
      SQLite::Statement row(impl_->db, each.query);
      bind_all(row, given, upper_bound(given), ambiguous_most + 1);
      while (row.executeStep()) found.push_back({each.what, text(row, 0), text(row, 1)});
    }
    if (found.empty()) return not_found(given);
    if (found.size() == 1) return found.front();
    std::string several = "'" + given + "' fits several; name one of them by its id:";
    for (std::size_t i = 0; i < found.size() && i < ambiguous_most; ++i) {
      several += "\n  " + found[i].id + impl_->told(found[i]);
    }
    if (found.size() > ambiguous_most) several += "\n  and more";
    return error(error_code::invalid_argument, several);
  });
}

result<std::string> record_reader::newest_run() {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db, "SELECT id FROM runs ORDER BY created_ms DESC, id DESC");
    if (!row.executeStep()) return error(error_code::not_found, "there is no run yet");
    return text(row, 0);
  });
}

result<std::vector<v1::RunInfo>> record_reader::runs() {
  return impl_->locked([&]() -> result<std::vector<v1::RunInfo>> {
    SQLite::Statement row(impl_->db, std::string(select_run) + " ORDER BY created_ms, id");
    std::vector<v1::RunInfo> out;
    while (row.executeStep()) out.push_back(impl_->read_run(row));
    return out;
  });
}

result<v1::RunInfo> record_reader::run(const std::string& id) {
  return impl_->locked([&]() -> result<v1::RunInfo> {
    SQLite::Statement row(impl_->db, std::string(select_run) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    return impl_->read_run(row);
  });
}

result<std::vector<v1::LineageInfo>> record_reader::lineages(const std::string& run) {
  return impl_->locked(
      [&]() -> result<std::vector<v1::LineageInfo>> { return impl_->lineages_of(run); });
}

result<v1::LineageInfo> record_reader::lineage(const std::string& id) {
  return impl_->locked([&]() -> result<v1::LineageInfo> {
    SQLite::Statement row(impl_->db, std::string(select_lineage) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    return impl_->read_lineage(row);
  });
}

result<std::vector<v1::GenerationInfo>> record_reader::generations(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::GenerationInfo>> {
    SQLite::Statement row(impl_->db,
                          std::string(select_generation) + " WHERE g.run_id=? ORDER BY g.id");
    bind_all(row, run);
    std::vector<v1::GenerationInfo> out;
    auto fitness = impl_->fitness_where("i.run_id = ?", run);
    while (row.executeStep()) {
      out.push_back(impl::read_generation(row));
      const auto its = fitness.find(out.back().generation_id());
      if (its != fitness.end()) *out.back().mutable_fitness() = std::move(its->second);
    }
    return out;
  });
}

result<v1::GenerationInfo> record_reader::generation(const std::string& id) {
  return impl_->locked([&]() -> result<v1::GenerationInfo> {
    SQLite::Statement row(impl_->db, std::string(select_generation) + " WHERE g.id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    auto info = impl::read_generation(row);
    auto fitness = impl_->fitness_where("i.parent_generation = ?", id);
    if (!fitness.empty()) *info.mutable_fitness() = std::move(fitness.begin()->second);
    return info;
  });
}

result<std::vector<v1::IterationInfo>> record_reader::iterations(const std::string& run) {
  return impl_->locked(
      [&]() -> result<std::vector<v1::IterationInfo>> { return impl_->iterations_of(run); });
}

result<std::vector<v1::IterationInfo>> record_reader::evaluations(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::IterationInfo>> {
    return impl_->items_where("run_id=? AND kind = 3", run);
  });
}

result<std::vector<v1::IterationInfo>> record_reader::evaluations_of(
    const std::string& generation) {
  return impl_->locked([&]() -> result<std::vector<v1::IterationInfo>> {
    return impl_->items_where("parent_generation=? AND kind = 3", generation);
  });
}

result<v1::IterationInfo> record_reader::iteration(const std::string& id) {
  return impl_->locked([&]() -> result<v1::IterationInfo> {
    SQLite::Statement row(impl_->db, std::string(select_item) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    auto info = impl_->read_item(row);
    if (info.has_choice()) {
      info.mutable_choice()->set_measured_since(impl_->measured_during(info));
    }
    return info;
  });
}

result<std::vector<v1::RollbackInfo>> record_reader::rollbacks(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::RollbackInfo>> {
    SQLite::Statement row(impl_->db,
                          "SELECT c.lineage_id, c.rolled_to, g.number, c.details, c.at_ms,"
                          " c.item_id FROM lineage_changes c JOIN generations g ON"
                          " g.id = c.rolled_to WHERE g.run_id=? ORDER BY c.seq");
    bind_all(row, run);
    std::vector<v1::RollbackInfo> out;
    while (row.executeStep()) {
      auto& info = out.emplace_back();
      info.set_lineage_id(text(row, 0));
      info.set_generation_id(text(row, 1));
      info.set_number(integer(row, 2));
      info.set_why(text(row, 3));
      info.set_time_ms(integer(row, 4));
      info.set_after_iteration(text(row, 5));
    }
    return out;
  });
}

result<worker_needs> record_reader::needs_of(const std::string& run) {
  return impl_->locked([&]() -> result<worker_needs> { return impl_->needs_of(run); });
}

result<genome_place> record_reader::genome_of(const std::string& run) {
  return impl_->locked([&]() -> result<genome_place> {
    SQLite::Statement row(impl_->db, "SELECT folder, genome_toml FROM runs WHERE id=?");
    bind_all(row, run);
    if (!row.executeStep()) return not_found(run);
    return genome_place{text(row, 0), text(row, 1)};
  });
}

result<std::string> record_reader::item_of_attempt(const std::string& attempt) {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db, "SELECT item_id FROM attempts WHERE id=?");
    bind_all(row, attempt);
    if (!row.executeStep()) return not_found(attempt);
    return text(row, 0);
  });
}

result<std::int64_t> record_reader::version() {
  return impl_->locked([&]() -> result<std::int64_t> {
    SQLite::Statement row(impl_->db, "PRAGMA data_version");
    row.executeStep();
    return integer(row, 0);
  });
}

result<watched_part> record_reader::watched(const resolved_target& target, std::int64_t last_event,
                                            std::int64_t last_change, int limit) {
  return impl_->locked([&]() -> result<watched_part> {
    const SQLite::Transaction one_moment(impl_->db);
    watched_part out;
    out.needs = impl_->needs_of(target.run);
    out.lineages = impl_->lineages_of(target.run);
    out.iterations = impl_->target_evaluation(target);
    if (out.iterations.empty()) {
      out.iterations = impl_->iterations_of(target.run);
      out.evaluations = impl_->items_where("run_id=? AND kind = 3", target.run);
    }
    out.changes = impl_->changes_of(target, last_change);
    out.events = impl_->events_of(target, last_event, limit);
    return out;
  });
}

result<std::string> record_reader::seed_of(const std::string& run) {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db,
                          "SELECT id FROM generations WHERE run_id=? AND lineage_id IS NULL");
    bind_all(row, run);
    if (!row.executeStep()) return not_found("a founded seed of " + run);
    return text(row, 0);
  });
}

result<std::vector<std::string>> record_reader::artefacts() {
  return impl_->locked([&]() -> result<std::vector<std::string>> {
    SQLite::Statement row(impl_->db, "SELECT artefact_id FROM generations");
    std::vector<std::string> out;
    while (row.executeStep()) out.push_back(text(row, 0));
    return out;
  });
}

result<bool> record_reader::is_leased(const std::string& attempt) {
  return impl_->locked([&]() -> result<bool> {
    SQLite::Statement row(impl_->db,
                          "SELECT 1 FROM attempts a JOIN items i ON i.id = a.item_id WHERE a.id=?"
                          " AND a.fence=i.fence AND a.state=1 AND i.ending=0");
    bind_all(row, attempt);
    return row.executeStep();
  });
}

result<bool> record_reader::holds_fence(const std::string& attempt, std::int64_t fence,
                                        const std::string& worker) {
  return impl_->locked([&]() -> result<bool> {
    SQLite::Statement row(impl_->db,
                          "SELECT 1 FROM attempts a JOIN items i ON i.id = a.item_id WHERE a.id=?"
                          " AND a.fence=? AND i.fence=? AND a.state=1 AND a.worker_id=?");
    bind_all(row, attempt, fence, fence, worker);
    return row.executeStep();
  });
}

}  // namespace germline
