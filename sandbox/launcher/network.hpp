// network: what a sandbox's network namespace gets: `lo`, and where asked one listening socket on
// it. Called by a supervisor, single-threaded (it moves between namespaces).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline {

/// Brings `lo` up in the namespace of `pid`; with a port, binds and listens on 127.0.0.1:port
/// there. Without a port the descriptor is empty.
result<unique_fd> set_up_network(pid_t pid, std::uint16_t port);

}  // namespace germline
