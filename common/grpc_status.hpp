// grpc_status: errors at the wire, the one place where germline::error and grpc::Status turn into
// each other. Pure functions; any thread. Kept apart from common, which does not know gRPC.
#pragma once

#include <grpcpp/support/status.h>

#include "common/result.hpp"

namespace germline {

grpc::Status to_status(const error& failure);
/// REQUIRES !status.ok().
error from_status(const grpc::Status& status);

/// The status of an outcome without a value.
inline grpc::Status to_status(const result<void>& outcome) {
  return outcome ? grpc::Status::OK : to_status(outcome.error());
}

}  // namespace germline
