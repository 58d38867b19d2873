// seqpacket: whole bounded messages, with descriptors, over a SOCK_SEQPACKET Unix socket. Does not
// own the sockets. Any thread, but one receiver and one sender at a time on one socket.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/wire.hpp"

namespace germline {

struct packet {
  std::string bytes;
  std::vector<unique_fd> fds;
  bool end = false;  // the other side closed the socket
};

/// Two connected ends, close-on-exec.
result<std::pair<unique_fd, unique_fd>> make_seqpacket_pair();

/// Sends one message. unavailable: the other side is gone. Waits at most `timeout_ms` for room.
result<void> send_packet(int socket, std::string_view bytes, const std::vector<int>& fds = {},
                         int timeout_ms = 10'000);

/// Receives one message; deadline_exceeded after `timeout_ms` (-1 = never). Messages longer than
/// wire::message_bytes_max or with more than wire::fds_max descriptors are an error.
result<packet> receive_packet(int socket, int timeout_ms = -1);

}  // namespace germline
