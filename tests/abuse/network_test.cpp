// B. Network: nothing but its own loopback, and what the gateway's socket lets in.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "tests/abuse/fixture.hpp"

namespace germline::abuse {
namespace {

constexpr auto open_seccomp = static_cast<std::uint32_t>(weakening::no_seccomp);

/// A listener on the host's loopback; the port is set.
unique_fd host_listener(std::uint16_t& port) {
  unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(socket.get(), 4) == 0);
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return socket;
}

}  // namespace

TEST_CASE("B15 no raw or ICMP sockets") {
  CHECK(verdict("socket-raw") == "EPERM");
  CHECK(verdict("socket-icmp") == "EACCES");
}

TEST_CASE("B15 B16 B17 no network is there") {
  CHECK(verdict("tcp", "1.1.1.1:443") == "ENETUNREACH");
  CHECK(verdict("udp", "8.8.8.8:53") == "ENETUNREACH");
  CHECK(verdict("tcp", "169.254.169.254:80") == "ENETUNREACH");
  CHECK(verdict("tcp", "fd00:ec2::254:80") == "ENETUNREACH");
}

TEST_CASE("B18 the host's loopback is another one; the gateway's socket is reached") {
  std::uint16_t port = 0;
  const auto listener = host_listener(port);
  CHECK(verdict("tcp", "127.0.0.1:" + std::to_string(port)) == "ECONNREFUSED");
  auto policy = small_policy();
  policy.gateway_port = 8080;
  const auto where = prepare(policy);
  const auto gateway = where->take_gateway_listener();
  REQUIRE(bool(gateway));
  CHECK_FALSE(bool(where->take_gateway_listener()));
  CHECK(act(*where, "tcp", "127.0.0.1:8080").out.head == "done\n");
  const unique_fd accepted(::accept4(gateway.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(bool(accepted));
}

TEST_CASE("B19 abstract sockets of the host are not seen") {
  const unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "germline-abuse-" + std::to_string(::getpid());
  std::strcpy(address.sun_path + 1, name.c_str());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(socket.get(), 4) == 0);
  CHECK(verdict("abstract", name) == "ECONNREFUSED");
}

TEST_CASE("B20 B21 other socket families are refused, by seccomp") {
  for (const int family : {AF_VSOCK, AF_NETLINK, AF_PACKET, AF_ALG, AF_BLUETOOTH, AF_KEY, AF_XDP}) {
    CAPTURE(family);
    CHECK(verdict("socket", std::to_string(family)) == "EPERM");
  }
  CHECK(verdict("socket", std::to_string(AF_NETLINK), open_seccomp) == "done");
  CHECK(verdict("socket", std::to_string(AF_VSOCK), open_seccomp) != "EPERM");
}

}  // namespace germline::abuse
