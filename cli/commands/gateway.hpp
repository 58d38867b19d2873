// gateway: the gateway in the foreground, before a model's API, without a coordinator or worker.
// Main thread only, before any other starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.hpp"

namespace germline::cli {

struct gateway_options {
  std::string listen = "127.0.0.1:0";
  std::string config_file, model, budget, token_file;
  std::optional<std::int64_t> max_requests, max_requests_per_minute, max_output_tokens;
};

/// Prints its URL, and at the end what was used.
exit_code run_gateway_command(const session& with, const gateway_options& options);

}  // namespace germline::cli
