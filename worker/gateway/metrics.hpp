// gateway_metrics: what requests took and cost, for Prometheus to fetch, under OpenTelemetry's
// names for generative AI (semantic conventions, "Semantic conventions for generative AI metrics",
// in development there; written as its mapping to Prometheus has them) and some of its own. No text
// of a request or answer is in them, nor the name of an attempt. Any thread; who fetches is
// answered by a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "worker/gateway/budget.hpp"
#include "worker/gateway/config.hpp"

namespace germline::worker {

/// One request that is over.
struct measured_request {
  std::string_view provider;  // as provider_name; empty: it went to none
  std::string_view model;
  std::string error;                          // empty: none; else an HTTP status, or "cut"
  std::string_view outcome;                   // as in a transcript
  double seconds = 0;                         // from its arrival to its end
  std::optional<double> first_chunk_seconds;  // of a stream
  token_counts tokens;
  std::int64_t cost_nanousd = 0;
};

class gateway_metrics {
 public:
  gateway_metrics();
  ~gateway_metrics();
  gateway_metrics(const gateway_metrics&) = delete;
  gateway_metrics& operator=(const gateway_metrics&) = delete;

  /// Answers GET /metrics there from now on, at the first port that is free; the address with it.
  result<std::string> listen(const metrics_place& place);
  void note(const measured_request& one);
  /// As it is fetched.
  std::string text() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace germline::worker
