// The part of the reader that tells what a run was asked to be, so that another does it again.
#include <algorithm>

#include "coordinator/evolution/run_policy.hpp"
#include "coordinator/store/reader_impl.hpp"

namespace germline {

using rows::bind_all;
using rows::integer;
using rows::text;

namespace {

/// Of the policy what decides how an iteration ends. The rest did what it did.
std::vector<std::string> deciding(const std::vector<std::string>& policy) {
  std::vector<std::string> kept;
  for (const auto& text : policy) {
    const auto rules = evolution::parse_policy({text});
    if (rules && evolution::refused_likeness(*rules) > 0) kept.push_back(text);
  }
  return kept;
}

std::vector<records::replayed_lineage> lineages_of(SQLite::Database& db, const std::string& run) {
  SQLite::Statement row(
      db,
      "SELECT COUNT(i.id), COALESCE(MIN(i.number) - 1, 0) FROM lineages l LEFT JOIN items i ON"
      " i.lineage_id = l.id AND " +
          sql::was_done + " WHERE l.run_id=? GROUP BY l.id ORDER BY l.ordinal");
  bind_all(row, run);
  std::vector<records::replayed_lineage> out;
  while (row.executeStep()) out.push_back({integer(row, 0), integer(row, 1)});
  return out;
}

std::vector<records::foreign_generation> imports_of(SQLite::Database& db, const std::string& run) {
  SQLite::Statement row(db,
                        "SELECT origin, commit_id FROM imports WHERE run_id=? ORDER BY position");
  bind_all(row, run);
  std::vector<records::foreign_generation> out;
  while (row.executeStep()) {
    const auto origin = generation_id::parse(text(row, 0));
    if (origin) out.push_back({*origin, text(row, 1)});
  }
  return out;
}

}  // namespace

result<records::new_run> record_reader::run_again(const std::string& id) {
  return impl_->locked([&]() -> result<records::new_run> {
    const SQLite::Transaction one_moment(impl_->db);
    SQLite::Statement row(
        impl_->db,
        "SELECT r.name, r.repository, r.branch, r.folder, r.seed_commit, r.genome_toml, r.model,"
        " r.goal, r.budget_nanousd, r.random_seed, r.limits, r.required_tags, r.fitness_direction,"
        " r.evaluations, r.evaluation_key, r.strategy, r.policy, r.inspirations, r.priority,"
        " r.weight, r.models, r.model_choice, r.evaluation_budget_nanousd, r.agents_ask,"
        " r.held_out_id, r.held_out_files, r.held_out_bytes, r.found_state, (SELECT COUNT(*) FROM"
        " items i LEFT JOIN lineages l ON l.id = i.lineage_id WHERE i.run_id = r.id AND i.ending = "
        "0 AND"
        // What waits in a paused lineage nobody runs.
        " (i.kind <> 2 OR l.state = 1 OR EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id "
        "AND"
        " a.state = 1))), f.source_bytes, f.context_bytes,"
        " r.budget_tokens, r.budget_requests, r.evaluation_budget_tokens,"
        " r.evaluation_budget_requests FROM"
        " runs r JOIN items f ON f.run_id = r.id AND f.kind = 1 WHERE r.id=?");
    bind_all(row, id);
    if (!row.executeStep()) return rows::not_found(id);
    if (text(row, 27) == "pending") {
      return error(error_code::failed_precondition,
                   "run " + id + " is being founded: wait until it is over");
    }
    if (text(row, 27) != "founded") {
      return error(error_code::failed_precondition,
                   "run " + id + " was not founded: there is nothing to do again");
    }
    if (integer(row, 28) > 0) {
      return error(error_code::failed_precondition,
                   "run " + id +
                       " has iterations or evaluations under way: pause its lineages, or wait, "
                       "until they have ended");
    }
    records::new_run out;
    out.name = text(row, 0);
    out.repository = text(row, 1);
    out.branch = text(row, 2);
    out.folder = text(row, 3);
    out.seed_commit = text(row, 4);
    out.genome_toml = text(row, 5);
    out.model = text(row, 6);
    out.goal = text(row, 7);
    out.budget = {integer(row, 8), integer(row, 31), integer(row, 32)};
    out.random_seed = static_cast<std::uint64_t>(integer(row, 9));
    out.limits.ParseFromString(sql::bytes(row, 10));
    out.required_tags = sql::lines(text(row, 11));
    out.measured.direction = static_cast<v1::FitnessDirection>(integer(row, 12));
    out.measured.evaluations = static_cast<int>(integer(row, 13));
    out.measured.key = text(row, 14);
    out.measured.strategy = text(row, 15);
    out.measured.policy = deciding(sql::lines(text(row, 16)));
    out.measured.inspirations = static_cast<int>(integer(row, 17));
    out.measured.replays = true;
    out.share = {static_cast<int>(integer(row, 18)), static_cast<int>(integer(row, 19))};
    out.models = sql::lines(text(row, 20));
    out.model_choice = text(row, 21);
    out.evaluation_budget = {integer(row, 22), integer(row, 33), integer(row, 34)};
    out.agents_ask = integer(row, 23) != 0;
    out.held_out = {text(row, 24), integer(row, 25), integer(row, 26)};
    out.seed_sizes = {integer(row, 29), integer(row, 30)};
    out.replay_of = *run_id::parse(id);
    out.replayed = lineages_of(impl_->db, id);
    out.imports = imports_of(impl_->db, id);
    return out;
  });
}

}  // namespace germline
