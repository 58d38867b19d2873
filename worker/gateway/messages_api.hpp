// messages_api: the Anthropic Messages dialect at the gateway's front: which requests may go out,
// what they may cost at most, and how errors are written. What is not on its lists is refused: a
// request must not reach a network, a file store or a price tier through the provider.
// Pure; any thread. The body itself is never rewritten.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace germline::worker {

/// What the gateway must know of a request that may go out.
struct messages_request {
  std::string model;
  std::int64_t max_tokens = 0;
  bool stream = false;
  /// No tokenizer makes more tokens of the request: one a byte, and what pictures and the
  /// provider's own tool prompt add.
  std::int64_t input_bound_tokens = 0;
};

struct messages_refusal {
  std::string message;  // names the field or the type
};

enum class messages_route { create, count_tokens };

/// Judges a body: its fields, tool types, content blocks and cap. max_tokens is not looked for with
/// count_tokens. The model is for the caller to judge.
std::variant<messages_request, messages_refusal> check_messages_request(
    std::string_view body, messages_route route, std::int64_t largest_max_tokens);

/// {"type":"error","error":{"type":…,"message":…}}
std::string messages_error(std::string_view type, std::string_view message);

/// The error type that the dialect has for an HTTP status ("overloaded_error" for 529).
std::string_view messages_error_type(unsigned status);

}  // namespace germline::worker
