// exit_code: what the process says to its caller. docs: README.md.
// Plain values; any thread.
#pragma once

#include "common/result.hpp"

namespace germline::cli {

enum class exit_code : int {
  done = 0,
  failed = 1,
  usage = 2,
  not_found = 3,
  unreachable = 4,
  refused = 5,
  unproved = 6,
};

inline exit_code exit_code_of(error_code code) {
  switch (code) {
    case error_code::invalid_argument:
      return exit_code::usage;
    case error_code::not_found:
      return exit_code::not_found;
    case error_code::unavailable:
    case error_code::deadline_exceeded:
      return exit_code::unreachable;
    case error_code::already_exists:
    case error_code::failed_precondition:
    case error_code::permission_denied:
    case error_code::resource_exhausted:
      return exit_code::refused;
    case error_code::data_loss:
    case error_code::cancelled:
    case error_code::internal:
      return exit_code::failed;
  }
  return exit_code::failed;
}

}  // namespace germline::cli
