// gate: who may call what. Over TLS each call is looked at before any handler sees it: people call
// Control, workers call Fleet, and who shows no certificate may enrol and nothing else. A call on
// the Unix socket or on plain loopback has no certificate and may all, since the socket's mode is
// its guard. The gate authenticates nobody itself: TLS did. Any thread.
#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/line_limit.hpp"
#include "common/pki/authority.hpp"
#include "common/pki/trust.hpp"
#include "common/result.hpp"

namespace germline {

/// Who calls.
struct caller {
  bool is_remote = false;  // over TLS
  std::optional<pki::certificate_facts> certificate;
};
caller caller_of(const grpc::AuthContext& context);
inline caller caller_of(const grpc::ServerContextBase& context) {
  return caller_of(*context.auth_context());
}

/// A remote worker speaks for itself alone. permission_denied: the name is not its own.
result<void> check_speaks_for(const caller& who, const std::string& worker_id);

class gate final : public grpc::AuthMetadataProcessor {
 public:
  /// `authority` may be null: then nothing is known to be revoked. `trust_file` is the ca.crt that
  /// callers are believed by. REQUIRES that authority and clock outlive it.
  gate(pki::authority* authority, const std::string& trust_file, const clock& time)
      : authority_(authority), trust_(trust_file), time_(time) {}

  /// Whether the certificate still holds: not over, of a key that is still believed, not revoked,
  /// and known to the authority. TLS looked when the connection was made, which may be long ago.
  result<void> check_standing(const pki::certificate_facts& facts) const;

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  result<void> check(const caller& who, std::string_view path) const;

  result<void> check_issuer(const pki::certificate_facts& facts) const;

  pki::authority* const authority_;
  mutable pki::trust trust_;
  const clock& time_;
  line_limit refusals_;
};

}  // namespace germline
