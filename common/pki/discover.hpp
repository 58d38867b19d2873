// discover: asks who serves TLS at an address for its authority's certificate, and takes it only
// where it is the one whose fingerprint is known. The first step of who has but a join token.
// Any thread; blocks for up to 10 s at each step. REQUIRES that SIGPIPE is ignored.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline::pki {

/// "host:port", "1.2.3.4:port" or "[v6]:port" in its parts. invalid_argument says what is wrong.
struct host_and_port {
  std::string host, port;
};
result<host_and_port> split_address(const std::string& address);

/// PEM of the certificate with this SHA-256, out of what the server shows. permission_denied: it
/// shows no such certificate; unavailable: nobody serves TLS there.
result<std::string> discover_ca(const std::string& address, const std::string& fingerprint);

}  // namespace germline::pki
