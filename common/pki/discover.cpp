#include "common/pki/discover.hpp"

#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>

#include "common/pki/certificate.hpp"
#include "common/pki/openssl.hpp"
#include "common/unique_fd.hpp"

namespace germline::pki {
namespace {

constexpr int step_limit_ms = 10'000;
constexpr int telling_limit_ms = 2'000;

using context_ptr = std::unique_ptr<SSL_CTX, freer<&SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL, freer<&SSL_free>>;

/// OpenSSL writes so that a peer that has gone is a signal; to this thread it is none.
class without_sigpipe {
 public:
  without_sigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~without_sigpipe() {
    const timespec at_once{};
    if (::sigismember(&before_, SIGPIPE) == 0) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  without_sigpipe(const without_sigpipe&) = delete;
  without_sigpipe& operator=(const without_sigpipe&) = delete;

 private:
  sigset_t pipe_{}, before_{};
};

error cannot_reach(const std::string& address, const std::string& why) {
  return {error_code::unavailable, "cannot reach " + address + ": " + why};
}

/// One address; the error number else.
result<unique_fd> dial(const addrinfo& at, const std::string& address, int limit_ms) {
  unique_fd connection(
      ::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, at.ai_protocol));
  if (!connection) return cannot_reach(address, std::strerror(errno));
  if (::connect(connection.get(), at.ai_addr, at.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return cannot_reach(address, std::strerror(errno));
  }
  pollfd waiting{connection.get(), POLLOUT, 0};
  if (::poll(&waiting, 1, limit_ms) <= 0) return cannot_reach(address, "no answer");
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return cannot_reach(address, std::strerror(failure));
  return connection;
}

result<unique_fd> dial(const std::string& address, int limit_ms) {
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
    auto connection = dial(*each, address, limit_ms);
    if (connection) return connection;
    last = connection.error();
  }
  return last;
}

result<void> shake_hands(SSL* session, int connection, const std::string& address, int limit_ms) {
  const without_sigpipe quiet;
  for (;;) {
    const int done = SSL_connect(session);
    if (done == 1) return {};
    const int why = SSL_get_error(session, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      return openssl_error(error_code::unavailable, "nobody serves TLS at " + address);
    }
    pollfd waiting{connection, static_cast<short>(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT),
                   0};
    if (::poll(&waiting, 1, limit_ms) <= 0) return cannot_reach(address, "no TLS answer");
  }
}

/// A handshake that takes any certificate: what is shown is looked at afterwards.
struct handshake {
  unique_fd connection;
  context_ptr context;
  session_ptr session;
};

result<handshake> meet(const std::string& address, int limit_ms, const std::string& ca_pem) {
  handshake met;
  GERMLINE_TRY_ASSIGN(met.connection, dial(address, limit_ms));
  met.context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(met.context.get(), SSL_VERIFY_NONE, nullptr);
  for (const auto& pem : split_bundle(ca_pem)) {
    const auto from = reading(pem);
    const certificate_ptr one(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
    if (one) X509_STORE_add_cert(SSL_CTX_get_cert_store(met.context.get()), one.get());
  }
  constexpr std::array<unsigned char, 3> http2 = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(met.context.get(), http2.data(), http2.size());
  met.session.reset(SSL_new(met.context.get()));
  const std::string name(coordinator_host);
  SSL_set_fd(met.session.get(), met.connection.get());
  SSL_set_tlsext_host_name(met.session.get(), name.c_str());
  SSL_set1_host(met.session.get(), name.c_str());
  GERMLINE_TRY(shake_hands(met.session.get(), met.connection.get(), address, limit_ms));
  return met;
}

/// What is wrong with a certificate, by OpenSSL's number for it.
std::string fault_of(long verified) {
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "a certificate that is over";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "a certificate that does not hold yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
      return "a certificate that is not a coordinator's";
    default:
      return "the certificate of another authority";
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
  // Nothing is believed here but the fingerprint.
  GERMLINE_TRY_ASSIGN(const auto met, meet(address, step_limit_ms, ""));
  const auto* const shown = SSL_get_peer_cert_chain(met.session.get());
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

bool speaks_tls(const std::string& address) {
  return static_cast<bool>(meet(address, telling_limit_ms, ""));
}

result<void> check_coordinator(const std::string& address, const std::string& ca_pem) {
  GERMLINE_TRY_ASSIGN(const auto met, meet(address, telling_limit_ms, ca_pem));
  const long verified = SSL_get_verify_result(met.session.get());
  if (verified == X509_V_OK) return {};
  return error(error_code::permission_denied,
               "who answers at " + address + " shows " + fault_of(verified));
}

}  // namespace germline::pki
