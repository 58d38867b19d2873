// loopback: an address at which this machine alone is heard, and a socket that listens there. Not
// for any other address: those are refused.
// Plain values and system calls; any thread.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::worker {

struct loopback_address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  /// "127.0.0.1:8080", "[::1]:8080".
  std::string text() const;
};

/// Of "127.0.0.1:PORT", any other address of 127.0.0.0/8, or "[::1]:PORT". Port 0: any that is
/// free.
result<loopback_address> parse_loopback(std::string_view text);

struct loopback_listener {
  unique_fd socket;
  loopback_address at;  // with the port that it has
};
result<loopback_listener> listen_on_loopback(const loopback_address& where);

}  // namespace germline::worker
