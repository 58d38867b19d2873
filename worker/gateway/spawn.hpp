// spawn: starts and ends a helper process of the worker (gateway, mirror) under an account of its
// own, with the descriptors that it is given and no others, an environment of PATH alone, and a
// session of its own; and what such a process does first. The caller watches it. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::worker {

struct helper_spec {
  std::string binary;
  std::vector<std::string> arguments;  // without the program's own name
  std::vector<int> descriptors;        // become 3, 4, ...; at most 3
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

/// The pid. That the program cannot be executed shows as its end with status 126 or 127.
/// REQUIRES root where an account is named.
result<pid_t> spawn_helper(const helper_spec& spec);
/// Waits 2 s for the end of one that was asked to end, then kills it. It is reaped.
void end_helper(pid_t pid);

/// A socket of packets between the worker and a helper.
struct control_pair {
  unique_fd
      ours;  // a send gives up after 2 s: a helper that does not read must not hold the caller
  unique_fd theirs;
};
result<control_pair> make_control_pair();

/// Within the helper, first: nobody of the same uid may look into this process, it leaves no dump
/// and gains no privileges; it has as many descriptors as it may, and `name` (15 characters at
/// most). Refuses to go on as root.
result<void> harden_helper(const char* name);

}  // namespace germline::worker
