#include "worker/gateway/translation/translator.hpp"

#include <nlohmann/json.hpp>

#include "worker/gateway/strict_body.hpp"
#include "worker/gateway/translation/answers.hpp"
#include "worker/gateway/translation/chat_stream_to_messages.hpp"
#include "worker/gateway/translation/messages_stream_to_chat.hpp"
#include "worker/gateway/translation/request_to_chat.hpp"
#include "worker/gateway/translation/request_to_messages.hpp"
#include "worker/gateway/translation/wording.hpp"

namespace germline::worker::translation {
namespace {

using nlohmann::json;

constexpr std::int64_t bytes_a_token = 3;
constexpr std::int64_t image_tokens = 1600;

class messages_over_chat final : public translator {
 public:
  const dialect& client() const override { return messages_dialect(); }
  const dialect& upstream() const override { return chat_dialect(); }
  std::string_view path() const override { return "/v1/chat/completions"; }
  translated request(const std::string& body, const request_limits& limits) const override {
    return request_to_chat(body, limits);
  }
  std::optional<std::string> answer(const std::string& body, const answer_traits& traits,
                                    const token_counts& used) const override {
    return answer_to_messages(body, traits, used);
  }
  std::unique_ptr<stream_translator> stream(const answer_traits& traits) const override {
    return std::make_unique<chat_stream_to_messages>(traits);
  }
};

class chat_over_messages final : public translator {
 public:
  const dialect& client() const override { return chat_dialect(); }
  const dialect& upstream() const override { return messages_dialect(); }
  std::string_view path() const override { return "/v1/messages"; }
  translated request(const std::string& body, const request_limits& limits) const override {
    return request_to_messages(body, limits);
  }
  std::optional<std::string> answer(const std::string& body, const answer_traits& traits,
                                    const token_counts& used) const override {
    return answer_to_chat(body, traits, used);
  }
  std::unique_ptr<stream_translator> stream(const answer_traits& traits) const override {
    return std::make_unique<messages_stream_to_chat>(traits);
  }
};

/// Bytes of text in `value`; pictures count for what they cost.
std::int64_t weight(const json& value) {
  if (value.is_string()) {
    return static_cast<std::int64_t>(value.get_ref<const std::string&>().size());
  }
  if (!value.is_structured()) return bytes_a_token;
  if (text_of(value, "type") == "base64") return image_tokens * bytes_a_token;
  std::int64_t all = 0;
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      all += static_cast<std::int64_t>(key.size()) + weight(member);
    }
  } else {
    for (const auto& item : value) all += weight(item);
  }
  return all;
}

}  // namespace

const translator* translator_for(const dialect& client) {
  static const messages_over_chat from_messages;
  static const chat_over_messages from_chat;
  for (const translator* one :
       std::initializer_list<const translator*>{&from_messages, &from_chat}) {
    if (&one->client() == &client) return one;
  }
  return nullptr;
}

std::string error_message(const std::string& body) {
  const json told = json::parse(body, nullptr, false);
  if (!told.is_object()) return {};
  if (const json* error = strict::given(told, "error")) {
    if (error->is_string()) return error->get<std::string>();
    if (auto text = text_of(*error, "message"); !text.empty()) return text;
    return "the upstream tells of an error";
  }
  auto text = text_of(told, "message");
  return text.empty() ? text_of(told, "detail") : text;
}

std::int64_t estimated_tokens(const std::string& body) {
  return (weight(strict::parse(body)) + bytes_a_token - 1) / bytes_a_token;
}

}  // namespace germline::worker::translation
