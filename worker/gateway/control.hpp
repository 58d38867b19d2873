// control: the messages between the worker node and the gateway, over one SOCK_SEQPACKET Unix
// socket. Each message is one packet with one JSON object of at most max_control_bytes; `open`
// carries a listening socket by SCM_RIGHTS. Both ends use these functions.
//
//   node → gateway: open, renew, close              each answered by the same seq:
//   gateway → node: opened, renewed, closed, refused     and unasked: event, usage
//
// Plain values and system calls; no thread affinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "common/amount.hpp"
#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::worker {

constexpr std::size_t max_control_bytes = 64 * 1024;

/// The hard caps of one attempt. All must be at least 1, the budget at least 0.
struct gateway_limits {
  std::int64_t max_requests = default_max_requests;
  std::int64_t max_requests_per_minute = 60;
  std::int64_t max_input_tokens = default_max_input_tokens;
  std::int64_t max_output_tokens = default_max_output_tokens;
  std::int64_t budget_nanousd = 0;
  std::int64_t max_tokens = std::numeric_limits<std::int64_t>::max();  // of both together
};

/// What an attempt has used so far. Money is charged by the upstream's own usage; a request whose
/// usage never arrived is charged by its bound and counted in charged_by_bound.
struct gateway_usage {
  std::int64_t requests = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t cache_write_tokens = 0;
  std::int64_t cache_read_tokens = 0;
  std::int64_t cost_nanousd = 0;
  std::int64_t charged_by_bound = 0;
  bool operator==(const gateway_usage&) const = default;
};

/// Why the newest request that an attempt asked for was answered by no model, where the reason lies
/// outside what the request said: a limit of the attempt does not cover it (budget), the upstream
/// did not do its part (upstream: no answer, overload, a spending cap, the gateway's own key), none
/// of the model's speaks the dialect in which it was asked (dialect), or a replay has no answer to
/// it (difference).
enum class obstacle_kind { none, budget, upstream, dialect, difference };
std::string_view to_string(obstacle_kind kind) noexcept;
/// Of what was left too little; own: of what the lease's budgets do not bound.
enum class spent_limit { none, money, tokens, requests, own };
struct model_obstacle {
  obstacle_kind kind = obstacle_kind::none;
  std::string why;                        // for people; empty for none
  spent_limit limit = spent_limit::none;  // of budget
  bool operator==(const model_obstacle&) const = default;
};

/// What an attempt's door came to: what was used, and what stood in the way at its end.
struct gateway_account : gateway_usage {
  model_obstacle obstacle;
  std::int64_t refused = 0;  // requests that the gateway itself answered with an error
};

/// Whose transcript answers an attempt in its upstreams' place.
struct replay_wish {
  std::string of;          // an attempt; empty: none was recorded, and nothing is answered
  bool is_strict = false;  // as replay_mode
  bool operator==(const replay_wish&) const = default;
};

enum class control_op { open, renew, close, opened, renewed, closed, refused, event, usage };
std::string_view to_string(control_op op) noexcept;

/// One message; only the members of its op mean anything.
struct control_message {
  control_op op = control_op::renew;
  std::uint64_t seq = 0;
  std::string attempt_id;
  std::string token;                  // open
  bool open_to_anyone = false;        // open: no token is asked for, and none is given here
  std::string model;                  // open: the one model that may be asked for
  std::optional<replay_wish> replay;  // open: no upstream is asked
  std::int64_t deadline_boot_ms = 0;  // open, renew: on CLOCK_BOOTTIME
  gateway_limits limits;              // open
  gateway_usage usage;                // closed, usage: totals of the attempt
  model_obstacle obstacle;            // closed
  std::int64_t refused = 0;           // closed: as in gateway_account
  std::string event_json;             // event: one JSON object, one line
  std::string message;                // refused: why; usage: why the request failed, if it did
  bool lasting = false;               // refused: until a person mends what `message` says
};

std::string encode(const control_message& message);
result<control_message> decode(std::string_view packet);

/// Sends one packet. `fd` < 0: none goes with it. `unavailable` when the socket would block.
result<void> send_packet(int socket, std::string_view packet, int fd = -1);

struct received_packet {
  std::string bytes;  // empty: the other end is gone
  unique_fd fd;
};
/// Receives one packet; a packet that is too long or carries several descriptors is an error.
/// `unavailable` when the socket would block.
result<received_packet> receive_packet(int socket);

}  // namespace germline::worker
