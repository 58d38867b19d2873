// rootfs: builds the file system that a sandbox sees and makes it the root. Runs in the new child,
// as uid 0 of its user namespace, before anything of the sandbox's runs.
#pragma once

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/launcher/host_mounts.hpp"
#include "sandbox/policy.hpp"

namespace germline {

/// After it returned, the root is the sandbox's and nothing of the host's tree is reachable. The
/// descriptor listens on /germline/run.sock, for uid 1000 alone, where the policy allows
/// as-candidate; else it is empty.
result<unique_fd> build_root(const sandbox_policy& policy, host_mounts mounts);

}  // namespace germline
