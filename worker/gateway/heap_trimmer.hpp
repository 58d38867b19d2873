// heap_trimmer: gives memory back to the system that many requests at once have needed. The C
// library keeps what is freed in the midst of what is not, for the next request; of a burst that is
// over, whose streams go on for minutes, that is all of its bodies.
// The io_context's one thread.
#pragma once

#include <malloc.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>

namespace germline::worker {

class heap_trimmer {
 public:
  explicit heap_trimmer(boost::asio::io_context& context) : timer_(context) {}

  /// So many bytes are not held any longer. Soon after enough of them the heap is trimmed, which
  /// takes a millisecond or so.
  void note_freed(std::size_t bytes) {
    freed_ += bytes;
    if (freed_ < worth_bytes || waits_) return;
    waits_ = true;
    timer_.expires_after(delay);
    timer_.async_wait([this](boost::system::error_code ended) {
      if (ended) return;
      waits_ = false;
      freed_ = 0;
      ::malloc_trim(0);
    });
  }

 private:
  static constexpr std::size_t worth_bytes = 8 << 20;
  static constexpr std::chrono::seconds delay{1};

  boost::asio::steady_timer timer_;
  std::size_t freed_ = 0;
  bool waits_ = false;
};

}  // namespace germline::worker
