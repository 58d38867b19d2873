// restart_policy: when a child that died unexpectedly is started again, and when that is given up.
// Pure; the supervisor asks it. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace germline::cli {

struct restart_state {
  int quick_deaths = 0;  // in a row
};

inline constexpr std::int64_t lived_long_ms = 30'000;
inline constexpr int most_quick_deaths = 6;

/// Called at a death after `lived_ms`: the delay until the next start, or nothing where it died
/// quickly too many times in a row. Never nothing where it `has_worked`: then the fault is not in
/// how it was set up but in something that may pass, such as a full disk.
inline std::optional<std::int64_t> next_start_delay_ms(restart_state& state, std::int64_t lived_ms,
                                                       bool has_worked) {
  constexpr std::int64_t first_ms = 250;
  constexpr std::int64_t longest_ms = 8'000;
  if (lived_ms >= lived_long_ms) state.quick_deaths = 0;
  if (state.quick_deaths < most_quick_deaths) ++state.quick_deaths;
  if (state.quick_deaths >= most_quick_deaths && !has_worked) return std::nullopt;
  return std::min(first_ms << (state.quick_deaths - 1), longest_ms);
}

}  // namespace germline::cli
