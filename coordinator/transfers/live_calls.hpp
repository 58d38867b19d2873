// live_calls: the bulk calls that are being served, and since when nothing moved in each: one in
// which nothing does for long is ended, so that a worker that hangs does not keep a thread and a
// file for ever. Owns no call. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>

#include "common/clock.hpp"

namespace germline::transfers {

class live_calls {
 private:
  struct call {
    std::function<void()> end;
    std::int64_t moved_ms = 0;
  };

 public:
  /// One call, as long as it lives.
  class watch {
   public:
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;
    ~watch();
    /// Bytes went over the wire.
    void moved();
    /// Nothing more is awaited of the other side.
    void done();

   private:
    friend class live_calls;
    watch(live_calls& owner, std::list<call>::iterator at) : owner_(owner), at_(at) {}
    live_calls& owner_;
    std::list<call>::iterator at_;
  };

  /// REQUIRES that `time` outlives this, and this its watches.
  explicit live_calls(const clock& time, std::int64_t stall_ms = 60'000)
      : time_(time), stall_ms_(stall_ms) {}

  /// `end` is called at most once, while the watch lives, and must not block.
  watch begin(std::function<void()> end);
  /// Ends the calls in which nothing moved for long.
  void sweep();

 private:
  const clock& time_;
  const std::int64_t stall_ms_;
  std::mutex mutex_;
  std::list<call> calls_;
};

}  // namespace germline::transfers
