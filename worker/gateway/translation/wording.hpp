// wording: the small things that Messages and Chat Completions say differently, each in both ways:
// why an answer ended, what it used, how ids and arguments of tool calls are written.
// Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "worker/gateway/budget.hpp"

namespace germline::worker::translation {

/// Messages' stop_reason for a finish_reason.
std::string_view stop_reason_for(std::string_view finish_reason, bool calls_tools);
/// Chat Completions' finish_reason for a stop_reason.
std::string_view finish_reason_for(std::string_view stop_reason);

/// Cached tokens stand beside input_tokens there, and within prompt_tokens here.
nlohmann::json messages_usage(const token_counts& used);
nlohmann::json chat_usage(const token_counts& used);

/// An id of a tool call that Messages takes: of letters, digits, '_' and '-'. The same for the
/// same.
std::string tool_id(std::string_view id);
/// The arguments as an object. Text that is none (a model wrote it) stands in one, as "arguments".
nlohmann::json arguments_object(const std::string& text);

/// The member where it is a string, else empty.
std::string text_of(const nlohmann::json& object, const char* key);

}  // namespace germline::worker::translation
