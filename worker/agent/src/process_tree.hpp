// Finds and kills the descendants of a process by reading /proc. What left the tree by a double
// fork is not found: the sandbox's end takes that.
#pragma once

#include <sys/types.h>

#include <map>

namespace agent {

/// The descendants of a process at one moment: their pids, each with its start in ticks after boot,
/// which tells it from a later process of the same pid.
using process_set = std::map<pid_t, unsigned long long>;

process_set descendants_of(pid_t root);

/// SIGKILL to all descendants of `root`, not to itself. Those in `spared` live on, and so does what
/// they have started since.
void kill_tree(pid_t root, const process_set& spared = {});

}  // namespace agent
