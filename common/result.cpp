#include "common/result.hpp"

#include <cerrno>
#include <cstring>

namespace germline {

std::string_view to_string(error_code code) noexcept {
  switch (code) {
    case error_code::invalid_argument:
      return "invalid_argument";
    case error_code::not_found:
      return "not_found";
    case error_code::already_exists:
      return "already_exists";
    case error_code::failed_precondition:
      return "failed_precondition";
    case error_code::permission_denied:
      return "permission_denied";
    case error_code::resource_exhausted:
      return "resource_exhausted";
    case error_code::deadline_exceeded:
      return "deadline_exceeded";
    case error_code::unavailable:
      return "unavailable";
    case error_code::data_loss:
      return "data_loss";
    case error_code::cancelled:
      return "cancelled";
    case error_code::internal:
      return "internal";
  }
  return "internal";
}

error errno_error(std::string_view what, int errno_value) {
  auto code = error_code::internal;
  switch (errno_value) {
    case ENOENT:
      code = error_code::not_found;
      break;
    case EEXIST:
      code = error_code::already_exists;
      break;
    case EACCES:
    case EPERM:
      code = error_code::permission_denied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      code = error_code::resource_exhausted;
      break;
    case EINVAL:
      code = error_code::invalid_argument;
      break;
    case ETIMEDOUT:
      code = error_code::deadline_exceeded;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      code = error_code::unavailable;
      break;
    default:
      break;
  }
  char buffer[128];
  // GNU strerror_r: the text may or may not be in the buffer.
  return {code, std::string(what) + ": " + ::strerror_r(errno_value, buffer, sizeof buffer)};
}

}  // namespace germline
