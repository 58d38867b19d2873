// result<T>: a value or an error. The way that every module of Germline reports what the world may
// get wrong; no exception crosses a module. An error names a code for programs, a message for
// people, and the contexts that it passed through, innermost first.
// Plain value types: no thread or actor affinity.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/assert.hpp"

namespace germline {

/// What kind of thing went wrong. Maps to exit codes in the CLI and to grpc::StatusCode at the
/// wire.
enum class error_code {
  invalid_argument,     // the caller's input is wrong; the message says what would be right
  not_found,            // no such thing
  already_exists,       // it is there already
  failed_precondition,  // refused in the present state (fence, term, paused, killed)
  permission_denied,    // not allowed
  resource_exhausted,   // a bound was hit: bytes, time, money, count
  deadline_exceeded,    // it took too long
  unavailable,          // unreachable now; trying again may help
  data_loss,            // stored or received bytes are damaged
  cancelled,            // ended on request
  internal,             // a fault of Germline's own, or of a system call that should not fail
};

/// The code's name, as written in logs and JSON ("invalid_argument").
std::string_view to_string(error_code code) noexcept;

class [[nodiscard]] error {
 public:
  error(error_code code, std::string message) : code_(code), message_(std::move(message)) {}

  error_code code() const noexcept { return code_; }
  /// The message with all contexts put before it: "opening the store: disk is full".
  const std::string& message() const noexcept { return message_; }

  /// The same error, said to have happened while doing `what`.
  error within(std::string_view what) const { return {code_, std::string(what) + ": " + message_}; }

 private:
  error_code code_;
  std::string message_;
};

/// An error from a system call: `what` and the text of `errno_value`, with a fitting code.
error errno_error(std::string_view what, int errno_value);

template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;

  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  result(germline::error failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  /// REQUIRES has_value().
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<result*>(this)->checked(); }

  /// REQUIRES !has_value().
  const germline::error& error() const {
    GERMLINE_ASSERT(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

 private:
  T& checked() {
    GERMLINE_ASSERT(state_.index() == 0);
    return *std::get_if<0>(&state_);
  }

  std::variant<T, germline::error> state_;
};

template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(germline::error failure) : failure_(std::move(failure)) {}  // NOLINT: implicit

  explicit operator bool() const noexcept { return !failure_; }
  bool has_value() const noexcept { return !failure_; }

  /// REQUIRES !has_value().
  const germline::error& error() const {
    GERMLINE_ASSERT(failure_.has_value());
    return *failure_;
  }

 private:
  std::optional<germline::error> failure_;
};

}  // namespace germline

/// Returns the error of `expr` from the enclosing function when it has one.
#define GERMLINE_TRY(expr)                         \
  do {                                             \
    if (auto try_result_ = (expr); !try_result_) { \
      return try_result_.error();                  \
    }                                              \
  } while (false)

#define GERMLINE_TRY_CONCAT_INNER(a, b) a##b
#define GERMLINE_TRY_CONCAT(a, b) GERMLINE_TRY_CONCAT_INNER(a, b)

/// `GERMLINE_TRY_ASSIGN(auto x, expr)`: x is the value of `expr`, or its error is returned.
#define GERMLINE_TRY_ASSIGN(target, expr)                      \
  auto GERMLINE_TRY_CONCAT(try_assign_, __LINE__) = (expr);    \
  if (!GERMLINE_TRY_CONCAT(try_assign_, __LINE__)) {           \
    return GERMLINE_TRY_CONCAT(try_assign_, __LINE__).error(); \
  }                                                            \
  target = std::move(*GERMLINE_TRY_CONCAT(try_assign_, __LINE__))
