// heap_trimmer: gives memory back to the system that many or large requests at once have needed.
// The C library keeps what is freed in the midst of what is not, for the next request; of a burst
// that is over, whose streams go on for minutes, that is all of its bodies. What comes and goes
// evenly is needed again and left alone: to trim the heap stops all that is served for
// milliseconds.
// The io_context's one thread.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "worker/gateway/held_bytes.hpp"

namespace germline::worker {

class heap_trimmer {
 public:
  /// How much is held at a time is taken from `held`, which it has for itself. `frees_more`:
  /// whether another thread is still about to free what is not held any longer.
  heap_trimmer(
      boost::asio::io_context& context, byte_pool& held, std::function<bool()> frees_more,
      std::function<void()> trim = [] { ::malloc_trim(0); })
      : timer_(context), held_(held), frees_more_(std::move(frees_more)), trim_(std::move(trim)) {}

  /// Less is held than before, or is about to be. Where by much less than once, and that stays so
  /// for `turn`, the heap is trimmed.
  void note_freed() {
    if (is_waiting_ || held_.most_taken() < worth_bytes) return;
    is_waiting_ = true;
    most_ = std::max(most_, held_.most_taken());
    wait();
  }

  /// So much less must be held.
  static constexpr std::int64_t worth_bytes = 1 << 20;
  static constexpr std::chrono::milliseconds turn{500};

 private:
  static constexpr int most_turns_put_off = 10;

  void wait() {
    held_.forget_most_taken();
    timer_.expires_after(turn);
    timer_.async_wait([this](boost::system::error_code ended) {
      if (!ended) look();
    });
  }

  void look() {
    const auto lately = held_.most_taken();
    most_ = std::max(most_, lately);
    const bool is_worth_it = most_ - lately >= worth_bytes;
    if (is_worth_it && (!frees_more_() || ++turns_put_off_ == most_turns_put_off)) {
      trim_();
      most_ = lately;
      turns_put_off_ = 0;
    }
    is_waiting_ = most_ >= worth_bytes;
    if (is_waiting_) wait();
  }

  boost::asio::steady_timer timer_;
  byte_pool& held_;
  const std::function<bool()> frees_more_;
  const std::function<void()> trim_;
  std::int64_t most_ = 0;  // held at a time since the last trim
  int turns_put_off_ = 0;
  bool is_waiting_ = false;
};

}  // namespace germline::worker
