// The steps of an iteration, in order. Each is a function in a file of its own; iteration.cpp
// composes them. A step reports its own start and end.
#pragma once

#include <string>

#include "session.hpp"
#include "tool_loop.hpp"

namespace agent {

/// Why an iteration cannot go on; `fatal` if the model cannot be reached.
struct step_failure {
  std::string why;
  bool fatal = false;
};

template <class T>
struct step_outcome {
  T value = {};
  bool failed = false;
  step_failure failure = {};
};

/// Whether the goal in the memory is achieved; true without asking if there is none. An answer that
/// says nothing clear means no.
step_outcome<bool> decide_if_goal_achieved(session& s);

/// A new goal; never empty. An answer that says nothing clear gives a modest goal of our own.
step_outcome<std::string> generate_goal(session& s);

step_outcome<std::string> generate_plan(session& s, const std::string& goal);

/// Changes the workspace. The value is the model's own account of it.
step_outcome<std::string> modify_code(session& s, const std::string& goal);

struct validation {
  bool changed = false;  // source differs from what the iteration began with
  bool good = false;     // and builds, and passes its tests, and leaves protected paths alone
  std::string failures;  // if not good
};
validation run_final_validation(session& s);

/// Writes the memory's entry, commits and pushes: the code with it if `keep_code`, else the context
/// alone.
result<bool> commit_results(session& s, bool keep_code, const std::string& goal,
                            const std::string& details);

}  // namespace agent
