// What the environment asks of this iteration: /germline/task.json of contract 1, read once.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "result.hpp"

namespace agent {

/// Another generation of the run, to take from what is good.
struct inspiration {
  std::string branch;  // in the workspace: "origin/inspiration-1"
  double fitness = 0;
};

struct task {
  long long number = 0;
  std::string goal;  // set by a person; empty: the agent chooses
  std::vector<std::string> goal_hints;
  std::vector<std::string> notes;
  std::vector<inspiration> inspirations;
  std::chrono::system_clock::time_point deadline = std::chrono::system_clock::time_point::max();
  long long max_requests = 0;       // 0: no bound known
  long long max_output_tokens = 0;  // of the whole iteration; 0: no bound known
  unsigned long long random_seed = 0;
  std::string workspace = "/workspace";
  std::string branch = "lineage";
  std::string remote = "origin";
  std::string model;
  std::string context_path = "agent_context.json";
  std::string build_command;
  std::string test_command;

  /// Time that is left, never below zero.
  std::chrono::milliseconds left() const;
  /// `limit`, or what is left where that is less; at least a second.
  std::chrono::milliseconds at_most(std::chrono::milliseconds limit) const;
};

/// Reads $GERMLINE_TASK, or /germline/task.json where that is not set.
result<task> read_task();
result<task> parse_task(const std::string& text);

}  // namespace agent
