// Finds and kills the descendants of a process by reading /proc. What left the tree by a double
// fork is not found: the sandbox's end takes that.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace agent {

/// SIGKILL to all descendants of `root`, not to itself.
void kill_tree(pid_t root);

/// SIGKILL to those descendants of `root` that are younger than `age`.
void kill_younger(pid_t root, std::chrono::milliseconds age);

}  // namespace agent
