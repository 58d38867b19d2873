// line_limit: for lines of a log that strangers can cause. Lets one through in a second and counts
// the others, so that nobody fills a disk with them. Not the log itself. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace germline {

class line_limit {
 public:
  /// None: the line is left out. Else what to end it with: nothing, or " (and N more)" for those
  /// left out since the last.
  std::optional<std::string> take(std::int64_t boot_ms);

 private:
  std::mutex mutex_;
  std::optional<std::int64_t> last_ms_;
  std::int64_t left_out_ = 0;
};

}  // namespace germline
