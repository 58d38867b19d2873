// fast_upstream: a provider for benchmarks, as fast as one thread can be: it answers each POST with
// the same few events or the same JSON, with usage, and understands no more of HTTP than that. A
// process of its own, which ends with its owner.
#pragma once

#include <sys/types.h>

#include <string>

namespace germline::bench {

/// Stands at the beginning of a body: the stream is begun and never ended.
inline constexpr const char* held = "\"hold\"";

class fast_upstream {
 public:
  fast_upstream();
  ~fast_upstream();
  fast_upstream(const fast_upstream&) = delete;
  fast_upstream& operator=(const fast_upstream&) = delete;
  unsigned port() const { return port_; }

 private:
  pid_t process_ = -1;
  unsigned port_ = 0;
};

/// A socket that listens on loopback, and its port. Ends the program where there is none.
int listen_anywhere(unsigned& port);

}  // namespace germline::bench
