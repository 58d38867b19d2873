#include "coordinator/api/enrolment.hpp"

#include "common/grpc_status.hpp"
#include "common/line_limit.hpp"
#include "common/log.hpp"
#include "coordinator/api/gate.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline {
namespace {

constexpr std::size_t max_request_bytes = 16 * 1024;

class enrolment_service final : public v1::Enrolment::Service {
 public:
  enrolment_service(pki::authority* authority, const clock& time)
      : authority_(authority), time_(time) {}

  grpc::Status Enroll(grpc::ServerContext* context, const v1::EnrollRequest* request,
                      v1::Credentials* reply) override {
    return to_status([&]() -> result<void> {
      GERMLINE_TRY(check(*context, request->csr_pem()));
      auto made = authority_->redeem(request->token(), request->csr_pem());
      if (!made) {
        if (const auto more = refusals_.take(time_.boot_ms())) {
          log_warning("{} may not enrol: {}{}", context->peer(), made.error().message(), *more);
        }
        return made.error();
      }
      log_info("{} {} has enrolled from {}", pki::to_string(made->whose.who), made->whose.name,
               context->peer());
      reply->set_certificate_pem(made->certificate_pem);
      reply->set_ca_pem(made->ca_pem);
      return {};
    }());
  }

  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::Credentials* reply) override {
    return to_status([&]() -> result<void> {
      GERMLINE_TRY(check(*context, request->csr_pem()));
      const auto who = caller_of(*context);
      if (request->csr_pem().empty()) {
        GERMLINE_TRY_ASSIGN(*reply->mutable_ca_pem(), authority_->ca_pem());
        return {};
      }
      GERMLINE_ASSERT(who.certificate.has_value());  // the gate lets nobody else in
      const auto& whose = who.certificate->whose;
      GERMLINE_TRY_ASSIGN(const auto made, authority_->renew(whose, request->csr_pem()));
      log_info("the certificate of {} {} is renewed", pki::to_string(whose.who), whose.name);
      reply->set_certificate_pem(made.certificate_pem);
      reply->set_ca_pem(made.ca_pem);
      return {};
    }());
  }

 private:
  result<void> check(const grpc::ServerContext& context, const std::string& csr) const {
    if (!caller_of(context).is_remote) {
      return error(error_code::failed_precondition,
                   "certificates are asked for over TLS: dial the address of --tls-listen");
    }
    if (authority_ == nullptr) {
      return error(error_code::failed_precondition,
                   "this coordinator's certificates were brought along (--tls-dir), and it makes "
                   "none: bring one along here too");
    }
    if (csr.size() <= max_request_bytes) return {};
    return error(error_code::invalid_argument, "the certificate request is larger than 16 KiB");
  }

  pki::authority* const authority_;
  const clock& time_;
  line_limit refusals_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_enrolment_service(pki::authority* authority,
                                                      const clock& time) {
  return std::make_unique<enrolment_service>(authority, time);
}

}  // namespace germline
