// openai_dialects: the same stories in OpenAI's dialects. A request of Chat Completions or
// Responses is read as the Messages request that would say the same, as far as predicates look; an
// answer is made as a Messages answer first, and written from that. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace germline::scripted {

nlohmann::json messages_request_of_chat(const nlohmann::json& request);
nlohmann::json messages_request_of_responses(const nlohmann::json& request);

/// `message` is what message_of made.
nlohmann::json chat_answer_of(const nlohmann::json& message);
nlohmann::json responses_answer_of(const nlohmann::json& message);

/// Whole server-sent events. `with_usage`: the chunk with the usage alone stands before the end.
std::vector<std::string> chat_events_of(const nlohmann::json& message, bool with_usage);
std::vector<std::string> responses_events_of(const nlohmann::json& message);

}  // namespace germline::scripted
