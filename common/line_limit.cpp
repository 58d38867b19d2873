#include "common/line_limit.hpp"

#include <utility>

namespace germline {

std::optional<std::string> line_limit::take(std::int64_t boot_ms) {
  constexpr std::int64_t pause_ms = 1'000;
  const std::scoped_lock lock(mutex_);
  if (last_ms_ && boot_ms - *last_ms_ < pause_ms) {
    ++left_out_;
    return std::nullopt;
  }
  last_ms_ = boot_ms;
  const auto others = std::exchange(left_out_, 0);
  return others == 0 ? "" : " (and " + std::to_string(others) + " more)";
}

}  // namespace germline
