#include "worker/gateway/translation/request_to_chat.hpp"

#include <nlohmann/json.hpp>

#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/strict_body.hpp"
#include "worker/gateway/translation/wording.hpp"

namespace germline::worker::translation {
namespace {

using nlohmann::json;
using namespace strict;

/// Fields that mean the same under the same name.
constexpr std::array<const char*, 3> same_fields = {"model", "temperature", "top_p"};

json text_part(std::string text) {
  return {{"type", "text"}, {"text", std::move(text)}};
}

/// What a content list of Messages becomes: parts of Chat Completions.
class parts {
 public:
  void add(const json& content, const std::string& where) {
    if (content.is_string()) return add_text(content.get<std::string>());
    for (std::size_t i = 0; i < content.size(); ++i) {
      add_block(content[i], where + "[" + std::to_string(i) + "]");
    }
  }

  void add_block(const json& block, const std::string& where) {
    const std::string& type = text_member(block, "type", where);
    if (type == "text") {
      add_text(text_member(block, "text", where));
    } else if (type == "image") {
      add_image(block.at("source"), where);
    } else if (type == "document") {
      add_document(block, where);
    } else if (type == "search_result") {
      add_text(text_of(block, "title") + "\n" + text_of(block, "source"));
      if (const json* content = given(block, "content")) add(*content, where + ".content");
    } else {
      refuse(where + ": content of type " + shown(type) + " cannot stand here");
    }
  }

  /// All text, without the pictures.
  std::string text(std::string_view between) const {
    std::string all;
    bool first = true;
    for (const auto& part : list_) {
      if (part["type"] != "text") continue;
      if (!first) all += between;
      all += part["text"].get_ref<const std::string&>();
      first = false;
    }
    return all;
  }
  json images() const {
    json all = json::array();
    for (const auto& part : list_) {
      if (part["type"] != "text") all.push_back(part);
    }
    return all;
  }
  /// As a message's content: text alone as a string, which every server takes.
  json content() const {
    if (list_.size() == 1 && list_[0]["type"] == "text") return list_[0]["text"];
    return list_;
  }
  void append(const json& more) {
    for (const auto& part : more) list_.push_back(part);
  }
  bool empty() const { return list_.empty(); }

 private:
  void add_text(std::string text) { list_.push_back(text_part(std::move(text))); }

  void add_image(const json& source, const std::string& where) {
    list_.push_back({{"type", "image_url"},
                     {"image_url",
                      {{"url", "data:" + text_member(source, "media_type", where + ".source") +
                                   ";base64," + text_member(source, "data", where + ".source")}}}});
  }

  void add_document(const json& block, const std::string& where) {
    for (const char* key : {"title", "context"}) {
      if (auto text = text_of(block, key); !text.empty()) add_text(std::move(text));
    }
    const json& source = block.at("source");
    if (text_member(source, "type", where + ".source") == "text") {
      return add_text(text_member(source, "data", where + ".source"));
    }
    add(source.at("content"), where + ".source.content");
  }

  json list_ = json::array();
};

json tool_call(const json& block, const std::string& where) {
  const json* input = given(block, "input");
  const json arguments = input ? *input : json::object();
  return {
      {"id", text_member(block, "id", where)},
      {"type", "function"},
      {"function",
       {{"name", text_member(block, "name", where)}, {"arguments", openai::written(arguments)}}}};
}

class message_list {
 public:
  json take() { return std::move(list_); }

  void add_system(const json& system) {
    parts all;
    all.add(system, "system");
    const auto text = all.text("\n\n");
    if (!text.empty()) list_.push_back({{"role", "system"}, {"content", text}});
  }

  void add(const json& message, const std::string& where) {
    const std::string& role = text_member(message, "role", where);
    if (role == "user") return add_user(message["content"], where + ".content");
    if (role == "assistant") return add_assistant(message["content"], where + ".content");
    refuse(where + ": the role " + shown(role) + " cannot be translated");
  }

 private:
  // Results stand right behind their calls, each a message of its own; what else the user says
  // comes after them, and before it the results' pictures, which a tool's message cannot hold.
  void add_user(const json& content, const std::string& where) {
    parts pictures;
    parts said;
    if (content.is_string()) said.add(content, where);
    for (std::size_t i = 0; content.is_array() && i < content.size(); ++i) {
      const auto place = where + "[" + std::to_string(i) + "]";
      if (text_member(content[i], "type", place) == "tool_result") {
        add_result(content[i], place, pictures);
      } else {
        said.add_block(content[i], place);
      }
    }
    if (!pictures.empty()) list_.push_back({{"role", "user"}, {"content", pictures.content()}});
    if (!said.empty()) list_.push_back({{"role", "user"}, {"content", said.content()}});
  }

  void add_result(const json& block, const std::string& where, parts& pictures) {
    const std::string& id = text_member(block, "tool_use_id", where);
    parts result;
    if (const json* content = given(block, "content")) result.add(*content, where + ".content");
    const json* is_error = given(block, "is_error");
    const bool failed = is_error && *is_error == true;
    list_.push_back({{"role", "tool"},
                     {"tool_call_id", id},
                     {"content", (failed ? "Error: " : "") + result.text("\n")}});
    const json images = result.images();
    if (images.empty()) return;
    pictures.add("What the tool call " + id + " shows:", where);
    pictures.append(images);
  }

  void add_assistant(const json& content, const std::string& where) {
    parts said;
    json calls = json::array();
    if (content.is_string()) said.add(content, where);
    for (std::size_t i = 0; content.is_array() && i < content.size(); ++i) {
      const auto place = where + "[" + std::to_string(i) + "]";
      const std::string& type = text_member(content[i], "type", place);
      if (type == "tool_use") {
        calls.push_back(tool_call(content[i], place));
      } else if (type == "text") {
        said.add_block(content[i], place);
      } else if (type != "thinking" && type != "redacted_thinking") {
        refuse(place + ": content of type " + shown(type) + " cannot stand here");
      }
    }
    json message = {{"role", "assistant"}, {"content", said.text("")}};
    if (!calls.empty()) {
      if (said.empty()) message["content"] = nullptr;
      message["tool_calls"] = std::move(calls);
    }
    list_.push_back(std::move(message));
  }

  json list_ = json::array();
};

json messages_of(const json& request) {
  message_list list;
  if (const json* system = given(request, "system")) list.add_system(*system);
  const json& messages = request.at("messages");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    list.add(messages[i], "messages[" + std::to_string(i) + "]");
  }
  if (text_member(messages.back(), "role", "messages") == "assistant") {
    refuse(
        "the upstream speaks Chat Completions, which goes on with no answer that was begun: "
        "the last message must be the user's");
  }
  return list.take();
}

json tools_of(const json& tools) {
  json list = json::array();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = "tools[" + std::to_string(i) + "]";
    const json& tool = tools[i];
    if (const auto type = text_of(tool, "type"); !type.empty() && type != "custom") {
      refuse(where + ": the upstream speaks Chat Completions, which knows no tool of type " +
             shown(type) + "; declare it with an input_schema");
    }
    json function = {{"name", text_member(tool, "name", where)}};
    if (auto about = text_of(tool, "description"); !about.empty()) {
      function["description"] = std::move(about);
    }
    if (const json* schema = given(tool, "input_schema")) function["parameters"] = *schema;
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return list;
}

void put_tool_choice(const json& choice, json& out) {
  const std::string& type = text_member(choice, "type", "tool_choice");
  if (type == "auto" || type == "none") {
    out["tool_choice"] = type;
  } else if (type == "any") {
    out["tool_choice"] = "required";
  } else if (type == "tool") {
    out["tool_choice"] = {{"type", "function"},
                          {"function", {{"name", text_member(choice, "name", "tool_choice")}}}};
  } else {
    refuse("tool_choice: the type " + shown(type) + " cannot be translated");
  }
  const json* one = given(choice, "disable_parallel_tool_use");
  if (one && *one == true) out["parallel_tool_calls"] = false;
}

void put_format(const json& format, json& out) {
  if (text_member(format, "type", "the output's format") != "json_schema") {
    refuse("the output's format must be of type 'json_schema'");
  }
  out["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "answer"}, {"schema", format.at("schema")}, {"strict", true}}}};
}

translated_request translate(const std::string& body, const request_limits& limits) {
  const json request = parse(body);
  json out;
  for (const char* key : same_fields) {
    if (const json* value = given(request, key)) out[key] = *value;
  }
  out["messages"] = messages_of(request);
  out[std::string(limits.chat_cap)] = request.at("max_tokens");
  if (read_stream(request)) {
    out["stream"] = true;
    out["stream_options"] = {{"include_usage", true}};
  }
  if (const json* stops = given(request, "stop_sequences"); stops && !stops->empty()) {
    out["stop"] = *stops;
  }
  if (const json* tools = given(request, "tools"); tools && !tools->empty()) {
    out["tools"] = tools_of(*tools);
    if (const json* choice = given(request, "tool_choice")) put_tool_choice(*choice, out);
  }
  if (const json* format = given(request, "output_format")) put_format(*format, out);
  const json* config = given(request, "output_config");
  if (config) {
    if (const json* format = given(*config, "format")) put_format(*format, out);
  }
  const json* thinking = given(request, "thinking");
  const auto mode = thinking ? text_of(*thinking, "type") : std::string();
  return {openai::written(out), mode == "enabled" || mode == "adaptive"};
}

}  // namespace

translated request_to_chat(const std::string& body, const request_limits& limits) {
  try {
    return translate(body, limits);
  } catch (const refused& why) {
    return request_refusal{why.message};
  } catch (const json::exception&) {
    return request_refusal{"the body cannot be translated into a Chat Completions request"};
  }
}

}  // namespace germline::worker::translation
