#include "common/grpc_tls.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "common/pki/credentials.hpp"

namespace germline {
namespace {

constexpr std::string_view tls_scheme = "tls:";
constexpr unsigned int reread_s = 1;

std::shared_ptr<grpc::experimental::FileWatcherCertificateProvider> watch(
    const std::string& folder) {
  const pki::credential_paths paths(folder);
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      paths.key, paths.certificate, paths.ca, reread_s);
}

/// Empty where the address needs none.
result<std::string> check_folder(const std::string& address, const std::string& tls_folder) {
  if (!needs_tls(address)) return std::string();
  if (!tls_folder.empty()) return tls_folder;
  return error(error_code::failed_precondition,
               address +
                   " is dialled over TLS, and there is no certificate to show: get one with "
                   "`germline login HOST:PORT --token-file FILE`, or name the folder of one by "
                   "--tls-dir or GERMLINE_TLS_DIR");
}

}  // namespace

bool needs_tls(const std::string& address) {
  if (address.starts_with(tls_scheme)) return true;
  return !address.starts_with("unix:") && !address.starts_with("127.0.0.1:") &&
         !address.starts_with("[::1]:") && !address.starts_with("localhost:");
}

std::string without_scheme(const std::string& address) {
  return address.starts_with(tls_scheme) ? address.substr(tls_scheme.size()) : address;
}

std::shared_ptr<grpc::Channel> endpoint::open(grpc::ChannelArguments arguments) const {
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (needs_tls(address)) {
    // A coordinator is known by its role and not by where it is at present.
    arguments.SetSslTargetNameOverride(std::string(pki::coordinator_host));
  }
  return grpc::CreateCustomChannel(without_scheme(address), credentials, arguments);
}

result<endpoint> endpoint_at(const std::string& address, const std::string& tls_folder) {
  GERMLINE_TRY_ASSIGN(const std::string folder, check_folder(address, tls_folder));
  if (folder.empty()) return endpoint{address, grpc::InsecureChannelCredentials()};
  GERMLINE_TRY_ASSIGN(auto read, pki::read_credentials(folder));
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = std::move(read.files.ca_pem);
  options.pem_cert_chain = std::move(read.files.certificate_pem);
  options.pem_private_key = std::move(read.files.key_pem);
  return endpoint{address, grpc::SslCredentials(options)};
}

result<endpoint> watching_endpoint_at(const std::string& address, const std::string& tls_folder) {
  GERMLINE_TRY_ASSIGN(const std::string folder, check_folder(address, tls_folder));
  if (folder.empty()) return endpoint{address, grpc::InsecureChannelCredentials()};
  GERMLINE_TRY(pki::read_credentials(folder));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(watch(folder));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  return endpoint{address, grpc::experimental::TlsCredentials(options)};
}

endpoint anonymous_endpoint_at(const std::string& address, const std::string& ca_pem) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca_pem;
  const bool marked = address.starts_with(tls_scheme);
  return {marked ? address : std::string(tls_scheme) + address, grpc::SslCredentials(options)};
}

result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const std::string& tls_folder) {
  GERMLINE_TRY_ASSIGN(const auto read, pki::read_credentials(tls_folder));
  if (read.facts.whose.who != pki::role::coordinator) {
    return error(error_code::invalid_argument,
                 "the certificate in " + tls_folder + " is a " +
                     std::string(pki::to_string(read.facts.whose.who)) +
                     "'s; a coordinator's has the DNS name " + std::string(pki::coordinator_host));
  }
  grpc::experimental::TlsServerCredentialsOptions options(watch(tls_folder));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace germline
