// budget: what one attempt may still ask for, decided purely: (state, event) → (state, effect).
// Before a request is sent its bound is reserved; afterwards it is settled by the upstream's own
// usage, forfeited (charged by the bound, marked) or released (nothing was billed). As long as
// bounds hold, settled plus reserved never passes a limit, in money and in tokens.
// No clock, no I/O; one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <variant>

#include "worker/gateway/control.hpp"

namespace germline::worker {

/// The most that one request can cost.
struct request_bound {
  std::int64_t input_tokens = 0;  // cached or not
  std::int64_t output_tokens = 0;
  std::int64_t cost_nanousd = 0;
};

struct token_counts {
  std::int64_t input = 0;  // not from or to a cache
  std::int64_t output = 0;
  std::int64_t cache_write = 0;
  std::int64_t cache_write_1h = 0;  // the part of cache_write that is kept for an hour
  std::int64_t cache_read = 0;
  bool operator==(const token_counts&) const = default;
};

struct budget_state {
  gateway_limits limits;
  gateway_usage settled;
  std::map<std::uint64_t, request_bound> open;
  std::deque<std::int64_t> started_ms;  // requests granted in the last minute
};

struct reserve_event {
  std::uint64_t id = 0;  // new
  request_bound bound;
  std::int64_t now_ms = 0;
};
struct settle_event {
  std::uint64_t id = 0;
  token_counts tokens;
  std::int64_t cost_nanousd = 0;
};
struct forfeit_event {
  std::uint64_t id = 0;
};
struct release_event {
  std::uint64_t id = 0;
};
/// The upstream told more of a request after that was settled: what comes on top.
struct more_event {
  token_counts tokens;
  std::int64_t cost_nanousd = 0;
};
using budget_event =
    std::variant<reserve_event, settle_event, forfeit_event, release_event, more_event>;

struct granted_effect {};
/// It will never be granted: answered 400.
struct spent_effect {
  std::string why;
  spent_limit limit = spent_limit::none;
};
/// It may be granted later: answered 429.
struct wait_effect {
  std::string why;
  std::int64_t retry_after_ms = 0;
};
/// Settled, corrected, forfeited or released; past_bound: the upstream billed more than the bound.
struct accounted_effect {
  bool past_bound = false;
};
using budget_effect = std::variant<granted_effect, spent_effect, wait_effect, accounted_effect>;

/// REQUIRES that a reserve's id is new and any other event's id, if it has one, is open.
budget_effect step(budget_state& state, const budget_event& event);

}  // namespace germline::worker
