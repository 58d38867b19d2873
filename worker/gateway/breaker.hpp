// breaker: whether one upstream may be asked now, decided purely: closed, until so many requests in
// a row failed; then open for a cooldown, which grows while it keeps failing; then half open, for
// one request that tries whether it answers again.
// No clock, no I/O; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>

namespace germline::worker {

struct breaker_settings {
  int failures_to_open = 5;          // in a row
  std::int64_t cooldown_ms = 5'000;  // twice as long each time that the one request fails
  std::int64_t longest_cooldown_ms = 120'000;
};

struct breaker_state {
  int failures = 0;                           // in a row, while closed
  int openings = 0;                           // in a row
  std::optional<std::int64_t> open_until_ms;  // set: open, or half open when it has passed
  bool probing = false;                       // the one request is under way
};

enum class breaker_told {
  answered,  // anything but a failure
  failed,    // no connection, no answer, or one that says that it cannot answer anybody
  unknown,   // the request was cancelled before it could show
};

/// 0: it may be asked. While the one request is under way it says how long to wait for that.
std::int64_t wait_ms(const breaker_state& state, std::int64_t now_ms);
/// REQUIRES wait_ms() == 0. Each is followed by one told(). Returns whether it is the one request.
bool asked(breaker_state& state, std::int64_t now_ms);
/// `probe` is what asked() returned; `jitter` 0 to 1000, of which up to half a cooldown is added.
void told(breaker_state& state, breaker_told how, bool probe, std::int64_t now_ms, int jitter,
          const breaker_settings& settings = {});

}  // namespace germline::worker
