#include "sandbox/seqpacket.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace germline {
namespace {

result<void> wait_for(int socket, short events, int timeout_ms) {
  pollfd entry{socket, events, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, timeout_ms);
    if (ready > 0) return {};
    if (ready == 0) return error(error_code::deadline_exceeded, "the other side did not answer");
    if (errno != EINTR) return errno_error("poll", errno);
  }
}

constexpr std::size_t control_bytes = CMSG_SPACE(sizeof(int) * wire::fds_max);

}  // namespace

result<std::pair<unique_fd, unique_fd>> make_seqpacket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error("socketpair", errno);
  }
  const int room = 2 * static_cast<int>(wire::message_bytes_max);
  for (const int end : ends) {
    // A best effort: where the limit is lower, long messages are refused with an error.
    if (::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
      ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
  }
  return std::pair(unique_fd(ends[0]), unique_fd(ends[1]));
}

result<void> send_packet(int socket, std::string_view bytes, const std::vector<int>& fds,
                         int timeout_ms) {
  if (bytes.empty() || bytes.size() > wire::message_bytes_max || fds.size() > wire::fds_max) {
    return error(error_code::resource_exhausted, "the message is longer than one may be");
  }
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    if (errno == EAGAIN) {
      GERMLINE_TRY(wait_for(socket, POLLOUT, timeout_ms));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return error(error_code::unavailable, "the other side is gone");
    } else if (errno != EINTR) {
      return errno_error("sendmsg", errno);
    }
  }
}

result<packet> receive_packet(int socket, int timeout_ms) {
  packet received;
  received.bytes.resize(wire::message_bytes_max);
  iovec part{received.bytes.data(), received.bytes.size()};
  alignas(cmsghdr) std::array<char, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  for (;;) {
    GERMLINE_TRY(wait_for(socket, POLLIN, timeout_ms));
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size >= 0) break;
    if (errno == ECONNRESET) {
      size = 0;
      break;
    }
    if (errno != EINTR && errno != EAGAIN) return errno_error("recvmsg", errno);
  }
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return error(error_code::resource_exhausted, "a message was longer than one may be");
  }
  received.bytes.resize(static_cast<std::size_t>(size));
  received.end = size == 0;
  return received;
}

}  // namespace germline
