#include "common/clock.hpp"

#include <time.h>

#include <array>
#include <cstdio>

#include "common/assert.hpp"

namespace germline {
namespace {

std::int64_t read_ms(clockid_t id) {
  timespec now{};
  GERMLINE_ASSERT(::clock_gettime(id, &now) == 0);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

std::int64_t system_clock_source::utc_ms() const {
  return read_ms(CLOCK_REALTIME);
}
std::int64_t system_clock_source::boot_ms() const {
  return read_ms(CLOCK_BOOTTIME);
}

std::string to_iso8601(std::int64_t utc_ms) {
  auto seconds = utc_ms / 1000;
  auto millis = utc_ms % 1000;
  if (millis < 0) {
    millis += 1000;
    --seconds;
  }
  const time_t when = seconds;
  tm parts{};
  ::gmtime_r(&when, &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, static_cast<int>(millis));
  return text.data();
}

}  // namespace germline
