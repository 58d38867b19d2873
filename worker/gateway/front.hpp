// front: the gateway as a tool of its own, without a worker: one door on loopback, which is open as
// long as the process is told to run, with one model, one budget and one account at the end. It
// starts germline-gateway as the node does, so that the key is in that process alone.
// Main thread only, before any other starts: it takes keys out of the environment, and blocks
// SIGINT and SIGTERM for good.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "worker/gateway/control.hpp"
#include "worker/gateway/loopback.hpp"

namespace germline::worker {

struct front_spec {
  std::string binary;       // path of germline-gateway
  std::string config_file;  // docs/gateway.md
  loopback_address listen;
  std::string model;
  std::string token;  // empty: none is asked for
  gateway_limits limits;
  /// Whom the gateway runs as where this is root; then both are needed.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

/// A door that is open.
struct front_door {
  std::string url;         // "http://127.0.0.1:8080"
  std::string transcript;  // its file; empty: none is written
};

/// Runs until SIGINT or SIGTERM, then cuts what is under way and returns what was used. `opened` is
/// called once. An error: it did not start, for what the message names, or the gateway ended by
/// itself.
result<gateway_account> run_front(const front_spec& spec, const clock& time, random_source& random,
                                  const std::function<void(const front_door&)>& opened);

}  // namespace germline::worker
