// caf_error: errors across an actor's border, the one place where germline::error and caf::error
// turn into each other. Pure functions; any thread.
#pragma once

#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/result.hpp>
#include <caf/typed_response_promise.hpp>
#include <string>

#include "common/result.hpp"

namespace germline {

inline caf::error to_caf(const error& failure) {
  return {static_cast<std::uint8_t>(static_cast<int>(failure.code()) + 1), caf::atom("germline"),
          caf::make_message(failure.message())};
}

inline error from_caf(const caf::error& failure) {
  if (failure.category() == caf::atom("germline")) {
    const auto& context = failure.context();
    return {static_cast<error_code>(failure.code() - 1),
            context.match_elements<std::string>() ? context.get_as<std::string>(0) : "unknown"};
  }
  return {error_code::internal, "an actor did not answer (" + std::to_string(failure.code()) + ")"};
}

/// Whether it is the coordinator's own storage that failed: the same may succeed later.
inline bool may_pass(const error& failure) {
  return failure.code() == error_code::unavailable;
}
inline bool may_pass(const caf::error& failure) {
  return may_pass(from_caf(failure));
}

/// Answers a request that returns nothing.
inline void deliver_done(caf::typed_response_promise<void>& promise) {
  static_cast<caf::response_promise&>(promise).deliver(caf::unit);
}

inline caf::result<void> reply(const result<void>& outcome) {
  if (!outcome) return to_caf(outcome.error());
  return caf::unit;
}

template <class T>
caf::result<T> reply(result<T> outcome) {
  if (!outcome) return to_caf(outcome.error());
  return std::move(*outcome);
}

}  // namespace germline
