// clock: the seam through which the product reads time. Nothing else reads it.
// `system_clock_source` is the real one; tests and simulation hold a `manual_clock`.
// Implementations may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace germline {

class clock {
 public:
  virtual ~clock() = default;
  /// UTC, milliseconds since 1970-01-01.
  virtual std::int64_t utc_ms() const = 0;
  /// CLOCK_BOOTTIME in milliseconds: counts through suspend, never steps back. For leases.
  virtual std::int64_t boot_ms() const = 0;
};

class system_clock_source final : public clock {
 public:
  std::int64_t utc_ms() const override;
  std::int64_t boot_ms() const override;
};

class manual_clock final : public clock {
 public:
  explicit manual_clock(std::int64_t utc_ms = 1'700'000'000'000) : utc_ms_(utc_ms) {}
  std::int64_t utc_ms() const override { return utc_ms_; }
  std::int64_t boot_ms() const override { return boot_ms_; }
  void advance(std::int64_t ms) {
    utc_ms_ += ms;
    boot_ms_ += ms;
  }

 private:
  std::atomic<std::int64_t> utc_ms_;
  std::atomic<std::int64_t> boot_ms_{0};
};

/// "2026-01-31T23:59:59.123Z".
std::string to_iso8601(std::int64_t utc_ms);

}  // namespace germline
