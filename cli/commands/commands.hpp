// commands: what each command does once its flags are read. Each prints, and returns how the
// process ends. No parsing of flags here: arguments.cpp. Main thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "common/amount.hpp"

namespace germline::cli {

// --- reading -----------------------------------------------------------------------------------
struct ps_options {
  bool all = false, quiet = false, workers = false;
  std::int64_t joined = 0;  // with workers: failed where fewer are joined
};
exit_code run_ps(const session& with, const ps_options& options);
exit_code run_workers(const session& with);
exit_code run_tree(const session& with, const std::string& target);
/// Draws it on the terminal until a signal ends it; `target` may be empty: then the whole fleet.
exit_code run_watch(const session& with, const std::string& target);
exit_code run_show(const session& with, const std::string& target);
exit_code run_logs(const session& with, const std::string& target, bool follow);
/// `from` may be empty: then against the parent of `to`.
exit_code run_diff(const session& with, const std::string& from, const std::string& to);

// --- taking home --------------------------------------------------------------------------------
struct promote_options {
  std::string target;      // generation, lineage, or run with one lineage
  std::string repository;  // empty: the one that the run was started from
  std::string branch;      // empty: a new one, named after the generation
};
exit_code run_promote(const session& with, const promote_options& options);

// --- steering ----------------------------------------------------------------------------------
exit_code run_kill(const session& with, const std::vector<std::string>& targets,
                   const std::string& why, bool clade);
exit_code run_pause(const session& with, const std::string& lineage, const std::string& why);
exit_code run_resume(const session& with, const std::string& lineage, const std::string& why);

/// `to` may be empty: then to the parent of the head.
exit_code run_rollback(const session& with, const std::string& lineage, const std::string& to,
                       const std::string& why);
/// Prints the id of the new lineage.
exit_code run_fork(const session& with, const std::string& generation,
                   std::optional<std::int64_t> iterations);
exit_code run_retire(const session& with, const std::string& lineage, const std::string& why);

struct scale_options {
  std::string run;
  std::optional<std::int64_t> lineages;  // always said
  bool kill = false;                     // those that are too many, and not let them end
  std::string why;
};
/// Says what was added, what leaves and what was killed; unproved as `kill` is.
exit_code run_scale(const session& with, const scale_options& options);

struct share_options {
  std::string run;
  std::optional<std::int64_t> priority, weight;
};
/// Sets what is said, and tells what the run has now.
exit_code run_share(const session& with, const share_options& options);

struct budget_options {
  std::string target;            // run or lineage; empty: all, or the fleet
  bool fleet = false;            // the whole coordinator is meant
  per_unit<std::string> amount;  // empty: it stays as it is
  bool all = false;              // runs that are over are told of, too

  bool sets() const { return amount != per_unit<std::string>(); }
};
/// Tells what may be spent, is spent and held; with amounts sets them first.
exit_code run_budget(const session& with, const budget_options& options);

struct policy_options {
  std::string target;              // run or lineage
  std::vector<std::string> rules;  // none, and no file: the run's own
  std::string file;                // run.toml whose rules are taken
};
/// Says what the rules would have done in what is recorded.
exit_code run_policy_test(const session& with, const policy_options& options);

/// `worker`: its id or a unique beginning of it.
exit_code run_cordon(const session& with, const std::string& worker, bool cordoned,
                     const std::string& why);
/// Cordons it and returns once nothing is leased to it; failed where that takes too long.
exit_code run_drain(const session& with, const std::string& worker, const std::string& why,
                    std::int64_t limit_ms);

// --- starting ----------------------------------------------------------------------------------
/// What was said on the command line; what was not stays empty, and the file or default holds.
struct run_options {
  std::string repository, file, name, branch, folder, strategy, model_choice, budget, goal,
      evaluation_budget, lineage_budget, held_out;
  std::string token_budget, request_budget, lineage_token_budget, lineage_request_budget,
      evaluation_token_budget, evaluation_request_budget;
  std::string imports;  // a file of `archive export`, or a run; empty: nothing
  std::optional<std::int64_t> import_count;
  std::optional<std::int64_t> lineages, iterations, priority, weight, inspirations;
  std::optional<std::uint64_t> random_seed;
  std::vector<std::string> models, require, policy;
  bool follow = false, dry_run = false;
};
exit_code run_run(const session& with, const run_options& options);

struct replay_options {
  std::string run;
  bool strict = false, live = false, follow = false;
};
/// With `follow` failed where the replay parts from the run.
exit_code run_replay(const session& with, const replay_options& options);
/// `against` may be empty: then `of` is a replay. Failed where something differs.
exit_code run_compare(const session& with, const std::string& of, const std::string& against);

struct init_options {
  std::string folder;
  std::string from = "builtin";
};
exit_code run_init(const session& with, const init_options& options);

// --- this machine ------------------------------------------------------------------------------
exit_code run_config_show(const session& with, bool origin);
exit_code run_doctor_command(const session& with);

}  // namespace germline::cli
