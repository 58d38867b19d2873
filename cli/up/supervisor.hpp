// supervisor: keeps a coordinator and its workers running on one machine, as children, and ends
// them in order. It starts gRPC in no thread of its own: whether the coordinator answers is asked
// by a short-lived child. Root, single-threaded.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/up/child_process.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"

namespace germline::cli {

struct supervisor_plan {
  child_spec coordinator;
  std::vector<child_spec> workers;        // at least one
  child_spec probe;                       // exits 0 once the coordinator answers
  child_spec worker_probe;                // exits 0 once all workers have joined it
  std::int64_t ready_limit_ms = 120'000;  // within which both must be so
  std::string socket_path;  // given to `socket_owner` once the coordinator answers; may be empty
  uid_t socket_owner = 0;
  gid_t socket_group = 0;  // may use it too; 0: none may
};

struct supervisor_events {
  std::function<void()> ready;  // the coordinator answers, the workers have joined; called once
  std::function<void(const std::string&)> announce;  // something that a person should know
};

/// Removes the socket of a coordinator that was killed, which the next one, of another account than
/// the socket's new owner, could not tell from a living one's. Error failed_precondition: somebody
/// listens there. An empty path is none.
result<void> clear_dead_socket(const std::string& path);

/// Blocks SIGINT, SIGTERM and SIGCHLD and runs until one of the first two comes; or, before all was
/// ready, until a child died quickly too often or was refused, or it took too long (an error). Once
/// all was ready it starts again whatever dies, however often. Nothing that it started runs when it
/// returns.
result<void> supervise(const supervisor_plan& plan, const supervisor_events& events,
                       const clock& time);

}  // namespace germline::cli
