#include "worker/gateway/breaker.hpp"

#include <algorithm>

#include "common/assert.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t wait_for_probe_ms = 1000;

void open(breaker_state& state, std::int64_t now_ms, int jitter, const breaker_settings& settings) {
  std::int64_t cooldown_ms = settings.cooldown_ms;
  for (int i = 0; i < state.openings && cooldown_ms < settings.longest_cooldown_ms; ++i) {
    cooldown_ms *= 2;
  }
  cooldown_ms = std::min(cooldown_ms, settings.longest_cooldown_ms);
  state.open_until_ms = now_ms + cooldown_ms + cooldown_ms * jitter / 2000;
  state.failures = 0;
  ++state.openings;
}

}  // namespace

std::int64_t wait_ms(const breaker_state& state, std::int64_t now_ms) {
  if (!state.open_until_ms) return 0;
  if (now_ms < *state.open_until_ms) return *state.open_until_ms - now_ms;
  return state.probing ? wait_for_probe_ms : 0;
}

bool asked(breaker_state& state, std::int64_t now_ms) {
  GERMLINE_ASSERT(wait_ms(state, now_ms) == 0);
  if (!state.open_until_ms) return false;
  state.probing = true;
  return true;
}

void told(breaker_state& state, breaker_told how, bool probe, std::int64_t now_ms, int jitter,
          const breaker_settings& settings) {
  if (probe) state.probing = false;
  if (how == breaker_told::answered) {
    state = {};
  } else if (how == breaker_told::failed && probe) {
    open(state, now_ms, jitter, settings);
  } else if (how == breaker_told::failed && !state.open_until_ms) {
    if (++state.failures >= settings.failures_to_open) open(state, now_ms, jitter, settings);
  }  // else it was asked before the breaker opened: that is known already
}

}  // namespace germline::worker
