// control: the messages between the worker's node and germline-mirror, over one SOCK_SEQPACKET
// Unix socket: one JSON object a packet (worker/gateway/control.hpp sends and receives them);
// `open` carries a listening socket.
//
//   node → mirror: open, renew, close    each answered by the same seq:
//   mirror → node: done, closed, refused
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "worker/mirror/config.hpp"

namespace germline::worker {

/// What a fetch came to.
struct mirror_account {
  std::int64_t requests = 0;
  std::int64_t bytes = 0;  // of answers' bodies that came
  /// Why something that was asked for did not come, by no fault of who asked: the mirror is out of
  /// reach, silent, or fails. Empty where all of it came later, or nothing of the kind happened.
  std::string trouble;
  /// What was not followed and never will be as the mirrors are configured: a redirect elsewhere.
  std::string refused;
  /// Which bound of the fetch was hit; empty: none.
  std::string past_bound;
  bool operator==(const mirror_account&) const = default;
};

enum class mirror_op { open, renew, close, done, closed, refused };
std::string_view to_string(mirror_op op) noexcept;

/// One message; only the members of its op mean anything.
struct mirror_message {
  mirror_op op = mirror_op::renew;
  std::uint64_t seq = 0;
  std::string id;                     // of the fetch: 1 to 64 of [A-Za-z0-9_-]
  std::vector<std::string> mirrors;   // open: names
  std::int64_t deadline_boot_ms = 0;  // open, renew: on CLOCK_BOOTTIME
  mirror_limits limits;               // open
  mirror_account account;             // closed
  std::string message;                // refused
};

std::string encode(const mirror_message& message);
result<mirror_message> decode_mirror_message(std::string_view packet);

}  // namespace germline::worker
