// node_state: what a worker's node decides, without CAF, sockets or threads: which attempts run
// here, until when their leases stand, what to say to the coordinator. Pure: each function takes
// the time and an event, changes the state, and returns the effects for the node actor to carry
// out. It is not the runner of an attempt (iteration.hpp) and owns no process.
// One thread at a time (the node actor).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "germline/v1/fleet.pb.h"

namespace germline::worker {

/// Run this attempt; its sandboxes must be dead at `lease_until_boot_ms` unless it is renewed.
struct start_attempt {
  v1::Lease lease;
  std::int64_t lease_until_boot_ms;
};
/// The lease of a running attempt now stands until this time.
struct renew_attempt {
  std::string attempt_id;
  std::int64_t lease_until_boot_ms;
};
/// End everything of this attempt at once.
struct cancel_attempt {
  std::string attempt_id;
  std::string why;
};
/// Say this to the coordinator.
struct send_message {
  v1::WorkerMessage message;
};

using node_effect = std::variant<start_attempt, renew_attempt, cancel_attempt, send_message>;
using node_effects = std::vector<node_effect>;

class node_state {
 public:
  struct identity {
    std::string worker_id;
    std::string base_digest;
    std::string version;
    int slots = 1;
    std::vector<std::string> tags = {};
    std::string place = {};
  };

  explicit node_state(identity self);

  /// The stream to the coordinator stands: say hello, and repeat results not yet answered.
  /// `trouble` is what keeps the worker from taking leases, here and with each tick.
  node_effects on_connected(std::int64_t now_boot_ms, const std::string& trouble = "");
  void on_disconnected();
  node_effects on_message(const v1::CoordinatorMessage& message);
  /// Every heartbeat interval: renew, and give up what outlived its lease.
  node_effects on_tick(std::int64_t now_boot_ms, const std::string& trouble = "");
  /// The attempt ended by itself and left nothing behind.
  node_effects on_finished(const v1::AttemptResult& result);
  /// The attempt ended without a verdict and left nothing behind.
  node_effects on_cleaned(const v1::AttemptCleaned& gone);
  /// The worker ends: cancel everything, and take no more.
  node_effects on_stop();
  /// Forwards progress while the stream stands; progress of unknown attempts is dropped.
  node_effects on_progress(const v1::AttemptProgress& progress);

  /// Forwards what journals say, while the stream stands: it is said again later.
  node_effects on_accounts(const v1::LateAccounts& told);

  std::int64_t heartbeat_ms() const { return heartbeat_ms_; }
  std::vector<std::string> attempts() const;
  int free_slots() const;

 private:
  struct attempt {
    std::int64_t fence = 0;
    std::int64_t lease_until_boot_ms = 0;
    bool cancelled = false;
    std::optional<v1::AttemptResult> result;  // kept until the coordinator answered it
  };

  node_effects on_lease(const v1::Lease& lease);
  node_effects on_kill(const v1::KillAttempt& kill);
  node_effects on_heartbeat_reply(const v1::HeartbeatReply& reply);
  node_effects cancel(const std::string& attempt_id, const std::string& why);

  identity self_;
  std::map<std::string, attempt> attempts_;
  std::map<std::int64_t, std::vector<std::string>> heartbeats_;  // unanswered: time sent → named
  std::int64_t last_answered_boot_ms_ = 0;
  std::int64_t heartbeat_ms_ = 5'000;
  std::int64_t lease_ms_ = 20'000;
  bool connected_ = false;
  bool stopping_ = false;
};

}  // namespace germline::worker
