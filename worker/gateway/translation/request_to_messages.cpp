#include "worker/gateway/translation/request_to_messages.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/strict_body.hpp"
#include "worker/gateway/translation/wording.hpp"

namespace germline::worker::translation {
namespace {

using nlohmann::json;
using namespace strict;

constexpr std::array<const char*, 2> same_fields = {"model", "top_p"};

json image_block(const json& url, const std::string& where) {
  static constexpr std::string_view scheme = "data:";
  static constexpr std::string_view coding = ";base64,";
  const std::string& text = text_member(url, "url", where);
  const auto data = text.find(coding);
  const auto type = data == text.npos ? "" : text.substr(scheme.size(), data - scheme.size());
  if (type.empty() || type.find_first_of(";,") != type.npos) {
    refuse(where + ": an image must be a data: URL of the form data:image/…;base64,…");
  }
  return {
      {"type", "image"},
      {"source",
       {{"type", "base64"}, {"media_type", type}, {"data", text.substr(data + coding.size())}}}};
}

/// A message's content as blocks. Empty text is left out: Messages takes none.
json blocks_of(const json& message, const std::string& where) {
  json blocks = json::array();
  const auto add_text = [&](const std::string& text) {
    if (!text.empty()) blocks.push_back({{"type", "text"}, {"text", text}});
  };
  const json* content = given(message, "content");
  if (content && content->is_string()) add_text(content->get_ref<const std::string&>());
  for (std::size_t i = 0; content && content->is_array() && i < content->size(); ++i) {
    const std::string place = where + "[" + std::to_string(i) + "]";
    const json& part = (*content)[i];
    const std::string& type = text_member(part, "type", place);
    if (type == "image_url") {
      blocks.push_back(image_block(part.at("image_url"), place + ".image_url"));
      continue;
    }
    add_text(text_member(part, type == "refusal" ? "refusal" : "text", place));
    const json* cache = given(part, "cache_control");
    if (cache && !blocks.empty() && type == "text") blocks.back()["cache_control"] = *cache;
  }
  add_text(text_of(message, "refusal"));
  return blocks;
}

class message_list {
 public:
  void add(const json& message, const std::string& where) {
    const std::string& role = text_member(message, "role", where);
    if (role == "user") {
      append("user", blocks_of(message, where + ".content"));
    } else if (role == "assistant") {
      append("assistant", answer_of(message, where));
    } else if (role == "tool") {
      append("user", json::array({result_of(message, where)}));
    } else if (role == "system" || role == "developer") {
      // Messages has a place for it at the beginning only.
      const json blocks = blocks_of(message, where + ".content");
      if (!list_.empty()) return append("user", blocks);
      for (const auto& block : blocks) system_.push_back(block);
    } else {
      refuse(where + ": the role " + shown(role) + " cannot be translated");
    }
  }

  void put_into(json& out) {
    if (list_.empty()) refuse("there is no message but the system's, which Messages does not take");
    if (list_.back()["role"] == "assistant") {
      refuse(
          "the upstream speaks Messages, which would go on with the answer that stands last: "
          "the last message must be the user's or a tool's");
    }
    if (!system_.empty()) out["system"] = std::move(system_);
    out["messages"] = std::move(list_);
  }

 private:
  // Messages wants turns, and all results of parallel calls in the one turn behind them.
  void append(const char* role, const json& blocks) {
    if (blocks.empty()) return;
    if (list_.empty() || list_.back()["role"] != role) {
      list_.push_back({{"role", role}, {"content", json::array()}});
    }
    for (const auto& block : blocks) list_.back()["content"].push_back(block);
  }

  static json answer_of(const json& message, const std::string& where) {
    json blocks = blocks_of(message, where + ".content");
    const json* calls = given(message, "tool_calls");
    for (std::size_t i = 0; calls && i < calls->size(); ++i) {
      const std::string place = where + ".tool_calls[" + std::to_string(i) + "]";
      const json& call = calls->at(i);
      const json* function = given(call, "function");
      if (!function) refuse(place + ": only calls of functions can be translated");
      blocks.push_back({{"type", "tool_use"},
                        {"id", tool_id(text_member(call, "id", place))},
                        {"name", text_member(*function, "name", place)},
                        {"input", arguments_object(text_of(*function, "arguments"))}});
    }
    return blocks;
  }

  static json result_of(const json& message, const std::string& where) {
    return {{"type", "tool_result"},
            {"tool_use_id", tool_id(text_member(message, "tool_call_id", where))},
            {"content", blocks_of(message, where + ".content")}};
  }

  json system_ = json::array();
  json list_ = json::array();
};

json tools_of(const json& tools) {
  json list = json::array();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = "tools[" + std::to_string(i) + "]";
    if (text_member(tools[i], "type", where) != "function") {
      refuse(where + ": the upstream speaks Messages, which knows functions only");
    }
    const json& function = tools[i].at("function");
    json tool = {{"name", text_member(function, "name", where)}};
    if (auto about = text_of(function, "description"); !about.empty()) {
      tool["description"] = std::move(about);
    }
    const json* schema = given(function, "parameters");
    tool["input_schema"] =
        schema ? *schema : json{{"type", "object"}, {"properties", json::object()}};
    list.push_back(std::move(tool));
  }
  return list;
}

json tool_choice_of(const json* choice) {
  if (!choice || *choice == "auto") return {{"type", "auto"}};
  if (*choice == "none") return {{"type", "none"}};
  if (*choice == "required") return {{"type", "any"}};
  if (choice->is_object() && text_of(*choice, "type") == "function") {
    return {{"type", "tool"},
            {"name", text_member(choice->at("function"), "name", "tool_choice.function")}};
  }
  refuse(
      "tool_choice: the upstream speaks Messages, which knows 'auto', 'none', 'required' and "
      "the name of a function");
}

void put_tools(const json& request, json& out) {
  const json* tools = given(request, "tools");
  if (!tools || tools->empty()) return;
  out["tools"] = tools_of(*tools);
  const json* choice = given(request, "tool_choice");
  const json* parallel = given(request, "parallel_tool_calls");
  const bool one_by_one = parallel && *parallel == false;
  if (!choice && !one_by_one) return;
  json chosen = tool_choice_of(choice);
  if (one_by_one && chosen["type"] != "none") chosen["disable_parallel_tool_use"] = true;
  out["tool_choice"] = std::move(chosen);
}

void put_format(const json& request, json& out) {
  const json* format = given(request, "response_format");
  if (!format || text_of(*format, "type") == "text") return;
  if (text_of(*format, "type") != "json_schema") {
    refuse("response_format: the upstream speaks Messages, which knows 'text' and 'json_schema'");
  }
  out["output_config"] = {
      {"format", {{"type", "json_schema"}, {"schema", format->at("json_schema").at("schema")}}}};
}

void put_sampling(const json& request, json& out) {
  if (const json* heat = given(request, "temperature")) {
    if (!heat->is_number() || *heat > 1) {
      refuse("'temperature' must be at most 1: the upstream speaks Messages, which knows no more");
    }
    out["temperature"] = *heat;
  }
  if (const json* stops = given(request, "stop")) {
    out["stop_sequences"] = stops->is_array() ? *stops : json::array({*stops});
  }
}

/// What an answer could not have.
void check_wishes(const json& request) {
  for (const char* key : {"logprobs", "top_logprobs", "logit_bias"}) {
    const json* wish = given(request, key);
    if (wish && *wish != false && *wish != 0 && *wish != json::object()) {
      refuse("'" + std::string(key) + "': the upstream speaks Messages, which does not know it");
    }
  }
}

translated_request translate(const std::string& body, const request_limits& limits) {
  const json request = parse(body);
  check_wishes(request);
  json out;
  for (const char* key : same_fields) {
    if (const json* value = given(request, key)) out[key] = *value;
  }
  const auto old_name = read_cap(request, "max_tokens", limits.max_output_tokens);
  const auto new_name = read_cap(request, "max_completion_tokens", limits.max_output_tokens);
  const auto cap = std::max(old_name.value_or(0), new_name.value_or(0));
  out["max_tokens"] = cap > 0 ? cap : limits.default_output_tokens;
  if (read_stream(request)) out["stream"] = true;
  message_list list;
  const json& messages = request.at("messages");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    list.add(messages[i], "messages[" + std::to_string(i) + "]");
  }
  list.put_into(out);
  put_tools(request, out);
  put_format(request, out);
  put_sampling(request, out);
  return {openai::written(out), false};
}

}  // namespace

translated request_to_messages(const std::string& body, const request_limits& limits) {
  try {
    return translate(body, limits);
  } catch (const refused& why) {
    return request_refusal{why.message};
  } catch (const json::exception&) {
    return request_refusal{"the body cannot be translated into a Messages request"};
  }
}

}  // namespace germline::worker::translation
