// listening: which addresses a coordinator may listen on, and whether it can. gRPC itself says why
// it cannot bind in a dump of its own, and to nobody else. Any thread; blocks on name lookup.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline {

/// For people and workers of this machine, without TLS: the path of a Unix socket; empty: a TCP
/// address on loopback. Anything else is refused.
result<std::string> check_local_address(const std::string& address);

/// "HOST:PORT", to be served with TLS.
result<void> check_tls_address(const std::string& address);

/// A socket that a dead coordinator left may be taken over; that of a living one, or of one that
/// this process may not ask, may not.
result<void> check_nobody_listens(const std::string& socket_path);

/// Takes as many descriptors as the system lets this process have: each connection is one.
void raise_descriptor_limit();

error cannot_listen(const std::string& address, const std::string& why);

/// Binds as gRPC will; `socket_path` empty: to the TCP address.
result<void> try_to_bind(const std::string& address, const std::string& socket_path);

}  // namespace germline
