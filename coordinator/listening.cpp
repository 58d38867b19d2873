#include "coordinator/listening.hpp"

#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "common/log.hpp"
#include "common/unique_fd.hpp"
#include "common/unix_socket.hpp"

namespace germline {
namespace {

constexpr std::size_t max_socket_path_bytes = 107;

result<void> check_port(const std::string& address) {
  const auto digits = std::string_view(address).substr(address.rfind(':') + 1);
  std::uint16_t port = 0;
  const auto* const end = digits.data() + digits.size();
  if (const auto [at, failed] = std::from_chars(digits.data(), end, port);
      failed != std::errc() || at != end) {
    return error(error_code::invalid_argument,
                 "'" + std::string(digits) + "' is no port, 0 to 65535, in '" + address + "'");
  }
  return {};
}

}  // namespace

result<std::string> check_local_address(const std::string& address) {
  if (address.starts_with("unix:")) {
    const std::string path = address.substr(5);
    if (path.empty() || path.front() != '/' || path.size() > max_socket_path_bytes) {
      return error(error_code::invalid_argument,
                   "the socket's path must be absolute and at most 107 bytes: '" + address + "'");
    }
    return path;
  }
  const bool loopback = address.starts_with("127.0.0.1:") || address.starts_with("[::1]:") ||
                        address.starts_with("localhost:");
  if (!loopback) {
    return error(error_code::invalid_argument,
                 "without TLS the coordinator listens on a Unix socket or on loopback only, not on"
                 " '" +
                     address + "'; --tls-listen opens it to other machines");
  }
  GERMLINE_TRY(check_port(address));
  return std::string();
}

result<void> check_tls_address(const std::string& address) {
  if (!address.starts_with("unix:") && address.rfind(':') != std::string::npos &&
      address.rfind(':') > 0) {
    return check_port(address);
  }
  return error(error_code::invalid_argument,
               "'" + address +
                   "' is nothing to serve with TLS; write HOST:PORT, such as "
                   "0.0.0.0:7411");
}

result<void> check_nobody_listens(const std::string& path) {
  const auto life = probe_unix_socket(path);
  if (life && *life != socket_life::alive) return {};
  return error(error_code::failed_precondition,
               (life ? "another coordinator listens on " + path
                     : path + " is another's: " + life.error().message()) +
                   "; end it, or give this one another socket by --coordinator or --listen");
}

error cannot_listen(const std::string& address, const std::string& why) {
  return {error_code::failed_precondition, "cannot listen on " + address + ": " + why};
}

result<void> try_to_bind(const std::string& address, const std::string& socket_path) {
  if (!socket_path.empty()) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket_path.copy(at.sun_path, sizeof at.sun_path - 1);
    const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      return cannot_listen(address, std::strerror(errno));
    }
    ::unlink(socket_path.c_str());
    return {};
  }
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failed =
          ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &wanted, &found);
      failed != 0) {
    return cannot_listen(address, ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  int failure = 0;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    const unique_fd probe(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (probe) ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (probe && ::bind(probe.get(), each->ai_addr, each->ai_addrlen) == 0 &&
        ::listen(probe.get(), 1) == 0) {
      return {};
    }
    failure = errno;
  }
  return cannot_listen(address, std::strerror(failure));
}

void raise_descriptor_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log_warning("the descriptor limit stays as it is");
}

}  // namespace germline
