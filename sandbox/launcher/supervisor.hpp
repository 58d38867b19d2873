// supervisor: the process that holds one sandbox: its deadline (on CLOCK_BOOTTIME), its kill, its
// usage. A fork of the zygote, single-threaded, with root's rights; it speaks to one client and to
// the sandbox's init. It ends when the client closes its socket, and then nothing is left.
#pragma once

#include <string>

#include "common/unique_fd.hpp"
#include "sandbox/launcher/cgroup_layout.hpp"
#include "sandbox/launcher/spawn.hpp"
#include "sandbox/policy.hpp"

namespace germline {

struct supervisor_setup {
  spawn_context spawn;
  cgroup_layout layout;
  std::string instance;
  std::string name;  // of the cgroup, unique in the instance
};

/// Runs to the sandbox's end. Returns the exit status: 0 when nothing was left behind.
int supervise(const supervisor_setup& setup, const sandbox_policy& policy, unique_fd client);

}  // namespace germline
