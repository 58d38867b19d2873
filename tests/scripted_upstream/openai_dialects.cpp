#include "tests/scripted_upstream/openai_dialects.hpp"

#include "tests/scripted_upstream/messages_reply.hpp"

namespace germline::scripted {
namespace {

using nlohmann::json;

/// A string, or a list of parts of whatever type with a text, as text blocks.
json blocks_of(const json& content) {
  json blocks = json::array();
  if (content.is_string()) {
    blocks.push_back({{"type", "text"}, {"text", content}});
  } else if (content.is_array()) {
    for (const auto& part : content) {
      if (part.contains("text")) blocks.push_back({{"type", "text"}, {"text", part["text"]}});
    }
  }
  return blocks;
}

json call_block(const json& id, const json& name, const json& arguments) {
  const auto& text = arguments.get_ref<const std::string&>();
  json input = json::parse(text, nullptr, false);
  if (input.is_discarded()) input = text;
  return {{"type", "tool_use"}, {"id", id}, {"name", name}, {"input", std::move(input)}};
}

/// Results of one answer's calls stand in one message, as Messages has them.
void add_result(json& messages, const json& id, const json& output) {
  const json block = {{"type", "tool_result"}, {"tool_use_id", id}, {"content", blocks_of(output)}};
  const bool goes_on = !messages.empty() && messages.back()["role"] == "user" &&
                       !messages.back()["content"].empty() &&
                       messages.back()["content"].back().value("type", "") == "tool_result";
  if (goes_on) {
    messages.back()["content"].push_back(block);
  } else {
    messages.push_back({{"role", "user"}, {"content", json::array({block})}});
  }
}

bool of_the_system(const json& item) {
  const auto role = item.value("role", "");
  return role == "system" || role == "developer";
}

/// Tools by name; those of a Responses namespace beside the others.
void add_tools(const json& tools, json& names) {
  for (const auto& tool : tools) {
    if (tool.value("type", "") == "namespace") {
      add_tools(tool.value("tools", json::array()), names);
    } else {
      const auto& named = tool.contains("function") ? tool["function"] : tool;
      names.push_back({{"name", named.value("name", tool.value("type", ""))}});
    }
  }
}

json request_of(const json& request, const json& system, json messages) {
  json tools = json::array();
  const json input = request.value("input", json());
  if (input.is_array()) {
    for (const auto& item : input) add_tools(item.value("tools", json::array()), tools);
  }
  add_tools(request.value("tools", json::array()), tools);
  return {{"model", request.value("model", "")},
          {"stream", request.value("stream", false)},
          {"system", system},
          {"tools", std::move(tools)},
          {"messages", std::move(messages)}};
}

std::string event(const json& data) {
  return "data: " + data.dump() + "\n\n";
}

std::string text_of(const json& message, const char* type, const char* member) {
  std::string text;
  for (const auto& block : message["content"]) {
    if (block.value("type", "") == type) text += block.value(member, "");
  }
  return text;
}

json chat_calls_of(const json& message) {
  json calls = json::array();
  for (const auto& block : message["content"]) {
    if (block.value("type", "") != "tool_use") continue;
    calls.push_back(
        {{"id", block["id"]},
         {"type", "function"},
         {"function", {{"name", block["name"]}, {"arguments", block["input"].dump()}}}});
  }
  return calls;
}

const char* finish_of(const json& message) {
  const auto reason = message.value("stop_reason", "");
  if (reason == "tool_use") return "tool_calls";
  return reason == "max_tokens" ? "length" : "stop";
}

json chat_usage_of(const json& message) {
  const auto& usage = message["usage"];
  const auto in = usage["input_tokens"].get<std::int64_t>();
  const auto out = usage["output_tokens"].get<std::int64_t>();
  return {{"prompt_tokens", in}, {"completion_tokens", out}, {"total_tokens", in + out}};
}

json chat_head_of(const json& message, const char* object) {
  return {{"id", "chatcmpl_" + message["id"].get<std::string>()},
          {"object", object},
          {"created", 0},
          {"model", message["model"]}};
}

/// The items of a Responses answer: reasoning, messages and calls, in their order.
json items_of(const json& message) {
  json items = json::array();
  for (const auto& block : message["content"]) {
    const std::string id = message["id"].get<std::string>() + "_" + std::to_string(items.size());
    if (block.value("type", "") == "tool_use") {
      const bool custom = block["input"].is_string();
      json call = {{"id", (custom ? "ctc_" : "fc_") + id},
                   {"type", custom ? "custom_tool_call" : "function_call"},
                   {"status", "completed"},
                   {"call_id", block["id"]},
                   {"name", block["name"]}};
      if (custom) call["input"] = block["input"];
      if (!custom) call["arguments"] = block["input"].dump();
      if (block.contains("namespace")) call["namespace"] = block["namespace"];
      items.push_back(std::move(call));
    } else if (block.value("type", "") == "thinking") {
      const json summary = {{"type", "summary_text"}, {"text", block["thinking"]}};
      items.push_back({{"id", "rs_" + id},
                       {"type", "reasoning"},
                       {"summary", json::array({summary})},
                       {"encrypted_content", block.value("signature", "")}});
    } else {
      const json part = {
          {"type", "output_text"}, {"text", block["text"]}, {"annotations", json::array()}};
      items.push_back({{"id", "msg_" + id},
                       {"type", "message"},
                       {"role", "assistant"},
                       {"status", "completed"},
                       {"content", json::array({part})}});
    }
  }
  return items;
}

json response_of(const json& message, const char* status, json output) {
  return {{"id", "resp_" + message["id"].get<std::string>()},
          {"object", "response"},
          {"created_at", 0},
          {"status", status},
          {"model", message["model"]},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", nullptr},
          {"metadata", json::object()},
          {"parallel_tool_calls", true},
          {"tool_choice", "auto"},
          {"tools", json::array()},
          {"output", std::move(output)},
          {"usage", nullptr}};
}

/// Numbers the events of a Responses stream.
class responses_stream {
 public:
  std::vector<std::string> take() { return std::move(events_); }

  void add(const char* type, json data) {
    data["type"] = type;
    data["sequence_number"] = events_.size();
    events_.push_back(std::string("event: ") + type + "\n" + event(data));
  }

  void add_item(std::size_t index, const json& item) {
    json started = item;
    started["status"] = "in_progress";
    const std::string type = item["type"];
    const json place = {{"item_id", item["id"]}, {"output_index", index}};
    if (type == "function_call") {
      started["arguments"] = "";
      add_started(index, started);
      add_text("response.function_call_arguments", place, item["arguments"], "arguments");
    } else if (type == "custom_tool_call") {
      started["input"] = "";
      add_started(index, started);
      add_text("response.custom_tool_call_input", place, item["input"], "input");
    } else if (type == "message") {
      started["content"] = json::array();
      add_started(index, started);
      const json& part = item["content"][0];
      json within = place;
      within["content_index"] = 0;
      json empty = part;
      empty["text"] = "";
      json opened = within;
      opened["part"] = empty;
      add("response.content_part.added", opened);
      add_text("response.output_text", within, part["text"], "text");
      opened["part"] = part;
      add("response.content_part.done", opened);
    } else {
      started["summary"] = json::array();
      add_started(index, started);
      json within = place;
      within["summary_index"] = 0;
      add_text("response.reasoning_summary_text", within, item["summary"][0]["text"], "text");
    }
    add("response.output_item.done", {{"output_index", index}, {"item", item}});
  }

 private:
  void add_started(std::size_t index, const json& item) {
    add("response.output_item.added", {{"output_index", index}, {"item", item}});
  }

  void add_text(const std::string& name, const json& place, const std::string& text,
                const char* member) {
    for (const auto& piece : pieces_of(text)) {
      json data = place;
      data["delta"] = piece;
      add((name + ".delta").c_str(), data);
    }
    json data = place;
    data[member] = text;
    add((name + ".done").c_str(), data);
  }

  std::vector<std::string> events_;
};

json completed_of(const json& message) {
  const bool cut = message.value("stop_reason", "") == "max_tokens";
  json answer = response_of(message, cut ? "incomplete" : "completed", items_of(message));
  if (cut) answer["incomplete_details"] = {{"reason", "max_output_tokens"}};
  const auto& usage = message["usage"];
  const auto in = usage["input_tokens"].get<std::int64_t>();
  const auto out = usage["output_tokens"].get<std::int64_t>();
  answer["usage"] = {{"input_tokens", in},
                     {"input_tokens_details", {{"cached_tokens", 0}}},
                     {"output_tokens", out},
                     {"output_tokens_details", {{"reasoning_tokens", 0}}},
                     {"total_tokens", in + out}};
  return answer;
}

}  // namespace

json messages_request_of_chat(const json& request) {
  json system = json::array();
  json messages = json::array();
  for (const auto& message : request.value("messages", json::array())) {
    const json content = message.value("content", json());
    if (of_the_system(message)) {
      for (const auto& block : blocks_of(content)) system.push_back(block);
    } else if (message.value("role", "") == "tool") {
      add_result(messages, message.at("tool_call_id"), content);
    } else {
      json blocks = blocks_of(content);
      for (const auto& call : message.value("tool_calls", json::array())) {
        const auto& called = call.at("function");
        blocks.push_back(call_block(call.at("id"), called.at("name"), called.at("arguments")));
      }
      messages.push_back({{"role", message.at("role")}, {"content", std::move(blocks)}});
    }
  }
  return request_of(request, system, std::move(messages));
}

json messages_request_of_responses(const json& request) {
  json system = blocks_of(request.value("instructions", json()));
  json messages = json::array();
  const json input = request.value("input", json());
  if (input.is_string()) {
    messages.push_back({{"role", "user"}, {"content", blocks_of(input)}});
    return request_of(request, system, std::move(messages));
  }
  for (const auto& item : input) {
    const std::string type = item.value("type", "message");
    if (type == "function_call" || type == "custom_tool_call") {
      const json& given = type == "function_call" ? item.at("arguments") : item.at("input");
      messages.push_back({{"role", "assistant"},
                          {"content", {call_block(item.at("call_id"), item.at("name"), given)}}});
    } else if (type.ends_with("_output")) {
      add_result(messages, item.at("call_id"), item.at("output"));
    } else if (type == "message" && of_the_system(item)) {
      for (const auto& block : blocks_of(item.at("content"))) system.push_back(block);
    } else if (type == "message") {
      messages.push_back({{"role", item.at("role")}, {"content", blocks_of(item.at("content"))}});
    }
  }
  return request_of(request, system, std::move(messages));
}

json chat_answer_of(const json& message) {
  json said = {{"role", "assistant"}, {"content", text_of(message, "text", "text")}};
  const auto thought = text_of(message, "thinking", "thinking");
  if (!thought.empty()) said["reasoning_content"] = thought;
  json calls = chat_calls_of(message);
  if (!calls.empty()) said["tool_calls"] = std::move(calls);
  const json choice = {{"index", 0}, {"message", said}, {"finish_reason", finish_of(message)}};
  json answer = chat_head_of(message, "chat.completion");
  answer["choices"] = json::array({choice});
  answer["usage"] = chat_usage_of(message);
  return answer;
}

std::vector<std::string> chat_events_of(const json& message, bool with_usage) {
  std::vector<std::string> events;
  const auto add = [&](const json& delta, const json& finish) {
    json chunk = chat_head_of(message, "chat.completion.chunk");
    const json choice = {{"index", 0}, {"delta", delta}, {"finish_reason", finish}};
    chunk["choices"] = json::array({choice});
    events.push_back(event(chunk));
  };
  add({{"role", "assistant"}, {"content", ""}}, nullptr);
  for (const auto& piece : pieces_of(text_of(message, "thinking", "thinking"))) {
    add({{"reasoning_content", piece}}, nullptr);
  }
  for (const auto& piece : pieces_of(text_of(message, "text", "text"))) {
    add({{"content", piece}}, nullptr);
  }
  const json calls = chat_calls_of(message);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    json call = calls[i];
    const std::string arguments = call["function"]["arguments"];
    call["index"] = i;
    call["function"]["arguments"] = "";
    add({{"tool_calls", json::array({call})}}, nullptr);
    for (const auto& piece : pieces_of(arguments)) {
      const json more = {{"index", i}, {"function", {{"arguments", piece}}}};
      add({{"tool_calls", json::array({more})}}, nullptr);
    }
  }
  add(json::object(), finish_of(message));
  if (with_usage) {
    json last = chat_head_of(message, "chat.completion.chunk");
    last["choices"] = json::array();
    last["usage"] = chat_usage_of(message);
    events.push_back(event(last));
  }
  events.emplace_back("data: [DONE]\n\n");
  return events;
}

json responses_answer_of(const json& message) {
  return completed_of(message);
}

std::vector<std::string> responses_events_of(const json& message) {
  responses_stream stream;
  const json begun = {{"response", response_of(message, "in_progress", json::array())}};
  stream.add("response.created", begun);
  stream.add("response.in_progress", begun);
  const json items = items_of(message);
  for (std::size_t i = 0; i < items.size(); ++i) stream.add_item(i, items[i]);
  const json answer = completed_of(message);
  const bool cut = answer["status"] == "incomplete";
  stream.add(cut ? "response.incomplete" : "response.completed", {{"response", answer}});
  return stream.take();
}

}  // namespace germline::scripted
