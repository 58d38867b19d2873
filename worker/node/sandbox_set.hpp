// sandbox_set: the live sandboxes of one attempt, so that a cancel or a renewed lease reaches
// whichever of them stands at that moment. A sandbox that was opened here dies at the earlier of
// its own wall time and the attempt's lease, held by its supervisor and not by this process.
// Owns no sandbox: live_sandbox does, and takes itself out of the set when it ends. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common/clock.hpp"
#include "sandbox/backend.hpp"

namespace germline::worker {

class sandbox_set;

/// One sandbox of an attempt; destroyed, with everything in it, when this ends.
class live_sandbox {
 public:
  ~live_sandbox();
  live_sandbox(const live_sandbox&) = delete;
  live_sandbox& operator=(const live_sandbox&) = delete;

  sandbox& get() { return *sandbox_; }
  /// CLOCK_BOOTTIME at which the wall time ends, whatever the lease.
  std::int64_t wall_until_boot_ms() const { return wall_until_boot_ms_; }
  /// Kills and removes everything; an error says what could not be removed.
  result<void> destroy();

 private:
  friend class sandbox_set;
  live_sandbox(sandbox_set& owner, std::unique_ptr<sandbox> inner, std::int64_t wall_until)
      : owner_(owner), sandbox_(std::move(inner)), wall_until_boot_ms_(wall_until) {}

  sandbox_set& owner_;
  std::unique_ptr<sandbox> sandbox_;
  std::int64_t wall_until_boot_ms_;
};

class sandbox_set {
 public:
  sandbox_set(sandbox_backend& backend, const clock& time, std::int64_t lease_until_boot_ms)
      : backend_(backend), time_(time), lease_until_boot_ms_(lease_until_boot_ms) {}

  /// A prepared sandbox. Error `cancelled` once the attempt was cancelled.
  result<std::unique_ptr<live_sandbox>> open(sandbox_policy_spec spec);

  /// Kills what stands; nothing can be opened afterwards.
  void cancel(const std::string& why);
  void renew(std::int64_t lease_until_boot_ms);

  bool cancelled() const;
  /// Waits at most this long for a cancel; whether there was one.
  bool wait_cancelled(std::chrono::milliseconds longest);
  std::string why_cancelled() const;
  const clock& time() const { return time_; }

 private:
  friend class live_sandbox;
  void forget(live_sandbox* gone);

  sandbox_backend& backend_;
  const clock& time_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<live_sandbox*> live_;
  std::int64_t lease_until_boot_ms_;
  bool cancelled_ = false;
  std::string why_cancelled_;
};

}  // namespace germline::worker
