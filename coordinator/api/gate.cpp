#include "coordinator/api/gate.hpp"

#include <grpc/grpc_security_constants.h>

#include "common/grpc_status.hpp"
#include "common/log.hpp"

namespace germline {
namespace {

constexpr std::string_view people_only = "/germline.v1.Control/";
constexpr std::string_view workers_only = "/germline.v1.Fleet/";
constexpr std::string_view enrolment = "/germline.v1.Enrolment/";
constexpr std::string_view enroll = "/germline.v1.Enrolment/Enroll";

error denied(const std::string& why) {
  return {error_code::permission_denied, why};
}

}  // namespace

caller caller_of(const grpc::AuthContext& context) {
  caller who;
  const auto kind = context.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  who.is_remote = !kind.empty() && kind[0] != "insecure";
  const auto shown = context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (!context.IsPeerAuthenticated() || shown.empty()) return who;
  auto facts = pki::read_certificate({shown[0].data(), shown[0].size()});
  if (facts) who.certificate = std::move(*facts);
  return who;
}

result<void> check_speaks_for(const caller& who, const std::string& worker_id) {
  if (!who.is_remote) return {};
  const bool right = who.certificate && who.certificate->whose.who == pki::role::worker &&
                     who.certificate->whose.name == worker_id;
  if (right) return {};
  return denied("this certificate is not of the worker '" + printable(worker_id.substr(0, 128)) +
                "'");
}

/// An authority of one's own signs all itself. Of another, what is brought along may be signed by
/// one in between, which no file here names: then only a key that was taken out of it tells.
result<void> gate::check_issuer(const pki::certificate_facts& facts) const {
  using standing = pki::trust::standing;
  GERMLINE_TRY_ASSIGN(const auto now, trust_.of(facts.issuer_key));
  if (now == standing::believed) return {};
  if (now == standing::unknown && authority_ == nullptr) return {};
  return denied("the certificate of " + facts.whose.name +
                " was signed with a key that is not believed any more; a new one is needed");
}

result<void> gate::check_standing(const pki::certificate_facts& facts) const {
  GERMLINE_TRY(pki::check_dates(facts, time_.utc_ms()));
  GERMLINE_TRY(check_issuer(facts));
  if (authority_ == nullptr) return {};
  GERMLINE_TRY_ASSIGN(const bool revoked, authority_->is_revoked(facts.serial));
  if (revoked) return denied("the certificate of " + facts.whose.name + " is revoked");
  GERMLINE_TRY_ASSIGN(const bool issued, authority_->has_issued(facts));
  if (issued) return {};
  return denied("this authority has no record of the certificate of " + facts.whose.name);
}

result<void> gate::check(const caller& who, std::string_view path) const {
  if (path == enroll) return {};
  if (!who.certificate) {
    return denied(
        "this needs a certificate of this coordinator's authority: a join token brings one "
        "(`germline worker --join`, `germline login`)");
  }
  GERMLINE_TRY(check_standing(*who.certificate));
  const auto role = who.certificate->whose.who;
  if (path.starts_with(people_only) && role == pki::role::person) return {};
  if (path.starts_with(workers_only) && role == pki::role::worker) return {};
  if (path.starts_with(enrolment) && role != pki::role::coordinator) return {};
  return denied("a " + std::string(pki::to_string(role)) + "'s certificate (" +
                who.certificate->whose.name + ") is not for this");
}

grpc::Status gate::Process(const InputMetadata& metadata, grpc::AuthContext* context,
                           OutputMetadata*, OutputMetadata*) {
  const auto found = metadata.find(":path");
  const std::string_view path =
      found == metadata.end() ? "" : std::string_view(found->second.data(), found->second.size());
  const auto who = caller_of(*context);
  const auto allowed = check(who, path);
  if (allowed) return grpc::Status::OK;
  if (const auto more = refusals_.take(time_.boot_ms())) {
    log_warning("refused {}: {}{}", path.substr(0, 128), allowed.error().message(), *more);
  }
  return to_status(allowed);
}

}  // namespace germline
