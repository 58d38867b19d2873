// user_map: user namespaces: the uid range of a sandbox, and namespaces that only serve to show a
// mount's files as another owner's. Called by a supervisor, single-threaded, with root's rights.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline {

constexpr std::uint32_t uids_per_slot = 65'536;

/// Gives the user namespace of `pid` the ids [base, base + 65536), from 0 inside.
result<void> write_user_map(pid_t pid, std::uint32_t base);

/// A user namespace for mount_setattr(MOUNT_ATTR_IDMAP): what uid/gid own on disk shows as `shown`.
result<unique_fd> make_idmap_namespace(uid_t disk_uid, gid_t disk_gid, std::uint32_t shown);

}  // namespace germline
