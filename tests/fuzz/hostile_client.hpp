// hostile_client: one connection that sends any bytes to a front, in pieces, and takes what comes:
// each request that is whole by strict_http is answered well, or the connection closed. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "tests/fuzz/strict_http.hpp"
#include "tests/gateway/fixture.hpp"

namespace germline::tests {

inline constexpr int patience_ms = 10'000;

class hostile_client {
 public:
  hostile_client(unsigned port, std::string bytes);

  void send(random_source& random);
  /// Reads what comes until each request is answered, or the connection closed; what is no answer
  /// fails the test, as `check` may. With `may_break_off` one may end in the middle, the connection
  /// with it: what the front has it from did.
  void take_answers(const std::function<void(const strict_answer&)>& check,
                    bool may_break_off = false);
  void hang_up() { client_.reset(); }
  raw_client& connection() { return *client_; }

 private:
  void wait_for(const std::function<bool(const strict_answers&)>& enough);

  std::unique_ptr<raw_client> client_;
  std::string bytes_;
  strict_requests asked_;
  std::vector<bool> heads_;
};

}  // namespace germline::tests
