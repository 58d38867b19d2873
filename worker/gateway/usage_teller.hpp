// usage_teller: tells one attempt's owner what the attempt has used, at most every 20 ms where
// nothing is wrong: counts only grow, so the latest says all, and a message a request would cost
// more than to read its answer. A problem is told at once.
// The io_context's one thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "worker/gateway/budget.hpp"

namespace germline::worker {

class usage_teller {
 public:
  using teller = std::function<void(const gateway_usage& usage, const std::string& problem)>;
  static constexpr std::chrono::milliseconds least_gap{20};

  usage_teller(boost::asio::io_context& context, teller tell)
      : tell_(std::move(tell)), timer_(context) {}

  void note(const gateway_usage& usage, const std::string& problem) {
    latest_ = usage;
    if (problem.empty() && waits_) return;
    const auto gap = std::chrono::steady_clock::now() - told_at_;
    if (!problem.empty() || gap >= least_gap) return tell(problem);
    waits_ = true;
    timer_.expires_after(least_gap - gap);
    timer_.async_wait([this](boost::system::error_code ended) {
      if (!ended) tell({});
    });
  }

 private:
  void tell(const std::string& problem) {
    if (waits_) timer_.cancel();
    waits_ = false;
    told_at_ = std::chrono::steady_clock::now();
    tell_(latest_, problem);
  }

  const teller tell_;
  boost::asio::steady_timer timer_;
  gateway_usage latest_;
  std::chrono::steady_clock::time_point told_at_{};
  bool waits_ = false;  // for the timer to tell the latest
};

}  // namespace germline::worker
