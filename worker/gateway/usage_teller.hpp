// usage_teller: tells one attempt's owner what the attempt has used, at most every 20 ms where
// nothing is wrong: counts only grow, so the latest says all, and a message a request would cost
// more than to read its answer. A problem is told at once.
// The io_context's one thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.hpp"
#include "worker/gateway/budget.hpp"

namespace germline::worker {

/// REQUIRES a shared pointer to hold it.
class usage_teller : public std::enable_shared_from_this<usage_teller> {
 public:
  using teller = std::function<void(const gateway_usage& usage, const std::string& problem)>;
  static constexpr std::int64_t least_gap_ms = 20;

  /// `time` must outlive this.
  usage_teller(boost::asio::io_context& context, const clock& time, teller tell)
      : time_(time), tell_(std::move(tell)), timer_(context) {}

  void note(const gateway_usage& usage, const std::string& problem) {
    latest_ = usage;
    if (problem.empty() && waits_) return;
    const auto gap_ms = time_.boot_ms() - told_at_ms_;
    if (!problem.empty() || gap_ms >= least_gap_ms) return tell(problem);
    waits_ = true;
    timer_.expires_after(std::chrono::milliseconds(least_gap_ms - gap_ms));
    // It may have expired, and wait for its turn, when the attempt goes.
    timer_.async_wait([alive = weak_from_this()](boost::system::error_code ended) {
      const auto self = ended ? nullptr : alive.lock();
      if (self) self->tell({});
    });
  }

 private:
  void tell(const std::string& problem) {
    if (waits_) timer_.cancel();
    waits_ = false;
    told_at_ms_ = time_.boot_ms();
    tell_(latest_, problem);
  }

  const clock& time_;
  const teller tell_;
  boost::asio::steady_timer timer_;
  gateway_usage latest_;
  std::int64_t told_at_ms_ = -least_gap_ms;
  bool waits_ = false;  // for the timer to tell the latest
};

}  // namespace germline::worker
