// enrolment: the wire of fleet.proto's Enrolment: certificates for who has a join token, and new
// ones for who has one. What is believed of a token or request is the authority's business, and who
// may call the gate's. gRPC calls it from threads of its own.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "common/clock.hpp"
#include "common/pki/authority.hpp"

namespace germline {

/// `authority` may be null, where certificates were brought along: then it says so to all who ask.
/// REQUIRES that both outlive the server.
std::unique_ptr<grpc::Service> make_enrolment_service(pki::authority* authority, const clock& time);

}  // namespace germline
