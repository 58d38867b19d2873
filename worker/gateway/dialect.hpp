// dialect: what the gateway must know of one API that agents and upstreams speak: its routes, which
// bodies may go out and what they cost at most, how an answer tells its usage, and how errors look.
// Sessions know dialects by this interface only; a new one is a file pair and a line in
// dialect.cpp. A dialect does not translate: where agent and upstream speak different ones, a
// translator (translation/) stands between two of them.
// Stateless singletons; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "worker/gateway/answer_reader.hpp"
#include "worker/gateway/config.hpp"

namespace germline::worker {

/// What a route is for: `create` makes tokens and costs, `count` is free of charge.
enum class route_kind { create, count };

/// What a request may ask for, of the configuration and the model.
struct request_limits {
  std::int64_t max_output_tokens = 0;      // the largest cap that may be asked for
  std::int64_t default_output_tokens = 0;  // put in where the dialect lets the cap be left out
  std::string_view chat_cap = "max_completion_tokens";  // the cap's name in Chat Completions
  bool chat_store_false = false;  // "store": false is put into Chat Completions without it
  /// Top-level fields that pass beside those that the client's dialect knows.
  std::span<const std::string> more_fields = {};
};

/// What the gateway must know of a request that may go out.
struct request_facts {
  std::string model;
  std::int64_t max_output_tokens = 0;
  /// The client left the cap out, and the gateway put it in.
  bool is_cap_put_in = false;
  bool stream = false;
  /// No tokenizer makes more tokens of the request: one a byte, and what pictures and the
  /// provider's own tool prompt add.
  std::int64_t input_bound_tokens = 0;
  /// The body to send instead; none: it goes as it came, byte for byte.
  std::optional<std::string> rewritten;
  /// The stream's usage was asked for by the gateway, not by the client.
  bool hides_usage = false;
};

struct request_refusal {
  std::string message;  // names the field or the type
};

using judgement = std::variant<request_facts, request_refusal>;
/// The value of a request's header; empty when it is not there.
using header_lookup = std::function<std::string_view(std::string_view name)>;

/// What stream_error() says of a stream that did not end.
inline constexpr std::string_view stream_cut_off = "the upstream's stream was cut off";

class dialect {
 public:
  virtual ~dialect() = default;
  /// As the configuration has it: "chat_completions".
  virtual std::string_view name() const = 0;
  /// What its paths begin with: errors on them have its form, whether they are routes or not.
  virtual std::string_view prefix() const = 0;
  /// Of a POST's target, with its query; none: it is not of this dialect.
  virtual std::optional<route_kind> route(std::string_view target) const = 0;
  /// Top-level fields that may be in a request.
  virtual std::span<const std::string_view> fields() const = 0;
  /// Those that no configuration lets pass: they spend, reach out or keep what nothing here bounds.
  virtual std::span<const std::string_view> barred_fields() const = 0;
  /// Judges a body. The model is for the caller to judge.
  virtual judgement judge(const std::string& body, route_kind kind,
                          const request_limits& limits) const = 0;
  /// Headers for the upstream ("name: value"), without authentication.
  virtual std::vector<std::string> headers(const header_lookup& sent,
                                           const gateway_config& config) const = 0;
  virtual std::unique_ptr<answer_reader> reader(bool event_stream,
                                                const request_facts& facts) const = 0;
  /// The body of an answer with that HTTP status.
  virtual std::string error(unsigned status, std::string_view message) const = 0;
  /// What ends a stream that was cut off: an event that makes clients fail.
  virtual std::string stream_error(std::string_view message) const = 0;
  /// The answer to "which models are there?", or to "what of this model?" (`only`).
  virtual std::string models(std::string_view model, bool only) const = 0;
};

const dialect& messages_dialect();
const dialect& chat_dialect();
const dialect& responses_dialect();

std::span<const dialect* const> all_dialects();
/// Null when there is none of that name.
const dialect* find_dialect(std::string_view name);

}  // namespace germline::worker
