// spawn: starts a helper process of the worker (gateway, mirror) under an account of its own, with
// the descriptors that it is given and no others, an environment of PATH alone, and a session of
// its own. The caller watches and reaps it.
// REQUIRES to be called as root where an account is named. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

struct helper_spec {
  std::string binary;
  std::vector<std::string> arguments;  // without the program's own name
  std::vector<int> descriptors;        // become 3, 4, ...; at most 3
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

/// The pid. That the program cannot be executed shows as its end with status 126 or 127.
result<pid_t> spawn_helper(const helper_spec& spec);

}  // namespace germline::worker
