#include "worker/gateway/translation/chat_stream_to_messages.hpp"

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

chat_stream_to_messages::chat_stream_to_messages(answer_traits traits)
    : stream_translator(messages_dialect()), traits_(std::move(traits)) {}

void chat_stream_to_messages::put_event(const json& event) {
  put("event: ");
  put(event["type"].get_ref<const std::string&>());
  put("\ndata: ");
  put(openai::written(event));
  put("\n\n");
}

void chat_stream_to_messages::take(std::string_view data, const token_counts& used) {
  if (data == "[DONE]") return take_end(used);
  const json chunk = strict::parse(data);
  if (given(chunk, "error")) return put_error(error_message(std::string(data)));
  begin(chunk);
  const json* choices = given(chunk, "choices");
  if (!choices || choices->empty()) return;
  const json& choice = choices->at(0);
  if (const json* delta = given(choice, "delta")) take_delta(*delta);
  if (auto reason = text_of(choice, "finish_reason"); !reason.empty()) {
    finish_reason_ = std::move(reason);
  }
  tell(false);
}

void chat_stream_to_messages::begin(const json& chunk) {
  if (begun_) return;
  begun_ = true;
  id_ = text_of(chunk, "id");
  if (id_.empty()) id_ = traits_.id;
  auto model = text_of(chunk, "model");
  if (model.empty()) model = traits_.model;
  put_event({{"type", "message_start"},
             {"message",
              {{"id", id_},
               {"type", "message"},
               {"role", "assistant"},
               {"model", model},
               {"content", json::array()},
               {"stop_reason", nullptr},
               {"stop_sequence", nullptr},
               {"usage", messages_usage({})}}}});
}

void chat_stream_to_messages::take_delta(const json& delta) {
  auto thought = text_of(delta, "reasoning_content");
  if (thought.empty()) thought = text_of(delta, "reasoning");
  if (traits_.shows_thinking) {
    add(kind::thinking, thought);
  } else if (!thought.empty()) {
    put_sign_of_life();
  }
  add(kind::text, text_of(delta, "content"));
  add(kind::text, text_of(delta, "refusal"));
  const json* calls = given(delta, "tool_calls");
  for (std::size_t i = 0; calls && i < calls->size(); ++i) take_call(calls->at(i));
}

void chat_stream_to_messages::add(kind is, const std::string& text) {
  if (text.empty()) return;
  auto& to = blocks_.empty() || blocks_.back().is != is ? add_block(is) : blocks_.back();
  to.unsent += text;
  waiting_bytes_ += text.size();
}

// Whether the open call is whole is looked at once for each block behind it: arguments may be long,
// and their pieces many.
chat_stream_to_messages::block& chat_stream_to_messages::add_block(kind is) {
  if (blocks_.size() == max_blocks) strict::refuse("too many tool calls");
  if (!blocks_.empty()) {
    const auto& first = blocks_.front();
    first_is_whole_ = first_is_whole_ || first.is != kind::tool || json::accept(first.whole);
  }
  auto& made = blocks_.emplace_back();
  made.is = is;
  return made;
}

chat_stream_to_messages::block* chat_stream_to_messages::find_call(std::int64_t call) {
  for (auto& one : blocks_) {
    if (one.is == kind::tool && one.call == call) return &one;
  }
  return nullptr;
}

void chat_stream_to_messages::take_call(const json& call) {
  // Servers that do not number them send each whole.
  const json* number = given(call, "index");
  const auto index = number ? number->get<std::int64_t>() : calls_;
  const json* function = given(call, "function");
  const auto piece = function ? text_of(*function, "arguments") : std::string();
  block* to = find_call(index);
  if (!to && index < calls_) {  // it was taken for whole
    if (piece.find_first_not_of(" \t\r\n") != piece.npos) {
      strict::refuse("a tool call goes on behind its end");
    }
    return;
  }
  if (!to) {
    if (index != calls_ || calls_ == static_cast<std::int64_t>(max_blocks)) {
      strict::refuse("its tool calls are numbered wrongly");
    }
    ++calls_;
    to = &add_block(kind::tool);
    to->call = index;
  }
  if (to->id.empty()) to->id = tool_id(text_of(call, "id"));
  if (to->name.empty() && function) to->name = text_of(*function, "name");
  to->whole += piece;
  to->unsent += piece;
  waiting_bytes_ += 2 * piece.size();
}

void chat_stream_to_messages::tell_begin(block& one) {
  json content;
  if (one.is == kind::tool) {
    if (one.name.empty()) strict::refuse("a tool call has no name");
    if (one.id.empty()) one.id = tool_id(id_) + "_" + std::to_string(one.call);
    content = {{"type", "tool_use"}, {"id", one.id}, {"name", one.name}, {"input", json::object()}};
  } else if (one.is == kind::text) {
    content = {{"type", "text"}, {"text", ""}};
  } else {
    content = {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  }
  one.begun = true;
  put_event({{"type", "content_block_start"}, {"index", index_}, {"content_block", content}});
}

void chat_stream_to_messages::tell_piece(block& one) {
  json delta;
  if (one.is == kind::tool) {
    delta = {{"type", "input_json_delta"}, {"partial_json", one.unsent}};
  } else if (one.is == kind::text) {
    delta = {{"type", "text_delta"}, {"text", one.unsent}};
  } else {
    delta = {{"type", "thinking_delta"}, {"thinking", one.unsent}};
  }
  waiting_bytes_ -= one.unsent.size();
  one.unsent.clear();
  put_event({{"type", "content_block_delta"}, {"index", index_}, {"delta", delta}});
}

void chat_stream_to_messages::tell(bool all) {
  bool told = false;
  while (!blocks_.empty()) {
    auto& first = blocks_.front();
    if (!first.begun) {
      if (!all && first.is == kind::tool && first.name.empty()) break;
      tell_begin(first);
      told = true;
    }
    if (!first.unsent.empty()) {
      tell_piece(first);
      told = true;
    }
    const bool over = all || (blocks_.size() > 1 && (first_is_whole_ || first.is != kind::tool));
    if (!over) break;
    put_event({{"type", "content_block_stop"}, {"index", index_}});
    told = true;
    ++index_;
    waiting_bytes_ -= first.whole.size();
    blocks_.pop_front();
    first_is_whole_ = blocks_.size() > 1 && blocks_.front().is == kind::tool &&
                      json::accept(blocks_.front().whole);
  }
  if (!told && !blocks_.empty()) put_sign_of_life();  // what came waits
}

void chat_stream_to_messages::take_end(const token_counts& used) {
  if (!begun_) strict::refuse("it is empty");
  tell(true);
  put_event(
      {{"type", "message_delta"},
       {"delta",
        {{"stop_reason", stop_reason_for(finish_reason_, calls_ > 0)}, {"stop_sequence", nullptr}}},
       {"usage", messages_usage(used)}});
  put_event({{"type", "message_stop"}});
  set_ended();
}

}  // namespace germline::worker::translation
