#include "worker/gateway/translation/messages_stream_to_chat.hpp"

#include <nlohmann/json.hpp>

#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/strict_body.hpp"
#include "worker/gateway/translation/translator.hpp"
#include "worker/gateway/translation/wording.hpp"

namespace germline::worker::translation {
namespace {

using nlohmann::json;
using strict::given;

}  // namespace

messages_stream_to_chat::messages_stream_to_chat(answer_traits traits)
    : stream_translator(chat_dialect()), traits_(std::move(traits)) {}

json messages_stream_to_chat::chunk() const {
  return {{"id", id_},
          {"object", "chat.completion.chunk"},
          {"created", traits_.created_s},
          {"model", model_},
          {"choices", json::array()}};
}

void messages_stream_to_chat::put_delta(json delta) {
  json one = chunk();
  one["choices"].push_back({{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", nullptr}});
  put("data: ");
  put(openai::written(one));
  put("\n\n");
}

void messages_stream_to_chat::take(std::string_view data, const token_counts& used) {
  const json event = strict::parse(data);
  const auto type = text_of(event, "type");
  if (type == "error") return put_error(error_message(std::string(data)));
  if (type == "ping") return put_sign_of_life();
  if (type == "message_start") return begin(event.at("message"));
  if (type.starts_with("content_block_") && !begun_) strict::refuse("it has no beginning");
  if (type == "content_block_start") return begin_block(event);
  if (type == "content_block_delta") return take_delta(event);
  if (type == "content_block_stop") return end_block(event.at("index").get<std::int64_t>());
  if (type == "message_stop") return take_end(used);
  if (type != "message_delta") return;
  if (const json* delta = given(event, "delta")) {
    if (auto reason = text_of(*delta, "stop_reason"); !reason.empty()) {
      stop_reason_ = std::move(reason);
    }
  }
}

void messages_stream_to_chat::begin(const json& message) {
  if (begun_) strict::refuse("it begins twice");
  begun_ = true;
  id_ = text_of(message, "id");
  if (id_.empty()) id_ = traits_.id;
  model_ = text_of(message, "model");
  if (model_.empty()) model_ = traits_.model;
  put_delta({{"role", "assistant"}, {"content", ""}});
}

void messages_stream_to_chat::begin_block(const json& event) {
  const json& block = event.at("content_block");
  const auto type = text_of(block, "type");
  if (const auto text = text_of(block, "text"); type == "text" && !text.empty()) {
    put_delta({{"content", text}});
  }
  if (type != "tool_use") return;
  if (calls_ == static_cast<std::int64_t>(max_calls)) strict::refuse("too many tool calls");
  call made;
  made.number = calls_++;
  if (const json* input = given(block, "input"); input && !input->empty()) {
    made.input = openai::written(*input);
  } else {
    made.input = "{}";
  }
  waiting_bytes_ += made.input.size();
  if (!open_.emplace(event.at("index").get<std::int64_t>(), made).second) {
    strict::refuse("a block begins twice");
  }
  put_delta(
      {{"tool_calls",
        json::array({{{"index", made.number},
                      {"id", block.at("id").get<std::string>()},
                      {"type", "function"},
                      {"function",
                       {{"name", block.at("name").get<std::string>()}, {"arguments", ""}}}}})}});
}

void messages_stream_to_chat::put_arguments(const call& of, const std::string& piece) {
  put_delta({{"tool_calls",
              json::array({{{"index", of.number}, {"function", {{"arguments", piece}}}}})}});
}

void messages_stream_to_chat::take_delta(const json& event) {
  const json& delta = event.at("delta");
  const auto type = text_of(delta, "type");
  if (type == "text_delta") {
    put_delta({{"content", text_of(delta, "text")}});
  } else if (type == "thinking_delta") {
    put_delta({{"reasoning_content", text_of(delta, "thinking")}});
  } else if (type == "input_json_delta") {
    const auto piece = text_of(delta, "partial_json");
    const auto found = open_.find(event.at("index").get<std::int64_t>());
    if (found == open_.end() || piece.empty()) return;  // or of a tool that is not the client's
    found->second.told = true;
    put_arguments(found->second, piece);
  }
}

// Clients read the arguments as JSON, which nothing at all is not.
void messages_stream_to_chat::end_block(std::int64_t index) {
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  if (!found->second.told) put_arguments(found->second, found->second.input);
  waiting_bytes_ -= found->second.input.size();
  open_.erase(found);
}

void messages_stream_to_chat::take_end(const token_counts& used) {
  if (!begun_) strict::refuse("it is empty");
  while (!open_.empty()) end_block(open_.begin()->first);
  json last = chunk();
  last["choices"].push_back({{"index", 0},
                             {"delta", json::object()},
                             {"finish_reason", finish_reason_for(stop_reason_)}});
  put("data: ");
  put(openai::written(last));
  if (traits_.shows_usage) {
    json told = chunk();
    told["usage"] = chat_usage(used);
    put("\n\ndata: ");
    put(openai::written(told));
  }
  put("\n\ndata: [DONE]\n\n");
  set_ended();
}

}  // namespace germline::worker::translation
