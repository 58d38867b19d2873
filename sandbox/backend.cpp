#include "sandbox/backend.hpp"

namespace germline {

std::string_view to_string(outcome_kind kind) noexcept {
  switch (kind) {
    case outcome_kind::exited:
      return "exited";
    case outcome_kind::signalled:
      return "signalled";
    case outcome_kind::timed_out:
      return "timed_out";
    case outcome_kind::out_of_memory:
      return "out_of_memory";
    case outcome_kind::violation:
      return "violation";
    case outcome_kind::setup_error:
      return "setup_error";
    case outcome_kind::killed:
      return "killed";
  }
  return "unknown";
}

}  // namespace germline
