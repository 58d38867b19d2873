#include "worker/gateway/translation/answers.hpp"

#include <nlohmann/json.hpp>

#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/strict_body.hpp"
#include "worker/gateway/translation/wording.hpp"

namespace germline::worker::translation {
namespace {

using nlohmann::json;
using strict::given;

std::string or_else(std::string text, const std::string& other) {
  return text.empty() ? other : text;
}

/// A string, or the text of a list of parts.
std::string content_text(const json& message) {
  const json* content = given(message, "content");
  if (!content) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string all;
  for (const auto& part : *content) all += text_of(part, "text");
  return all;
}

json content_of(const json& message, const answer_traits& traits, const std::string& id) {
  json content = json::array();
  const auto thought =
      or_else(text_of(message, "reasoning_content"), text_of(message, "reasoning"));
  if (traits.shows_thinking && !thought.empty()) {
    content.push_back({{"type", "thinking"}, {"thinking", thought}, {"signature", ""}});
  }
  for (const auto& text : {content_text(message), text_of(message, "refusal")}) {
    if (!text.empty()) content.push_back({{"type", "text"}, {"text", text}});
  }
  const json* calls = given(message, "tool_calls");
  for (std::size_t i = 0; calls && i < calls->size(); ++i) {
    const json& call = calls->at(i);
    const json& function = call.at("function");
    content.push_back({{"type", "tool_use"},
                       {"id", tool_id(or_else(text_of(call, "id"), id + "_" + std::to_string(i)))},
                       {"name", function.at("name").get<std::string>()},
                       {"input", arguments_object(text_of(function, "arguments"))}});
  }
  return content;
}

std::string messages_answer(const std::string& body, const answer_traits& traits,
                            const token_counts& used) {
  const json answer = strict::parse(body);
  const json& choice = answer.at("choices").at(0);
  const json& message = choice.at("message");
  const auto id = or_else(text_of(answer, "id"), traits.id);
  const json* calls = given(message, "tool_calls");
  const auto finish = text_of(choice, "finish_reason");
  return openai::written({{"id", id},
                          {"type", "message"},
                          {"role", "assistant"},
                          {"model", or_else(text_of(answer, "model"), traits.model)},
                          {"content", content_of(message, traits, id)},
                          {"stop_reason", stop_reason_for(finish, calls && !calls->empty())},
                          {"stop_sequence", nullptr},
                          {"usage", messages_usage(used)}});
}

std::string chat_answer(const std::string& body, const answer_traits& traits,
                        const token_counts& used) {
  const json answer = strict::parse(body);
  std::string text;
  std::string thought;
  json calls = json::array();
  for (const auto& block : answer.at("content")) {
    const auto type = text_of(block, "type");
    if (type == "text") text += text_of(block, "text");
    if (type == "thinking") thought += text_of(block, "thinking");
    if (type != "tool_use") continue;
    const json* input = given(block, "input");
    calls.push_back({{"id", block.at("id").get<std::string>()},
                     {"type", "function"},
                     {"function",
                      {{"name", block.at("name").get<std::string>()},
                       {"arguments", openai::written(input ? *input : json::object())}}}});
  }
  json message = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  if (!thought.empty()) message["reasoning_content"] = thought;
  if (!calls.empty()) {
    if (text.empty()) message["content"] = nullptr;
    message["tool_calls"] = std::move(calls);
  }
  const json choice = {{"index", 0},
                       {"message", std::move(message)},
                       {"logprobs", nullptr},
                       {"finish_reason", finish_reason_for(text_of(answer, "stop_reason"))}};
  return openai::written({{"id", or_else(text_of(answer, "id"), traits.id)},
                          {"object", "chat.completion"},
                          {"created", traits.created_s},
                          {"model", or_else(text_of(answer, "model"), traits.model)},
                          {"choices", json::array({choice})},
                          {"usage", chat_usage(used)}});
}

/// An upstream's answer may be anything.
template <class Make>
std::optional<std::string> readable(Make make) {
  try {
    return make();
  } catch (const strict::refused&) {
    return std::nullopt;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<std::string> answer_to_messages(const std::string& body, const answer_traits& traits,
                                              const token_counts& used) {
  return readable([&] { return messages_answer(body, traits, used); });
}

std::optional<std::string> answer_to_chat(const std::string& body, const answer_traits& traits,
                                          const token_counts& used) {
  return readable([&] { return chat_answer(body, traits, used); });
}

}  // namespace germline::worker::translation
