// usage_reader: finds what a request used in the upstream's own answer, as it streams by: in a
// Messages event stream (message_start, message_delta) or in one JSON body. Changes nothing and
// keeps at most one line, or the body.
// One per answer, one thread at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "worker/gateway/budget.hpp"

namespace germline::worker {

class usage_reader {
 public:
  explicit usage_reader(bool event_stream) : event_stream_(event_stream) {}

  void feed(std::string_view bytes);
  /// The final counts, once the answer is whole: after the last feed(). None: it was cut, or is no
  /// Messages answer; then the bound is what may be charged.
  std::optional<token_counts> finish();
  bool saw_end() const { return final_; }

 private:
  void take_line(std::string_view line);

  const bool event_stream_;
  std::string pending_;  // a line that has not ended, or the body
  bool line_too_long_ = false;
  bool started_ = false;
  bool final_ = false;
  bool broken_ = false;
  token_counts counts_;
};

}  // namespace germline::worker
