// request_to_chat: a request of Anthropic Messages as one of OpenAI Chat Completions.
// Pure; any thread.
#pragma once

#include "worker/gateway/translation/translator.hpp"

namespace germline::worker::translation {

/// REQUIRES a body that the Messages dialect lets out.
translated request_to_chat(const std::string& body, const request_limits& limits);

}  // namespace germline::worker::translation
