#include "sandbox/launcher/network.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace germline {
namespace {

result<void> raise_loopback() {
  unique_fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("socket", errno);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return errno_error("lo up", errno);
  return {};
}

result<unique_fd> listen_on(std::uint16_t port) {
  unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("binding the gateway's port", errno);
  }
  if (::listen(socket.get(), 128) != 0) return errno_error("listen", errno);
  return socket;
}

result<unique_fd> inside(std::uint16_t port) {
  GERMLINE_TRY(raise_loopback());
  if (port == 0) return unique_fd();
  return listen_on(port);
}

}  // namespace

result<unique_fd> set_up_network(pid_t pid, std::uint16_t port) {
  unique_fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  unique_fd other(
      ::open(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  if (!own || !other) return errno_error("opening network namespaces", errno);
  if (::setns(other.get(), CLONE_NEWNET) != 0) return errno_error("entering a network", errno);
  auto listener = inside(port);
  // Staying in the sandbox's network would be a hole: nothing may go on from here.
  GERMLINE_ASSERT(::setns(own.get(), CLONE_NEWNET) == 0);
  return listener;
}

}  // namespace germline
