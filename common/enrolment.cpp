#include "common/enrolment.hpp"

#include <chrono>

#include "common/grpc_status.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/discover.hpp"
#include "common/pki/join_token.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline {
namespace {

constexpr auto call_limit = std::chrono::seconds(20);

template <class Request>
result<v1::Credentials> call(const endpoint& at,
                             grpc::Status (v1::Enrolment::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&,
                                                                         v1::Credentials*),
                             const Request& request) {
  const auto stub = v1::Enrolment::NewStub(at.open({}));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + call_limit);
  v1::Credentials reply;
  if (const auto status = (stub.get()->*method)(&context, request, &reply); !status.ok()) {
    return from_status(status);
  }
  return reply;
}

bool is_due(const pki::certificate_facts& facts, std::int64_t now_ms) {
  const auto whole = facts.not_after_ms - facts.not_before_ms;
  return now_ms - facts.not_before_ms > whole / 3;
}

}  // namespace

result<pki::credentials> enroll(const std::string& address, const std::string& token,
                                pki::role who) {
  GERMLINE_TRY_ASSIGN(const auto said, pki::read_token(token));
  if (said.who != who) {
    return error(error_code::invalid_argument,
                 said.who == pki::role::worker
                     ? "this token is for a worker (`germline worker --join`), and was not used; a "
                       "person's is made by `germline pki token --role person --name NAME`"
                     : "this token is for the person " + said.name +
                           " (`germline login`), and was not used; a worker's is made by "
                           "`germline pki token`");
  }
  const auto target = without_scheme(address);
  GERMLINE_TRY_ASSIGN(const std::string ca, pki::discover_ca(target, said.ca_fingerprint));
  GERMLINE_TRY_ASSIGN(const auto key, pki::private_key::generate());
  v1::EnrollRequest request;
  request.set_token(token);
  GERMLINE_TRY_ASSIGN(*request.mutable_csr_pem(), key.make_request());
  GERMLINE_TRY_ASSIGN(const auto reply, call(anonymous_endpoint_at(target, ca),
                                             &v1::Enrolment::Stub::Enroll, request));
  GERMLINE_TRY(pki::check_is_of(reply.certificate_pem(), key));
  GERMLINE_TRY(pki::read_certificate(reply.certificate_pem()));
  GERMLINE_TRY(pki::fingerprint(reply.ca_pem()));
  pki::credentials made{reply.ca_pem(), reply.certificate_pem(), ""};
  GERMLINE_TRY_ASSIGN(made.key_pem, key.to_pem());
  return made;
}

result<renewal> renew_credentials(const std::string& address, const std::string& folder,
                                  const clock& time) {
  GERMLINE_TRY_ASSIGN(const auto present, pki::read_credentials(folder));
  GERMLINE_TRY_ASSIGN(const auto at, endpoint_at(address, folder));
  v1::RenewRequest request;
  GERMLINE_TRY_ASSIGN(const auto trust, call(at, &v1::Enrolment::Stub::Renew, request));
  if (trust.ca_pem() == present.files.ca_pem && !is_due(present.facts, time.utc_ms())) {
    return renewal::nothing_due;
  }
  GERMLINE_TRY_ASSIGN(const auto key, pki::private_key::from_pem(present.files.key_pem));
  GERMLINE_TRY_ASSIGN(*request.mutable_csr_pem(), key.make_request());
  GERMLINE_TRY_ASSIGN(const auto reply, call(at, &v1::Enrolment::Stub::Renew, request));
  GERMLINE_TRY(pki::check_is_of(reply.certificate_pem(), key));
  GERMLINE_TRY(pki::fingerprint(reply.ca_pem()));
  const pki::credential_paths paths(folder);
  GERMLINE_TRY(pki::write_file(paths.ca, reply.ca_pem(), 0644));
  GERMLINE_TRY(pki::write_file(paths.certificate, reply.certificate_pem(), 0644));
  return renewal::renewed;
}

}  // namespace germline
