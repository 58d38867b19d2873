#include "coordinator/transfers/live_calls.hpp"

#include <utility>

namespace germline::transfers {

live_calls::watch::~watch() {
  const std::lock_guard lock(owner_.mutex_);
  owner_.calls_.erase(at_);
}

void live_calls::watch::moved() {
  const std::lock_guard lock(owner_.mutex_);
  at_->moved_ms = owner_.time_.boot_ms();
}

void live_calls::watch::done() {
  const std::lock_guard lock(owner_.mutex_);
  at_->end = nullptr;
}

live_calls::watch live_calls::begin(std::function<void()> end) {
  const std::lock_guard lock(mutex_);
  calls_.push_front({std::move(end), time_.boot_ms()});
  return {*this, calls_.begin()};
}

void live_calls::sweep() {
  const std::lock_guard lock(mutex_);
  const auto now_ms = time_.boot_ms();
  for (auto& each : calls_) {
    if (!each.end || now_ms - each.moved_ms <= stall_ms_) continue;
    std::exchange(each.end, nullptr)();
  }
}

}  // namespace germline::transfers
