// strict_http: HTTP/1.1 as RFC 9112 has it and no laxer, for the tests: which requests some bytes
// are beyond doubt, and which answers. Not how the gateway reads.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace germline::tests {

using http_fields = std::vector<std::pair<std::string, std::string>>;  // names in lower case

/// The first of that name; empty: there is none.
std::string field_of(const http_fields& fields, std::string_view name);

struct strict_request {
  std::string method, target;
  http_fields fields;
  std::string body;
};

struct strict_requests {
  std::vector<strict_request> whole;
  bool rest = false;  // there is more, which is no whole request
};
strict_requests read_requests(std::string_view bytes);

struct strict_answer {
  int status = 0;
  bool last = false;  // it says that the connection ends
  std::string body;
};

struct strict_answers {
  std::vector<strict_answer> whole;  // but for those of status 1xx
  bool rest = false;                 // one has begun
  std::string wrong;                 // what no server may say
};
/// `heads`: of the requests, which are HEAD.
strict_answers read_answers(std::string_view bytes, const std::vector<bool>& heads);

}  // namespace germline::tests
