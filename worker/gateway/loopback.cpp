#include "worker/gateway/loopback.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace germline::worker {
namespace {

constexpr int backlog = 1024;

result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, port);
  if (!text.empty() && failed == std::errc() && at == end) return port;
  return error(error_code::invalid_argument,
               "'" + std::string(text) +
                   "' is no port: it is a number from 0 (any that is free) to "
                   "65535");
}

}  // namespace

std::string loopback_address::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (bytes.ss_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &bytes, sizeof six);
    ::inet_ntop(AF_INET6, &six.sin6_addr, host.data(), host.size());
    return "[" + std::string(host.data()) + "]:" + std::to_string(ntohs(six.sin6_port));
  }
  sockaddr_in four{};
  std::memcpy(&four, &bytes, sizeof four);
  ::inet_ntop(AF_INET, &four.sin_addr, host.data(), host.size());
  return std::string(host.data()) + ":" + std::to_string(ntohs(four.sin_port));
}

result<loopback_address> parse_loopback(std::string_view text) {
  const error not_loopback(error_code::invalid_argument,
                           "'" + std::string(text) +
                               "' is no address of loopback, such as 127.0.0.1:8080 or [::1]:8080; "
                               "whoever reaches the gateway can spend the budget, so that it is "
                               "there for this machine alone");
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return not_loopback;
  auto host = std::string(text.substr(0, colon));
  loopback_address parsed;
  if (host.starts_with('[') && host.ends_with(']')) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    host = host.substr(1, host.size() - 2);
    if (::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) != 1 ||
        !IN6_IS_ADDR_LOOPBACK(&six.sin6_addr)) {
      return not_loopback;
    }
    GERMLINE_TRY_ASSIGN(const auto port, parse_port(text.substr(colon + 1)));
    six.sin6_port = htons(port);
    std::memcpy(&parsed.bytes, &six, sizeof six);
    parsed.size = sizeof six;
    return parsed;
  }
  sockaddr_in four{};
  four.sin_family = AF_INET;
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) != 1 ||
      ntohl(four.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) {
    return not_loopback;
  }
  GERMLINE_TRY_ASSIGN(const auto port, parse_port(text.substr(colon + 1)));
  four.sin_port = htons(port);
  std::memcpy(&parsed.bytes, &four, sizeof four);
  parsed.size = sizeof four;
  return parsed;
}

result<loopback_listener> listen_on_loopback(const loopback_address& where) {
  loopback_listener made;
  made.at = where;
  made.socket.reset(::socket(where.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made.socket) return errno_error("making a socket", errno);
  const int yes = 1;  // one that a former gateway left in TIME_WAIT
  ::setsockopt(made.socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* const address = reinterpret_cast<sockaddr*>(&made.at.bytes);
  if (::bind(made.socket.get(), address, made.at.size) != 0 ||
      ::listen(made.socket.get(), backlog) != 0 ||
      ::getsockname(made.socket.get(), address, &made.at.size) != 0) {
    return errno_error("listening at " + where.text(), errno);
  }
  return made;
}

}  // namespace germline::worker
