// transfers: one attempt's bulk transfers, each to its end or until the attempt is cancelled: one
// that breaks goes on from where it was, after a pause that grows and is drawn anew each time; what
// came is checked by its hash. Counts the bytes that went over the wire.
// fetch and put belong to the attempt's thread; cancel may come from any.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "worker/node/transport.hpp"

namespace germline::worker {

class transfers {
 public:
  /// REQUIRES that all of it outlives this.
  transfers(transport& bulk, const clock& time, random_source& random)
      : bulk_(bulk), time_(time), random_(random) {}

  /// All that is wished for, in `into`, which is empty. What came damaged is fetched once more.
  result<arrival> fetch(const fetch_wish& wish, spool into);
  /// What the coordinator answered.
  result<std::string> put(const put_ticket& ticket, content_kind kind, std::string_view bytes);
  void cancel() { cancelled_.request_stop(); }

  std::int64_t fetched_bytes() const noexcept { return fetched_bytes_; }
  std::int64_t put_bytes() const noexcept { return put_bytes_; }

 private:
  class retry;

  transport& bulk_;
  const clock& time_;
  random_source& random_;
  std::stop_source cancelled_;
  std::int64_t fetched_bytes_ = 0;
  std::int64_t put_bytes_ = 0;
};

}  // namespace germline::worker
