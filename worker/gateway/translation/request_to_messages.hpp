// request_to_messages: a request of OpenAI Chat Completions as one of Anthropic Messages.
// Pure; any thread.
#pragma once

#include "worker/gateway/translation/translator.hpp"

namespace germline::worker::translation {

/// REQUIRES a body that the Chat Completions dialect lets out.
translated request_to_messages(const std::string& body, const request_limits& limits);

}  // namespace germline::worker::translation
