// upstream: one provider as sessions see it: requests go there, and answers come as they arrive. It
// neither retries nor judges: that is the session's work. http_upstream is a provider,
// replay_upstream a recording of one.
// Everything runs on the io_context's one thread. Sinks take note and return; they must not start,
// resume or destroy a call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/gateway/budget.hpp"

namespace germline::worker {

struct upstream_request {
  std::string path;  // "/v1/messages", with its query
  std::shared_ptr<const std::string> body;
  std::vector<std::string> headers;  // "name: value", without authentication
  // Who asks; not for the provider.
  std::string attempt_id;
  std::string token;
};

/// How a recorded request was accounted for.
struct recorded_bill {
  enum class kind { settled, by_bound, not_billed };
  kind how = kind::not_billed;
  token_counts tokens;  // settled
  // Tries of the same request beside that one.
  std::int64_t more_by_bound = 0;
  std::int64_t more_not_billed = 0;
};

struct upstream_head {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  bool is_recorded = false;  // asked again it would not answer otherwise
  /// In what the request differs from those that were recorded, so that there is no answer to it.
  std::string difference = {};
  /// Of what was recorded: what it cost then, by which it is charged now.
  std::optional<recorded_bill> bill;
  /// Empty when it is not there.
  std::string_view header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
      if (name == lower_case_name) return value;
    }
    return {};
  }
};

enum class upstream_end {
  complete,
  not_sent,   // no connection: nothing was asked, nothing can be billed
  cut,        // it broke after the request was sent
  timed_out,  // silence, or too long in all, after the request was sent
};

class upstream_sink {
 public:
  virtual ~upstream_sink() = default;
  virtual void on_head(upstream_head head) = 0;
  /// False: it was not taken; it comes again after resume().
  virtual bool on_data(std::string_view bytes) = 0;
  virtual void on_end(upstream_end how, std::string_view why) = 0;
};

class upstream {
 public:
  /// One request under way. Destroying it cancels it at once; then its sink hears nothing more.
  class call {
   public:
    virtual ~call() = default;
    /// After on_data answered false.
    virtual void resume() = 0;
  };

  virtual ~upstream() = default;
  /// `sink` must outlive the call; the call must not outlive this.
  virtual std::unique_ptr<call> send(upstream_request request, upstream_sink& sink) = 0;
  /// The attempt is over, and none of its calls is under way.
  virtual void forget(const std::string& attempt_id) { static_cast<void>(attempt_id); }
};

}  // namespace germline::worker
