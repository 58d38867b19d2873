// gate: who may call what. Over TLS each call is looked at before any handler sees it: people call
// Control, workers call Fleet, and who shows no certificate may enrol and nothing else. A call on
// the Unix socket or on plain loopback has no certificate and may all, since the socket's mode is
// its guard. The gate authenticates nobody itself: TLS did. Any thread.
#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/pki/authority.hpp"
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
  /// `authority` may be null: then nothing is known to be revoked. REQUIRES that both outlive it.
  gate(pki::authority* authority, const clock& time) : authority_(authority), time_(time) {}

  /// Whether the certificate still holds: not over, not revoked.
  result<void> check_standing(const pki::certificate_facts& facts) const;

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  result<void> check(const caller& who, std::string_view path) const;

  pki::authority* const authority_;
  const clock& time_;
  std::atomic<std::int64_t> told_ms_{0};  // when a refusal was last logged
};

}  // namespace germline
