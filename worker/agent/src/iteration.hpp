// One iteration, from the task to the push.
#pragma once

#include "task.hpp"

namespace agent {

enum class iteration_ending : int {
  judged = 0,       // something was pushed: judge it
  broken = 1,       // the clone, the memory or the push failed
  unreachable = 3,  // the model could not be asked; the memory of that was pushed if possible
};

iteration_ending run_iteration(const task& work);

}  // namespace agent
