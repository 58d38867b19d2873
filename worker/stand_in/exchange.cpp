#include "worker/stand_in/exchange.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker {
namespace {

using json = nlohmann::json;

constexpr std::string_view call_prefix = "toolu_probation_";

/// A value that fits a JSON Schema of one property closely enough for a tool to run on it.
json sample_value(const json& schema) {
  if (schema.contains("enum") && schema["enum"].is_array() && !schema["enum"].empty()) {
    return schema["enum"][0];
  }
  const auto type = schema.contains("type") && schema["type"].is_string()
                        ? schema["type"].get<std::string>()
                        : std::string("string");
  if (type == "integer" || type == "number") return 1;
  if (type == "boolean") return false;
  if (type == "array") return json::array();
  if (type == "object") return json::object();
  return "probation";
}

/// An input with every required property of the tool's schema.
json sample_input(const json& schema) {
  auto input = json::object();
  if (!schema.is_object() || !schema.contains("required") || !schema["required"].is_array()) {
    return input;
  }
  const auto properties = schema.contains("properties") && schema["properties"].is_object()
                              ? schema["properties"]
                              : json::object();
  for (const auto& name : schema["required"]) {
    if (!name.is_string()) continue;
    const auto key = name.get<std::string>();
    input[key] = sample_value(properties.contains(key) ? properties[key] : json::object());
  }
  return input;
}

bool has_messages(const json& request) {
  return request.is_object() && request.contains("model") && request["model"].is_string() &&
         request.contains("messages") && request["messages"].is_array() &&
         !request["messages"].empty();
}

std::string sse(std::string_view event, const json& data) {
  return "event: " + std::string(event) + "\ndata: " + data.dump() + "\n\n";
}

json anthropic_message(const json& request, const json& content, std::string_view stop_reason) {
  return {{"id", "msg_probation"},    {"type", "message"},
          {"role", "assistant"},      {"model", request["model"]},
          {"content", content},       {"stop_reason", stop_reason},
          {"stop_sequence", nullptr}, {"usage", {{"input_tokens", 1}, {"output_tokens", 1}}}};
}

/// The same message as the stream of events that the Messages API defines.
std::string anthropic_stream(json message) {
  auto content = json::array();
  content.swap(message["content"]);
  const auto stop_reason = message["stop_reason"];
  message["stop_reason"] = nullptr;
  auto text = sse("message_start", {{"type", "message_start"}, {"message", message}});
  int index = 0;
  for (auto block : content) {
    json delta;
    if (block["type"] == "tool_use") {
      delta = {{"type", "input_json_delta"}, {"partial_json", block["input"].dump()}};
      block["input"] = json::object();
    } else {
      delta = {{"type", "text_delta"}, {"text", block["text"]}};
      block["text"] = "";
    }
    text += sse("content_block_start",
                {{"type", "content_block_start"}, {"index", index}, {"content_block", block}});
    text += sse("content_block_delta",
                {{"type", "content_block_delta"}, {"index", index}, {"delta", delta}});
    text += sse("content_block_stop", {{"type", "content_block_stop"}, {"index", index}});
    ++index;
  }
  text +=
      sse("message_delta", {{"type", "message_delta"},
                            {"delta", {{"stop_reason", stop_reason}, {"stop_sequence", nullptr}}},
                            {"usage", {{"output_tokens", 1}}}});
  text += sse("message_stop", {{"type", "message_stop"}});
  return text;
}

bool anthropic_result_returned(const json& messages, const std::string& call_id) {
  for (const auto& message : messages) {
    if (!message.is_object() || !message.contains("content") || !message["content"].is_array()) {
      continue;
    }
    for (const auto& block : message["content"]) {
      if (block.is_object() && block.value("type", json()) == "tool_result" &&
          block.value("tool_use_id", json()) == call_id) {
        return true;
      }
    }
  }
  return false;
}

bool openai_result_returned(const json& messages, const std::string& call_id) {
  for (const auto& message : messages) {
    if (message.is_object() && message.value("role", json()) == "tool" &&
        message.value("tool_call_id", json()) == call_id) {
      return true;
    }
  }
  return false;
}

bool streams(const json& request) {
  return request.contains("stream") && request["stream"].is_boolean() &&
         request["stream"].get<bool>();
}

bool has_input(const json& request) {
  return request.is_object() && request.contains("model") && request["model"].is_string() &&
         request.contains("input") &&
         (request["input"].is_string() ||
          (request["input"].is_array() && !request["input"].empty()));
}

/// A function among the `tools` of a Responses request, of one of its namespaces, or of an item of
/// its input that offers more; null: none. With the name of its namespace.
struct offered_function {
  const json* schema = nullptr;
  std::string within;
};

offered_function function_of(const json& holder, const std::string& within = "") {
  const auto tools = holder.find("tools");
  if (tools == holder.end() || !tools->is_array()) return {};
  for (const auto& tool : *tools) {
    const auto type = tool.value("type", "");
    if (type == "function") return {&tool, within};
    if (type != "namespace") continue;
    if (auto inner = function_of(tool, tool.value("name", "")); inner.schema) return inner;
  }
  return {};
}

offered_function function_in(const json& request) {
  auto found = function_of(request);
  if (found.schema != nullptr || !request["input"].is_array()) return found;
  for (const auto& item : request["input"]) {
    if (found = function_of(item); found.schema != nullptr) return found;
  }
  return {};
}

bool output_returned(const json& input, const std::string& call_id) {
  if (!input.is_array()) return false;
  for (const auto& item : input) {
    if (item.is_object() && item.value("type", json()) == "function_call_output" &&
        item.value("call_id", json()) == call_id) {
      return true;
    }
  }
  return false;
}

/// The same response as the stream of events that the Responses API defines.
std::string responses_stream(json response) {
  const json item = response["output"][0];
  json begun = response;
  begun["status"] = "in_progress";
  begun["output"] = json::array();
  begun["usage"] = nullptr;
  const auto event = [](const char* type, json data) {
    data["type"] = type;
    return sse(type, data);
  };
  auto text = event("response.created", {{"response", begun}});
  json opened = item;
  opened["status"] = "in_progress";
  text += event("response.output_item.added", {{"output_index", 0}, {"item", opened}});
  json delta = {{"item_id", item["id"]}, {"output_index", 0}};
  if (item["type"] == "function_call") {
    delta["delta"] = item["arguments"];
    text += event("response.function_call_arguments.delta", delta);
  } else {
    delta["content_index"] = 0;
    delta["delta"] = item["content"][0]["text"];
    text += event("response.output_text.delta", delta);
  }
  text += event("response.output_item.done", {{"output_index", 0}, {"item", item}});
  return text + event("response.completed", {{"response", std::move(response)}});
}

}  // namespace

stand_in_reply exchange::complain(std::string text) {
  record_.complaint = text;
  return {400, "application/json",
          json{{"type", "error"},
               {"error", {{"type", "invalid_request_error"}, {"message", std::move(text)}}}}
              .dump()};
}

stand_in_reply exchange::answer(std::string_view method, std::string_view path,
                                std::string_view body) {
  if (method == "HEAD") return {200, "text/plain", ""};
  if (method != "POST") return {404, "text/plain", "not found\n"};
  if (path == "/germline/v1/events") return {204, "text/plain", ""};
  try {
    if (path == "/v1/messages/count_tokens") {
      return {200, "application/json", R"({"input_tokens":1})"};
    }
    if (path == "/v1/messages") return anthropic(body);
    if (path == "/v1/chat/completions") return openai(body);
    if (path == "/v1/responses") return responses(body);
  } catch (const json::exception& failure) {
    return complain(std::string("the request is not of the API's form: ") + failure.what());
  }
  return {404, "text/plain", "not found\n"};
}

stand_in_reply exchange::anthropic(std::string_view body) {
  ++record_.requests;
  const auto request = json::parse(body);
  if (!has_messages(request)) return complain("the request lacks model or messages");
  if (!request.contains("max_tokens") || !request["max_tokens"].is_number_integer()) {
    return complain("max_tokens is required");
  }
  auto content = json::array({{{"type", "text"}, {"text", "done"}}});
  std::string stop_reason = "end_turn";
  const bool offers =
      request.contains("tools") && request["tools"].is_array() && !request["tools"].empty();
  if (!call_id_.empty() && anthropic_result_returned(request["messages"], call_id_)) {
    record_.tool_returned = true;
  } else if (offers && call_id_.empty()) {
    const auto& tool = request["tools"][0];
    record_.called_tool = tool.at("name").get<std::string>();
    record_.valid_request = true;
    call_id_ = std::string(call_prefix) + "1";
    content = json::array({{{"type", "tool_use"},
                            {"id", call_id_},
                            {"name", record_.called_tool},
                            {"input", sample_input(tool.value("input_schema", json::object()))}}});
    stop_reason = "tool_use";
  }
  auto message = anthropic_message(request, content, stop_reason);
  if (streams(request)) return {200, "text/event-stream", anthropic_stream(std::move(message))};
  return {200, "application/json", message.dump()};
}

stand_in_reply exchange::openai(std::string_view body) {
  ++record_.requests;
  const auto request = json::parse(body);
  if (!has_messages(request)) return complain("the request lacks model or messages");
  json message = {{"role", "assistant"}, {"content", "done"}};
  std::string finish = "stop";
  const bool offers =
      request.contains("tools") && request["tools"].is_array() && !request["tools"].empty();
  if (!call_id_.empty() && openai_result_returned(request["messages"], call_id_)) {
    record_.tool_returned = true;
  } else if (offers && call_id_.empty()) {
    const auto& function = request["tools"][0].at("function");
    record_.called_tool = function.at("name").get<std::string>();
    record_.valid_request = true;
    call_id_ = std::string(call_prefix) + "1";
    const auto input = sample_input(function.value("parameters", json::object())).dump();
    message["content"] = nullptr;
    message["tool_calls"] =
        json::array({{{"id", call_id_},
                      {"type", "function"},
                      {"function", {{"name", record_.called_tool}, {"arguments", input}}}}});
    finish = "tool_calls";
  }
  const json usage = {{"prompt_tokens", 1}, {"completion_tokens", 1}, {"total_tokens", 2}};
  json reply = {{"id", "chatcmpl-probation"}, {"created", 0}, {"model", request["model"]}};
  if (!streams(request)) {
    reply["object"] = "chat.completion";
    reply["usage"] = usage;
    reply["choices"] =
        json::array({{{"index", 0}, {"message", message}, {"finish_reason", finish}}});
    return {200, "application/json", reply.dump()};
  }
  if (message.contains("tool_calls")) message["tool_calls"][0]["index"] = 0;
  reply["object"] = "chat.completion.chunk";
  reply["choices"] = json::array({{{"index", 0}, {"delta", message}, {"finish_reason", nullptr}}});
  auto text = "data: " + reply.dump() + "\n\n";
  reply["choices"] =
      json::array({{{"index", 0}, {"delta", json::object()}, {"finish_reason", finish}}});
  text += "data: " + reply.dump() + "\n\ndata: [DONE]\n\n";
  return {200, "text/event-stream", text};
}

stand_in_reply exchange::responses(std::string_view body) {
  ++record_.requests;
  const auto request = json::parse(body);
  if (!has_input(request)) return complain("the request lacks model or input");
  const json part = {{"type", "output_text"}, {"text", "done"}, {"annotations", json::array()}};
  json item = {{"id", "msg_probation"},
               {"type", "message"},
               {"role", "assistant"},
               {"status", "completed"},
               {"content", json::array({part})}};
  const auto offered = function_in(request);
  if (!call_id_.empty() && output_returned(request["input"], call_id_)) {
    record_.tool_returned = true;
  } else if (offered.schema != nullptr && call_id_.empty()) {
    record_.called_tool = offered.schema->at("name").get<std::string>();
    record_.valid_request = true;
    call_id_ = std::string(call_prefix) + "1";
    item = {
        {"id", "fc_probation"},
        {"type", "function_call"},
        {"status", "completed"},
        {"call_id", call_id_},
        {"name", record_.called_tool},
        {"arguments", sample_input(offered.schema->value("parameters", json::object())).dump()}};
    if (!offered.within.empty()) item["namespace"] = offered.within;
  }
  json response = {{"id", "resp_probation"},
                   {"object", "response"},
                   {"created_at", 0},
                   {"status", "completed"},
                   {"model", request["model"]},
                   {"output", json::array({item})},
                   {"usage", {{"input_tokens", 1}, {"output_tokens", 1}, {"total_tokens", 2}}}};
  if (streams(request)) return {200, "text/event-stream", responses_stream(std::move(response))};
  return {200, "application/json", response.dump()};
}

std::string exchange::record_json() const {
  return json{{"requests", record_.requests},
              {"valid_request", record_.valid_request},
              {"tool_returned", record_.tool_returned},
              {"called_tool", record_.called_tool},
              {"complaint", record_.complaint}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace germline::worker
