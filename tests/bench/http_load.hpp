// http_load: a client for benchmarks: sends one request again and again over kept connections, one
// at a time, as fast as it is answered, or at a rate; and takes the times. It understands no more
// of HTTP than where an answer ends. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace germline::bench {

std::int64_t now_ns();

struct timings {
  std::vector<std::int64_t> whole_ns;  // from when a request was due to the end of its answer
  std::vector<std::int64_t> first_ns;  // to the first byte of the answer
  std::int64_t lasted_ns = 0;
};

class http_load {
 public:
  /// All connections stay open until the end. Ends the program where one cannot be made.
  http_load(unsigned port, std::size_t connections, std::string request);
  ~http_load();
  http_load(const http_load&) = delete;
  http_load& operator=(const http_load&) = delete;

  /// `count` requests, on each connection the next when the one before is answered.
  void run(std::size_t count, timings& into);
  /// The same, each due at its time: `per_second` a second. One that finds no connection free
  /// waits, and its time counts from when it was due.
  void run_at(double per_second, std::size_t count, timings& into);
  /// One request on each connection; returns when `part` has come on all, and leaves them open.
  void begin(const std::string& part);

 private:
  struct connection {
    int socket = -1;
    bool busy = false;
    std::size_t sent = 0;
    std::int64_t due_ns = 0, first_ns = 0;
    std::string got;
  };
  void send_on(connection& one, std::int64_t due_ns);
  void write(connection& one);
  /// Waits for what is ready, at most until then; calls `done` of each connection that is answered.
  template <class Done>
  void poll(std::int64_t until_ns, Done done);

  std::string request_;
  std::vector<connection> connections_;
  int events_ = -1;
};

}  // namespace germline::bench
