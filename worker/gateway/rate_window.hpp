// rate_window: how often something may be in any minute.
// Pure but for its own count; one thread.
#pragma once

#include <cstdint>
#include <deque>

namespace germline::worker {

class rate_window {
 public:
  explicit rate_window(std::int64_t most_a_minute) : most_(most_a_minute) {}

  /// 0: it may be now.
  std::int64_t wait_ms(std::int64_t now_ms) {
    while (!noted_ms_.empty() && noted_ms_.front() <= now_ms - minute_ms) noted_ms_.pop_front();
    if (static_cast<std::int64_t>(noted_ms_.size()) < most_) return 0;
    return noted_ms_.front() + minute_ms - now_ms;
  }
  /// REQUIRES that wait_ms() was 0 at the same time, for the window to stay bounded.
  void note(std::int64_t now_ms) { noted_ms_.push_back(now_ms); }

 private:
  static constexpr std::int64_t minute_ms = 60'000;
  const std::int64_t most_;
  std::deque<std::int64_t> noted_ms_;
};

}  // namespace germline::worker
