// node_actor: carries out the effects of node_state. Owns the state and the attempts' handles; the
// work itself is done by iteration actors. See worker/actors.hpp for its messages.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "worker/actors.hpp"
#include "worker/node/node_state.hpp"

namespace germline::worker {

/// An attempt as the node sees it. Implemented by `iteration` (iteration.hpp), replaced in tests.
class running_attempt {
 public:
  virtual ~running_attempt() = default;
  /// Works through the attempt; returns when nothing of it is left. Blocks; called once, from a
  /// thread of its own.
  virtual attempt_end run() = 0;
  /// Makes `run` end soon, killing what it runs. Any thread.
  virtual void cancel(const std::string& why) = 0;
  /// Moves the time at which everything dies by itself. Any thread.
  virtual void renew(std::int64_t lease_until_boot_ms) = 0;
};

using progress_sink = std::function<void(v1::AttemptProgress)>;
using attempt_factory = std::function<std::shared_ptr<running_attempt>(
    const v1::Lease& lease, std::int64_t lease_until_boot_ms, progress_sink progress)>;

struct node_actor_state {
  static inline const char* name = "node";
  std::unique_ptr<node_state> decisions;
  std::map<std::string, keeper_actor> running;  // by attempt id
  bool joined = false;  // the coordinator has welcomed this worker on the present stream
  bool stopping = false;
};

struct node_actor_config {
  node_state::identity self;
  const clock* time = nullptr;
  attempt_factory make_attempt;
  std::function<void(v1::WorkerMessage)> send;  // must not block
  /// What keeps the worker from taking leases; must not block.
  std::function<std::string()> trouble;
};

node_actor::behavior_type node_behavior(node_actor::stateful_pointer<node_actor_state> self,
                                        node_actor_config config);

}  // namespace germline::worker
