#include "common/pki/discover.hpp"

#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "common/pki/certificate.hpp"
#include "common/pki/openssl.hpp"
#include "common/unique_fd.hpp"

namespace germline::pki {
namespace {

constexpr int step_limit_ms = 10'000;

using context_ptr = std::unique_ptr<SSL_CTX, freer<&SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL, freer<&SSL_free>>;

error cannot_reach(const std::string& address, const std::string& why) {
  return {error_code::unavailable, "cannot reach " + address + ": " + why};
}

/// One address; the error number else.
result<unique_fd> dial(const addrinfo& at, const std::string& address) {
  unique_fd connection(
      ::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, at.ai_protocol));
  if (!connection) return cannot_reach(address, std::strerror(errno));
  if (::connect(connection.get(), at.ai_addr, at.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return cannot_reach(address, std::strerror(errno));
  }
  pollfd waiting{connection.get(), POLLOUT, 0};
  if (::poll(&waiting, 1, step_limit_ms) <= 0) return cannot_reach(address, "no answer");
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return cannot_reach(address, std::strerror(failure));
  return connection;
}

result<unique_fd> dial(const std::string& address) {
  GERMLINE_TRY_ASSIGN(const auto parts, split_address(address));
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &wanted, &found);
      failed != 0) {
    return cannot_reach(address, ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, freer<&::freeaddrinfo>> owned(found);
  auto last = cannot_reach(address, "no such host");
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    auto connection = dial(*each, address);
    if (connection) return connection;
    last = connection.error();
  }
  return last;
}

result<void> shake_hands(SSL* session, int connection, const std::string& address) {
  for (;;) {
    const int done = SSL_connect(session);
    if (done == 1) return {};
    const int why = SSL_get_error(session, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      return openssl_error(error_code::unavailable, "nobody serves TLS at " + address);
    }
    pollfd waiting{connection, static_cast<short>(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT),
                   0};
    if (::poll(&waiting, 1, step_limit_ms) <= 0) return cannot_reach(address, "no TLS answer");
  }
}

}  // namespace

result<host_and_port> split_address(const std::string& address) {
  const auto wrong = error(error_code::invalid_argument,
                           "'" + address + "' is no address; write HOST:PORT, or [IPv6]:PORT");
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong;
  host_and_port parts{address.substr(0, colon), address.substr(colon + 1)};
  if (parts.host.starts_with('[') != parts.host.ends_with(']')) return wrong;
  if (parts.host.starts_with('[')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.find(':') != std::string::npos) {
    return wrong;
  }
  std::uint16_t number = 0;
  const auto* const end = parts.port.data() + parts.port.size();
  const auto [at, failed] = std::from_chars(parts.port.data(), end, number);
  if (failed != std::errc() || at != end || parts.host.empty()) return wrong;
  return parts;
}

result<std::string> discover_ca(const std::string& address, const std::string& wanted) {
  GERMLINE_TRY_ASSIGN(const auto connection, dial(address));
  const context_ptr context(SSL_CTX_new(TLS_client_method()));
  // Nothing is believed here but the fingerprint, below.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  constexpr std::array<unsigned char, 3> http2 = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), http2.data(), http2.size());
  const session_ptr session(SSL_new(context.get()));
  SSL_set_fd(session.get(), connection.get());
  SSL_set_tlsext_host_name(session.get(), std::string(coordinator_host).c_str());
  GERMLINE_TRY(shake_hands(session.get(), connection.get(), address));
  const auto* const shown = SSL_get_peer_cert_chain(session.get());
  const int count = shown == nullptr ? 0 : sk_X509_num(shown);
  for (int i = 0; i < count; ++i) {
    const auto into = writing();
    if (PEM_write_bio_X509(into.get(), sk_X509_value(shown, i)) != 1) continue;
    auto pem = written(into.get());
    GERMLINE_TRY_ASSIGN(const std::string found, fingerprint(pem));
    if (found == wanted) return pem;
  }
  return error(error_code::permission_denied,
               "who answers at " + address +
                   " is not the coordinator that the token is for: it does not show that "
                   "authority's certificate");
}

}  // namespace germline::pki
