#include "worker/gateway/translation/wording.hpp"

#include "worker/gateway/strict_body.hpp"

namespace germline::worker::translation {

using nlohmann::json;

std::string_view stop_reason_for(std::string_view finish_reason, bool calls_tools) {
  if (finish_reason == "length") return "max_tokens";
  if (finish_reason == "content_filter") return "refusal";
  return calls_tools ? "tool_use" : "end_turn";  // some servers say "stop" of tool calls too
}

std::string_view finish_reason_for(std::string_view stop_reason) {
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") {
    return "length";
  }
  if (stop_reason == "tool_use") return "tool_calls";
  return stop_reason == "refusal" ? "content_filter" : "stop";
}

json messages_usage(const token_counts& used) {
  return {{"input_tokens", used.input},
          {"cache_creation_input_tokens", used.cache_write},
          {"cache_read_input_tokens", used.cache_read},
          {"output_tokens", used.output}};
}

json chat_usage(const token_counts& used) {
  const auto prompt = used.input + used.cache_write + used.cache_read;
  json details = {{"cached_tokens", used.cache_read}};
  if (used.cache_write > 0) details["cache_write_tokens"] = used.cache_write;
  return {{"prompt_tokens", prompt},
          {"completion_tokens", used.output},
          {"total_tokens", prompt + used.output},
          {"prompt_tokens_details", std::move(details)}};
}

std::string tool_id(std::string_view id) {
  std::string clean(id);
  for (char& c : clean) {
    const bool known = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!known) c = '_';
  }
  return clean;
}

json arguments_object(const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == text.npos) return json::object();
  try {
    return strict::parse(text);
  } catch (const strict::refused&) {
    return {{"arguments", text}};
  }
}

std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace germline::worker::translation
