#include "common/grpc_status.hpp"

#include <array>

#include "common/assert.hpp"

namespace germline {
namespace {

struct pair {
  error_code ours;
  grpc::StatusCode theirs;
};

constexpr std::array pairs = {
    pair{error_code::invalid_argument, grpc::StatusCode::INVALID_ARGUMENT},
    pair{error_code::not_found, grpc::StatusCode::NOT_FOUND},
    pair{error_code::already_exists, grpc::StatusCode::ALREADY_EXISTS},
    pair{error_code::failed_precondition, grpc::StatusCode::FAILED_PRECONDITION},
    pair{error_code::permission_denied, grpc::StatusCode::PERMISSION_DENIED},
    pair{error_code::resource_exhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
    pair{error_code::deadline_exceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
    pair{error_code::unavailable, grpc::StatusCode::UNAVAILABLE},
    pair{error_code::data_loss, grpc::StatusCode::DATA_LOSS},
    pair{error_code::cancelled, grpc::StatusCode::CANCELLED},
};

}  // namespace

grpc::Status to_status(const error& failure) {
  for (const auto& [ours, theirs] : pairs) {
    if (ours == failure.code()) return {theirs, failure.message()};
  }
  return {grpc::StatusCode::INTERNAL, failure.message()};
}

error from_status(const grpc::Status& status) {
  GERMLINE_ASSERT(!status.ok());
  for (const auto& [ours, theirs] : pairs) {
    if (theirs == status.error_code()) return {ours, status.error_message()};
  }
  return {error_code::internal, status.error_message()};
}

}  // namespace germline
