#include "tests/scripted_upstream/messages_reply.hpp"

namespace germline::scripted {
namespace {

using nlohmann::json;

constexpr std::size_t piece_bytes = 40;

std::string event(const char* name, json data) {
  data["type"] = name;
  return std::string("event: ") + name + "\ndata: " + data.dump() + "\n\n";
}

void add_block(std::vector<std::string>& events, std::size_t index, const json& block) {
  json empty = block;
  std::string text;
  json delta;
  const char* member = "text";
  if (block.value("type", "") == "tool_use") {
    text = block["input"].dump();
    empty["input"] = json::object();
    delta = {{"type", "input_json_delta"}};
    member = "partial_json";
  } else if (block.value("type", "") == "thinking") {
    text = block.value("thinking", "");
    empty["thinking"] = "";
    empty["signature"] = "";
    delta = {{"type", "thinking_delta"}};
    member = "thinking";
  } else {
    text = block.value("text", "");
    empty["text"] = "";
    delta = {{"type", "text_delta"}};
  }
  events.push_back(event("content_block_start", {{"index", index}, {"content_block", empty}}));
  for (const auto& piece : pieces_of(text)) {
    delta[member] = piece;
    events.push_back(event("content_block_delta", {{"index", index}, {"delta", delta}}));
  }
  if (block.value("type", "") == "thinking") {
    delta = {{"type", "signature_delta"}, {"signature", block.value("signature", "")}};
    events.push_back(event("content_block_delta", {{"index", index}, {"delta", delta}}));
  }
  events.push_back(event("content_block_stop", {{"index", index}}));
}

}  // namespace

std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.size(), at + piece_bytes);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

json message_of(const json& reply, const json& request, std::size_t request_bytes,
                std::uint64_t serial) {
  json content = reply["content"];
  bool calls_tool = false;
  for (std::size_t i = 0; i < content.size(); ++i) {
    auto& block = content[i];
    if (block.value("type", "text") != "tool_use") continue;
    calls_tool = true;
    if (!block.contains("id")) {
      block["id"] = "toolu_scripted_" + std::to_string(serial) + "_" + std::to_string(i);
    }
    if (!block.contains("input")) block["input"] = json::object();
  }
  const auto output_tokens = 1 + content.dump().size() / 4;
  return {{"id", "msg_scripted_" + std::to_string(serial)},
          {"type", "message"},
          {"role", "assistant"},
          {"model", request.value("model", "scripted")},
          {"content", content},
          {"stop_reason", reply.value("stop_reason", calls_tool ? "tool_use" : "end_turn")},
          {"stop_sequence", nullptr},
          {"usage", {{"input_tokens", 1 + request_bytes / 4}, {"output_tokens", output_tokens}}}};
}

std::vector<std::string> events_of(const json& message) {
  std::vector<std::string> events;
  json start = message;
  start["content"] = json::array();
  start["stop_reason"] = nullptr;
  start["usage"]["output_tokens"] = 1;
  events.push_back(event("message_start", {{"message", start}}));
  const auto& content = message["content"];
  for (std::size_t i = 0; i < content.size(); ++i) add_block(events, i, content[i]);
  events.push_back(
      event("message_delta",
            {{"delta", {{"stop_reason", message["stop_reason"]}, {"stop_sequence", nullptr}}},
             {"usage", {{"output_tokens", message["usage"]["output_tokens"]}}}}));
  events.push_back(event("message_stop", json::object()));
  return events;
}

}  // namespace germline::scripted
