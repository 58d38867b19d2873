// One HTTP POST by libcurl. No retries, no meaning of its own; blocks its caller.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace agent {

struct http_reply {
  long status = 0;  // 0: there was no whole answer; `problem` says why
  std::string content_type;
  std::string body;
  std::string problem;
  double retry_after_s = -1;  // below zero: not said
};

/// `headers` as "name: value". An answer above 32 MiB, or three minutes without a byte, is a
/// problem.
http_reply http_post(const std::string& url, const std::vector<std::string>& headers,
                     const std::string& body, std::chrono::milliseconds limit);

}  // namespace agent
