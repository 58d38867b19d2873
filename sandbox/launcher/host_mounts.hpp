// host_mounts: what of the host a sandbox is to see, as detached mounts: opened, made read-only and
// id-mapped by the supervisor, put in place by the child, which so never names a host path.
// Called by a supervisor, single-threaded, with root's rights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/policy.hpp"

namespace germline {

struct detached_mount {
  unique_fd tree;
  std::string target;  // relative to the new root
  bool is_directory = false;
};

struct host_mounts {
  std::vector<detached_mount> places;
  std::vector<std::string> hidden;  // folders in them that are shown empty, as targets are
  unique_fd workspace_lower;        // empty where the policy names none
};

struct host_mount_sources {
  int exports_root = -1;  // O_PATH directory, or -1
  std::string exports_path;
  std::string as_candidate_path;
  std::uint32_t uid_base = 0;  // of the sandbox's slot
};

/// permission_denied: a source lies outside the exports root, or behind a symlink.
result<host_mounts> open_host_mounts(const host_mount_sources& sources,
                                     const sandbox_policy& policy);

}  // namespace germline
