// discover: asks who serves TLS at an address for its certificates. Takes that of its authority
// only where it is the one whose fingerprint is known, which is the first step of who has but a
// join token; and tells people what is wrong where a connection came to nothing, of which gRPC
// knows little. Any thread; blocks for up to 10 s at each step, where it only tells for 2 s.
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

/// Whether TLS is served there.
bool speaks_tls(const std::string& address);
/// Whether who answers there is a coordinator of one of the authorities of the bundle `ca_pem`.
/// permission_denied says what is wrong with the certificate that it shows; unavailable: nobody
/// serves TLS there.
result<void> check_coordinator(const std::string& address, const std::string& ca_pem);

}  // namespace germline::pki
