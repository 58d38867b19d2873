// seccomp: the system calls that a sandboxed program may make: an allow-list, with socket, clone,
// ioctl and prctl filtered by argument. Built once, in the zygote; installed by init in each
// process before its exec. Not the only wall: user namespaces and mounts stand behind it.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline {

/// The filter as BPF instructions (an array of sock_filter).
result<std::string> build_seccomp_program();

}  // namespace germline
