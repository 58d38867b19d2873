// translator: lets a client of one dialect use an upstream that speaks only another: how a request,
// a whole answer and a stream become those of the other dialect. What it makes of a request is
// judged again by the upstream's dialect (session), so it can put nothing past an allow-list. It
// asks for no more than the client did: members that it does not know are left behind, and what
// would change the answer's meaning is refused (docs/gateway.md has the table).
// Stateless singletons; any thread. No I/O, no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/gateway/budget.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/translation/stream_translator.hpp"

namespace germline::worker::translation {

struct translated_request {
  std::string body;             // for the upstream
  bool wants_thinking = false;  // the client asked to see it
};

/// Or why it cannot be said in the upstream's dialect.
using translated = std::variant<translated_request, request_refusal>;

class translator {
 public:
  virtual ~translator() = default;
  virtual const dialect& client() const = 0;
  virtual const dialect& upstream() const = 0;
  /// Where the upstream takes requests that make tokens.
  virtual std::string_view path() const = 0;
  /// REQUIRES a body that the client's dialect lets out. `limits` are the upstream's.
  virtual translated request(const std::string& body, const request_limits& limits) const = 0;
  /// A whole answer that is a success; `used` is what it tells. None: it cannot be read.
  virtual std::optional<std::string> answer(const std::string& body, const answer_traits& traits,
                                            const token_counts& used) const = 0;
  virtual std::unique_ptr<stream_translator> stream(const answer_traits& traits) const = 0;
};

/// Null where the client's dialect is translated into no other.
const translator* translator_for(const dialect& client);

/// What an upstream says of its failure, for people: in any of the forms that servers use.
std::string error_message(const std::string& body);

/// A guess, rather too high, for clients that ask an upstream which cannot count: a token for three
/// bytes, 1,600 for a picture.
/// REQUIRES a body that the Messages dialect lets out.
std::int64_t estimated_tokens(const std::string& body);

}  // namespace germline::worker::translation
