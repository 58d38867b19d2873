// curl_proxy: the least that a proxy with libcurl can cost: it takes a request, sends it with one
// handle that is used again and again, and answers when all is there. It looks into nothing, and
// serves one connection at a time. A process of its own, which ends with its owner.
#pragma once

#include <sys/types.h>

namespace germline::bench {

class curl_proxy {
 public:
  explicit curl_proxy(unsigned upstream_port);
  ~curl_proxy();
  curl_proxy(const curl_proxy&) = delete;
  curl_proxy& operator=(const curl_proxy&) = delete;
  unsigned port() const { return port_; }
  pid_t pid() const { return process_; }

 private:
  pid_t process_ = -1;
  unsigned port_ = 0;
};

}  // namespace germline::bench
