// spawn: makes one confined pid 1: namespaces, cgroups, user map, network, root file system,
// limits, and the exec of germline-init. Called by a supervisor, single-threaded, with root's
// rights.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/launcher/cgroup.hpp"
#include "sandbox/launcher/host_mounts.hpp"
#include "sandbox/policy.hpp"

namespace germline {

struct spawn_context {
  host_mount_sources sources;
  int init_program = -1;        // germline-init, opened
  std::string seccomp_program;  // empty = none (weakened policies only)
};

struct spawned_init {
  pid_t pid = 0;
  unique_fd process;   // pidfd
  unique_fd control;   // SEQPACKET to init; it waits for configure
  unique_fd listener;  // the gateway's, or empty
};

/// On an error nothing runs any more.
result<spawned_init> spawn_init(const spawn_context& context, const sandbox_policy& policy,
                                const sandbox_cgroup& cgroup);

}  // namespace germline
