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
  bool keeps_open = false;          // not closed: the next request may come on it
  bool falls_silent = false;        // not closed before the other end does, or 10 s are over
};

/// A JSON answer with that status.
canned_answer json_answer(const std::string& body, const std::string& status = "200 OK");
/// The same on a connection that stays open.
canned_answer kept_open(const std::string& body);
/// The request is read, and the connection closed without an answer.
canned_answer no_answer();
/// An event stream, in pieces of that size. `whole` false: it is cut off.
canned_answer stream_answer(const std::string& events, std::size_t piece, bool whole = true);

class canned_upstream {
 public:
  /// `read_pause_ms`: it takes what it is sent in pieces of 16 KiB, and rests before each.
  explicit canned_upstream(std::vector<canned_answer> answers, int read_pause_ms = 0);
  ~canned_upstream();

  unsigned port() const { return port_; }
  struct request {
    std::string head;
    std::string body;
  };
  std::vector<request> requests();

 private:
  void serve();
  /// False: no whole request came.
  bool take_request(int socket);

  std::vector<canned_answer> answers_;
  const int read_pause_ms_;
  unique_fd listener_;
  unsigned port_ = 0;
  std::mutex mutex_;
  std::vector<request> requests_;
  std::thread thread_;
};

}  // namespace germline::tests
