// canned_upstream: a provider for tests that answers each request with the next of a few canned
// answers, byte for byte and in the pieces given, and keeps what it was asked. It understands no
// dialect. Listens on loopback; one thread of its own.
#pragma once

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/unique_fd.hpp"

namespace germline::tests {

struct canned_answer {
  std::string head;                 // "HTTP/1.1 200 OK\r\n…\r\n\r\n"
  std::vector<std::string> pieces;  // written one by one; then the connection is closed
};

/// A JSON answer with that status.
canned_answer json_answer(const std::string& body, const std::string& status = "200 OK");
/// An event stream, in pieces of that size. `whole` false: it is cut off.
canned_answer stream_answer(const std::string& events, std::size_t piece, bool whole = true);

class canned_upstream {
 public:
  explicit canned_upstream(std::vector<canned_answer> answers);
  ~canned_upstream();

  unsigned port() const { return port_; }
  struct request {
    std::string head;
    std::string body;
  };
  std::vector<request> requests();

 private:
  void serve();
  void answer(int socket, const canned_answer& with);

  std::vector<canned_answer> answers_;
  unique_fd listener_;
  unsigned port_ = 0;
  std::mutex mutex_;
  std::vector<request> requests_;
  std::thread thread_;
};

}  // namespace germline::tests
