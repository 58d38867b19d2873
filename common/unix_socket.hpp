// unix_socket: who is behind a Unix socket's path. One call; any thread.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline {

enum class socket_life {
  absent,  // nothing is there
  dead,    // a socket that nobody listens on any more: its process was killed
  alive,   // somebody listens
};

/// By connecting. An error where this process may not know: permission_denied for a socket of
/// another account, or what is there is no socket.
result<socket_life> probe_unix_socket(const std::string& path);

}  // namespace germline
