#include "event_stream.hpp"

#include <map>

namespace agent {
namespace {

struct assembly {
  json message;
  json::array_type blocks;
  std::map<std::size_t, std::string> inputs;  // JSON text of tool inputs, by block
  bool stopped = false;
  std::string problem;
};

void add_text(json& block, const char* name, const std::string& more) {
  block[name] = block[name].string_or() + more;
}

void add_delta(assembly& into, std::size_t index, const json& delta) {
  auto& block = into.blocks[index];
  const auto type = delta["type"].string_or();
  if (type == "text_delta") add_text(block, "text", delta["text"].string_or());
  if (type == "thinking_delta") add_text(block, "thinking", delta["thinking"].string_or());
  if (type == "signature_delta") add_text(block, "signature", delta["signature"].string_or());
  if (type == "input_json_delta") into.inputs[index] += delta["partial_json"].string_or();
}

void take(assembly& into, const json& event) {
  const auto type = event["type"].string_or();
  const auto index = static_cast<std::size_t>(event["index"].integer_or());
  if (type == "message_start") into.message = event["message"];
  if (type == "message_stop") into.stopped = true;
  if (type == "error") into.problem = event["error"].text();
  if (type == "content_block_start" && index <= into.blocks.size()) {
    if (index == into.blocks.size()) into.blocks.emplace_back();
    into.blocks[index] = event["content_block"];
  }
  if (type == "content_block_delta" && index < into.blocks.size()) {
    add_delta(into, index, event["delta"]);
  }
  if (type == "message_delta") {
    into.message["stop_reason"] = event["delta"]["stop_reason"];
    for (const auto& [name, value] : event["usage"].members()) into.message["usage"][name] = value;
  }
}

}  // namespace

result<json> assemble_message(std::string_view stream) {
  assembly into;
  while (!stream.empty()) {
    const auto end = std::min(stream.find('\n'), stream.size() - 1) + 1;
    auto line = stream.substr(0, end);
    stream.remove_prefix(end);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (!line.starts_with("data:")) continue;  // the event's name is in the data too
    const auto event = json::parse(line.substr(5));
    if (event) take(into, *event);
  }
  if (!into.problem.empty()) return error{into.problem};
  if (!into.stopped) return error{"the answer's stream broke off"};
  for (const auto& [index, text] : into.inputs) {
    const auto input = json::parse(text.empty() ? "{}" : text);
    into.blocks[index]["input"] = input ? *input : json::of();
    if (!input) into.blocks[index]["input_cut_off"] = true;
  }
  into.message["content"] = into.blocks;
  return into.message;
}

}  // namespace agent
