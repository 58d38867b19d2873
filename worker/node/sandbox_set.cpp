#include "worker/node/sandbox_set.hpp"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "common/log.hpp"

namespace germline::worker {

namespace {

constexpr std::chrono::milliseconds destroy_pause{500};

}  // namespace

live_sandbox::~live_sandbox() {
  owner_.forget(this);
  // That an attempt has ended is said when nothing of it is left, and not before: a person's kill
  // is proved by it.
  for (bool told = false;; told = true) {
    const auto gone = sandbox_->destroy();
    if (gone) return;
    if (!told) log_error("destroying a sandbox, until it is done: {}", gone.error().message());
    if (gone.error().code() == error_code::unavailable) {
      // Neither supervisor nor zygote is there to ask. A new worker sweeps before it joins.
      log_error("ending at once, since what became of a sandbox cannot be known");
      std::_Exit(1);
    }
    std::this_thread::sleep_for(destroy_pause);
  }
}

result<void> live_sandbox::destroy() {
  return sandbox_->destroy();
}

result<std::unique_ptr<live_sandbox>> sandbox_set::open(sandbox_policy_spec spec) {
  if (cancelled()) return error(error_code::cancelled, "the attempt was cancelled");
  const auto wall_ms = spec.wall_ms;
  GERMLINE_TRY_ASSIGN(const auto policy, sandbox_policy::make(std::move(spec)));
  const auto wall_until = time_.boot_ms() + wall_ms;
  GERMLINE_TRY_ASSIGN(auto prepared, backend_.prepare(policy));
  std::unique_ptr<live_sandbox> live(new live_sandbox(*this, std::move(prepared), wall_until));
  result<void> renewed;
  {
    const std::scoped_lock lock(mutex_);
    // A cancel that came while the sandbox was made found nothing to kill.
    if (cancelled_) {
      renewed = error(error_code::cancelled, "the attempt was cancelled");
    } else {
      live_.insert(live.get());
      renewed = live->sandbox_->renew(std::min(wall_until, lease_until_boot_ms_));
    }
  }
  // Outside of the lock: where it fails, the sandbox's destructor takes the lock.
  if (!renewed) return renewed.error();
  return live;
}

void sandbox_set::cancel(const std::string& why) {
  const std::scoped_lock lock(mutex_);
  if (cancelled_) return;
  cancelled_ = true;
  why_cancelled_ = why;
  for (auto* live : live_) {
    if (const auto killed = live->sandbox_->kill(); !killed) {
      log_error("killing a sandbox: {}", killed.error().message());
    }
  }
  changed_.notify_all();
}

bool sandbox_set::wait_cancelled(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, longest, [this] { return cancelled_; });
}

void sandbox_set::renew(std::int64_t lease_until_boot_ms) {
  const std::scoped_lock lock(mutex_);
  lease_until_boot_ms_ = std::max(lease_until_boot_ms_, lease_until_boot_ms);
  if (cancelled_) return;
  for (auto* live : live_) {
    const auto until = std::min(live->wall_until_boot_ms_, lease_until_boot_ms_);
    if (const auto renewed = live->sandbox_->renew(until); !renewed) {
      log_warning("renewing a sandbox: {}", renewed.error().message());
    }
  }
}

bool sandbox_set::cancelled() const {
  const std::scoped_lock lock(mutex_);
  return cancelled_;
}

std::string sandbox_set::why_cancelled() const {
  const std::scoped_lock lock(mutex_);
  return why_cancelled_;
}

void sandbox_set::forget(live_sandbox* gone) {
  const std::scoped_lock lock(mutex_);
  live_.erase(gone);
}

}  // namespace germline::worker
