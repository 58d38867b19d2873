// gateway_client: the node's handle on the gateway process: starts it, opens and closes the doors
// of attempts, passes on what it reports. Owns the process (killed on destruction) and the control
// socket. Not a way to speak to a model, and it keeps no copy of the API key.
//
// open, renew and close block, at most for their timeout, and may be called from any thread at
// once. Callbacks come from the client's own reader thread: they must be quick, and must not call
// open, renew, close or destroy the client.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/control.hpp"
#include "worker/gateway/packet_caller.hpp"

namespace germline::worker {

/// The key of the upstreams whose `key_env` is `name`; of no name: of those without one.
struct gateway_key {
  std::string name;
  std::string key;
};

struct gateway_spec {
  std::string binary;       // path of germline-gateway
  std::string config_file;  // docs/gateway.md; readable by the gateway's uid
  /// Whom the gateway runs as. Without them it keeps the caller's uid, and refuses to run as root.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  /// The upstreams' API keys. They go through a pipe and are in no environment and no argument
  /// list. start() wipes them from its copy of the spec.
  std::vector<gateway_key> keys;
  /// Of accounts (account_journal.hpp), writable by its uid or group; empty: none are kept.
  std::string journals_directory;
};

struct gateway_callbacks {
  /// An event line of the agent in `attempt_id`: one JSON object, at most 8 KiB, hostile.
  std::function<void(const std::string& attempt_id, const std::string& event_json)> on_event;
  /// The attempt's totals after each request; `problem` says why that failed (empty: it did not).
  std::function<void(const std::string& attempt_id, const gateway_usage& usage,
                     const std::string& problem)>
      on_usage;
  /// The gateway process went away unasked. Every attempt's door is closed by that.
  std::function<void()> on_gone;
};

struct gateway_open {
  std::string attempt_id;  // att_… ; at most 64 of [A-Za-z0-9_-]
  std::string token;       // what the sandbox shows as its API key; at least 16 characters
  /// No token is asked for, and `token` is empty: only for a door that no sandbox can reach
  /// (front.hpp).
  bool open_to_anyone = false;
  std::string model;                  // the one allowed model; refused if it has no price
  std::optional<replay_wish> replay;  // nor is one asked
  std::int64_t deadline_boot_ms = 0;
  gateway_limits limits;
  unique_fd listener;  // bound and listening in the sandbox's network namespace
};

class gateway_client {
 public:
  static constexpr std::chrono::milliseconds default_timeout{5000};

  /// Starts the process. An error of the gateway's own start-up (its config, its prices) shows in
  /// its log on standard error and as `unavailable` from here.
  static result<std::unique_ptr<gateway_client>> start(gateway_spec spec,
                                                       gateway_callbacks callbacks);
  ~gateway_client();
  gateway_client(const gateway_client&) = delete;
  gateway_client& operator=(const gateway_client&) = delete;

  /// Serves the attempt from now until close() or its deadline.
  result<void> open(gateway_open request, std::chrono::milliseconds timeout = default_timeout);
  /// Moves the deadline. `failed_precondition` when it has passed already: that is final.
  result<void> renew(const std::string& attempt_id, std::int64_t deadline_boot_ms,
                     std::chrono::milliseconds timeout = default_timeout);
  /// Cuts the attempt's streams, closes its listener and returns its final totals. When this
  /// returns no request of the attempt is under way and none will start.
  result<gateway_account> close(const std::string& attempt_id,
                                std::chrono::milliseconds timeout = default_timeout);

  pid_t pid() const { return pid_; }

 private:
  gateway_client(pid_t pid, unique_fd socket, gateway_callbacks callbacks);
  bool take_report(const control_message& message) const;

  const pid_t pid_;
  const gateway_callbacks callbacks_;
  packet_caller<control_message> calls_;  // the last: its thread uses the callbacks
};

}  // namespace germline::worker
