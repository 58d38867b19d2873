// run_file: run.toml, what a person launches: seed, population, budgets, limits. Plain values read
// and checked; it is not the recorded run and asks no coordinator.
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

// What the numbers may be, in the file and by flag; each from 1 on, iterations from 0.
inline constexpr std::int64_t lineages_max = 64;
inline constexpr std::int64_t iterations_max = 1'000'000'000;
inline constexpr std::int64_t priority_max = 1'000;  // and as far below 0
inline constexpr std::int64_t weight_max = 1'000;
inline constexpr std::size_t models_max = 16;
inline constexpr int imports_max = 64;        // generations of other archives, of one run
inline constexpr std::int64_t shown_max = 8;  // inspirations
inline constexpr std::uint64_t random_seed_max = 0x7fff'ffff'ffff'ffff;  // as the record holds it

// What the texts may be, in bytes. With each byte of it escaped, a goal still leaves half of what a
// sandbox is given as files to the rest of task.json.
inline constexpr std::size_t goal_bytes_max = 8 * 1024;
inline constexpr std::size_t name_bytes_max = 256;  // of a run, a model
inline constexpr std::size_t branch_bytes_max = 1'024;
inline constexpr std::size_t strategy_bytes_max = 256;
inline constexpr std::size_t rule_bytes_max = 256;  // of a policy

struct run_file {
  std::string name;
  std::string repository;  // of the seed; empty: the folder that the command was started in
  std::string branch;      // empty: the repository's HEAD
  std::string folder;      // of the genome in the repository; empty: its root
  std::int64_t lineages = 1;
  std::int64_t iterations = 0;      // per lineage; 0: no end but the budget and the person
  std::string strategy;             // by which parents are chosen; empty: the lineage's own head
  std::int64_t inspirations = 0;    // other generations that each iteration is shown
  std::vector<std::string> policy;  // rules; what each may say is the coordinator's to judge
  std::int64_t priority = 0;        // over other runs; see check_share
  std::int64_t weight = 1;
  std::string goal;
  std::uint64_t random_seed = 0;
  std::vector<std::string> required_tags;  // that a worker must have
  std::string held_out;                    // folder for evaluators alone; empty: none

  std::string model;                 // empty: the genome needs none
  std::vector<std::string> models;   // where there are several to choose from; `model` is the first
  std::string model_choice;          // the rule for that; empty: the coordinator's own
  std::int64_t budget_nanousd = -1;  // of the whole run; -1: not said
  std::int64_t evaluation_budget_nanousd = -1;  // of each evaluation; -1: not said

  std::int64_t lineage_budget_nanousd = -1;  // of each lineage; -1: none of its own

  // The same of tokens and requests; -1: not said.
  std::int64_t budget_tokens = -1, budget_requests = -1;
  std::int64_t evaluation_budget_tokens = -1, evaluation_budget_requests = -1;
  std::int64_t lineage_budget_tokens = -1, lineage_budget_requests = -1;

  // Bounds of one iteration; 0: the node's default.
  std::int64_t memory_bytes = 0;
  std::int64_t cpu_milli = 0;
  std::int64_t wall_time_ms = 0;
  std::int64_t pids = 0;
  std::int64_t disk_bytes = 0;
  std::int64_t max_requests = 0;
  std::int64_t max_requests_per_minute = 0;
  std::int64_t max_output_tokens = 0;
  std::int64_t iteration_budget_nanousd = 0;
};

/// Reads run.toml. An unknown key is an error that names the nearest known one; each error says
/// `name` and the line.
result<run_file> parse_run_file(std::string_view text, std::string_view name);

/// The texts of a run, wherever they were said: within their bounds, the folder one inside the
/// repository, and the strategy of the form that strategies have.
struct run_texts {
  std::string_view name, branch, folder, model, goal;
  std::string_view strategy = {};
};
result<void> check_run_texts(const run_texts& texts);

/// A run's share of the slots: its priority from -1000 to 1000, its weight from 1 to 1000.
result<void> check_share(std::int64_t priority, std::int64_t weight);

/// Several models: 2 to 16, each once, within their bounds, and `model` the first of them.
result<void> check_models(std::string_view model, const std::vector<std::string>& models);

/// One model, or several; of one it is the model, of several the first is.
void take_models(run_file& run, std::vector<std::string> models);

/// What no single key can say: a model needs a budget, there is at least one lineage, and so on.
/// Call once flags have been laid over the file.
result<void> check_run(const run_file& run);

/// "0.5" or "2" CPUs in thousandths.
result<std::int64_t> parse_cpu_milli(std::string_view text);

}  // namespace germline
