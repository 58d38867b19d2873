// grpc_tls: how addresses are dialled and served over gRPC, and with which credentials. An address
// is "unix:/path", or "HOST:PORT": over TLS, but for loopback, which is dialled without, unless
// "tls:" stands before it. Pure but for the reading of files; any thread.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "common/result.hpp"

namespace germline {

/// Whether the address is dialled over TLS.
bool needs_tls(const std::string& address);
/// The address without "tls:".
std::string without_scheme(const std::string& address);

/// Whom to dial, and as who.
struct endpoint {
  std::string address;  // as people write it
  std::shared_ptr<grpc::ChannelCredentials> credentials;

  /// Adds what TLS needs to `arguments`, and makes a channel. Nothing is dialled yet.
  std::shared_ptr<grpc::Channel> open(grpc::ChannelArguments arguments) const;
};

/// With the credentials of `tls_folder`, where the address needs any, as they are now. Errors say
/// what is missing for it.
result<endpoint> endpoint_at(const std::string& address, const std::string& tls_folder);
/// The same, with the files read again as they change, within seconds.
result<endpoint> watching_endpoint_at(const std::string& address, const std::string& tls_folder);
/// Over TLS, without a certificate of one's own: only the authority is believed.
endpoint anonymous_endpoint_at(const std::string& address, const std::string& ca_pem);

/// What a coordinator serves with: the folder's files, read again as they change. Callers may show
/// a certificate; one that is shown must be of the folder's ca.crt.
result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const std::string& tls_folder);

}  // namespace germline
