// zygote: the privileged, single-threaded process that forks supervisors. It serves fixed, bounded
// requests from one socket and ends with it. It never waits for a sandbox to do anything; for one
// that is ending just now, a moment, when all slots are taken and at its own end.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline {

struct zygote_options {
  std::string init_path;
  std::string as_candidate_path;
  std::string exports_root;
  std::string instance = "default";
  std::uint32_t slots = 8;
  std::uint32_t uid_base = 1'879'048'192;
};

/// Serves until the client closes the socket. An error: this machine or these options cannot do.
/// `lifeline` is the reading end of a pipe; with its last writer the process dies by SIGKILL.
result<void> run_zygote(const zygote_options& options, unique_fd socket, unique_fd lifeline);

}  // namespace germline
