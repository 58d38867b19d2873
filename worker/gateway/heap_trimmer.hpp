// heap_trimmer: gives memory back to the system that many requests at once have needed. The C
// library keeps what is freed in the midst of what is not, for the next request; of a burst that is
// over, whose streams go on for minutes, that is all of its bodies.
// The io_context's one thread.
#pragma once

#include <malloc.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

namespace germline::worker {

class heap_trimmer {
 public:
  /// `frees_more`: whether another thread is still about to free what was noted.
  heap_trimmer(boost::asio::io_context& context, std::function<bool()> frees_more)
      : timer_(context), frees_more_(std::move(frees_more)) {}

  /// So many bytes are not held any longer. When enough of them were freed and no more are, or
  /// they have been for long, the heap is trimmed: that takes a millisecond or so, and what is
  /// needed again must be asked for again.
  void note_freed(std::size_t bytes) {
    freed_ += bytes;
    if (freed_ >= worth_bytes && turns_left_ == 0) {
      turns_left_ = most_turns;
      wait();
    }
  }

 private:
  static constexpr std::size_t worth_bytes = 8 << 20;
  static constexpr std::chrono::milliseconds turn{500};
  static constexpr int most_turns = 10;

  void wait() {
    timer_.expires_after(turn);
    timer_.async_wait([this, before = freed_](boost::system::error_code ended) {
      if (ended) return;
      const bool is_calm = freed_ == before && !frees_more_();
      if (!is_calm && --turns_left_ > 0) return wait();
      ::malloc_trim(0);
      freed_ = 0;
      turns_left_ = is_calm ? 0 : most_turns;
      if (!is_calm) wait();
    });
  }

  boost::asio::steady_timer timer_;
  const std::function<bool()> frees_more_;
  std::size_t freed_ = 0;
  int turns_left_ = 0;  // 0: it does not wait
};

}  // namespace germline::worker
