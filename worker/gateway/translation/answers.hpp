// answers: a whole answer of one dialect as one of the other.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "worker/gateway/budget.hpp"
#include "worker/gateway/translation/stream_translator.hpp"

namespace germline::worker::translation {

/// None: it cannot be read. `used` is what the answer tells.
std::optional<std::string> answer_to_messages(const std::string& body, const answer_traits& traits,
                                              const token_counts& used);
std::optional<std::string> answer_to_chat(const std::string& body, const answer_traits& traits,
                                          const token_counts& used);

}  // namespace germline::worker::translation
