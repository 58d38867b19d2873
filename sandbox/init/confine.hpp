// confine: what init does to a process between its fork and its exec: identity, descriptors,
// capabilities, no_new_privs, seccomp. Used by germline-init alone, in the forked child.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace germline::init {

struct program_spec {
  std::string cwd;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::uint32_t uid = 1000;
  bool alone = false;                      // all else is to end first
  std::array<int, 4> fds{-1, -1, -1, -1};  // 0-3 inside; -1 = /dev/null for 0-2, closed for 3
};

/// Drops what init itself does not need: all capabilities but SETUID, SETGID and KILL.
result<void> confine_init();

/// HOME, PATH, USER and LANG where the list names none.
void add_default_env(program_spec& spec);

/// Becomes the program. Returns only with an error. `seccomp` holds sock_filter instructions.
error confine_and_exec(program_spec& spec, const std::string& seccomp);

}  // namespace germline::init
