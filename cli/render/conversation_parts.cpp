#include "cli/render/conversation_parts.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "common/text/nesting.hpp"

namespace germline::cli {
namespace {

using nlohmann::json;
using parts = std::vector<conversation_part>;

constexpr std::size_t max_nesting = 500;

json parsed(std::string_view text) {
  if (json_nesting(text) > max_nesting) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false);
}

const json& member(const json& object, const char* key) {
  static const json none;
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_at(const json& object, const char* key) {
  return text_of(member(object, key));
}

/// Reads messages one after the other; knows which call a result is of.
class reader {
 public:
  explicit reader(parts& into) : into_(into) {}

  void add(std::string heading, std::string text) {
    into_.push_back({std::move(heading), std::move(text)});
  }

  void add_message(const json& message) {
    auto role = text_at(message, "role");
    if (role.empty()) role = "message";
    if (role == "tool") {
      return add(result_heading(text_at(message, "tool_call_id"), false),
                 joined(member(message, "content")));
    }
    const auto& thoughts = member(message, "reasoning_content");
    if (thoughts.is_string() && thoughts != "") add(role + " thinks", text_of(thoughts));
    add_content(role, member(message, "content"));
    add_content(role, member(message, "refusal"));
    for (const auto& call : member(message, "tool_calls")) {
      const auto& function = member(call, call.contains("custom") ? "custom" : "function");
      const auto& input = member(function, "arguments");
      add_call(role, text_at(function, "name"), text_at(call, "id"),
               text_of(input.is_null() ? member(function, "input") : input));
    }
  }

  /// An item of Responses.
  void add_item(const json& item) {
    const auto type = text_at(item, "type");
    if (type.ends_with("_call_output")) {
      const auto& output = member(item, "output");
      return add(result_heading(text_at(item, "call_id"), false), joined(output));
    }
    if (type.ends_with("_call")) {
      const auto name = text_at(item, "name");
      for (const char* key : {"arguments", "input", "action", "operation"}) {
        if (member(item, key).is_null()) continue;
        return add_call("assistant", name.empty() ? type : name, text_at(item, "call_id"),
                        text_at(item, key));
      }
    }
    if (type == "reasoning") {
      const auto text = joined(member(item, "summary"));
      if (!text.empty()) add("assistant thinks", text);
      return;
    }
    if (type.empty() || type == "message") return add_message(item);
    add("assistant " + type, text_of(item));
  }

  void add_content(const std::string& role, const json& content) {
    if (content.is_string()) {
      if (content != "") add(role, text_of(content));
    } else if (content.is_array()) {
      for (const auto& block : content) add_block(role, block);
    }
  }

  void add_block(const std::string& role, const json& block) {
    const auto type = text_at(block, "type");
    if (type == "tool_use") {
      return add_call(role, text_at(block, "name"), text_at(block, "id"), text_at(block, "input"));
    }
    if (type == "tool_result") {
      const bool failed = member(block, "is_error") == true;
      return add(result_heading(text_at(block, "tool_use_id"), failed),
                 joined(member(block, "content")));
    }
    if (type == "thinking") return add(role + " thinks", text_at(block, "thinking"));
    add(role, short_block(block));
  }

 private:
  void add_call(const std::string& role, const std::string& name, const std::string& id,
                std::string input) {
    if (!id.empty()) names_[id] = name;
    add(role + " calls " + name, std::move(input));
  }

  std::string result_heading(const std::string& id, bool failed) const {
    const auto found = names_.find(id);
    const auto name = found == names_.end() ? id : found->second;
    return std::string(failed ? "error" : "result") + (name.empty() ? "" : " of " + name);
  }

  /// A picture is not to be printed.
  static std::string short_block(const json& block) {
    if (const auto& text = member(block, "text"); text.is_string()) return text_of(text);
    if (block.is_string()) return text_of(block);
    return "[" + (block.is_object() ? text_at(block, "type") : "part") + ", " +
           std::to_string(text_of(block).size()) + " bytes]";
  }

  static std::string joined(const json& content) {
    if (!content.is_array()) return text_of(content);
    std::string text;
    for (const auto& block : content) text += (text.empty() ? "" : "\n") + short_block(block);
    return text;
  }

  parts& into_;
  std::map<std::string, std::string> names_;  // of tools, by the id of their call
};

std::string tool_names(const json& tools) {
  std::string names;
  for (const auto& tool : tools) {
    auto name = text_at(tool, "name");
    if (name.empty()) name = text_at(member(tool, "function"), "name");
    if (name.empty()) name = text_at(member(tool, "custom"), "name");
    if (name.empty()) name = text_at(tool, "type");
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

void add_whole_answer(reader& into, const json& answer) {
  if (const auto& failed = member(answer, "error"); failed.is_object()) {
    const auto message = text_at(failed, "message");
    return into.add("error", message.empty() ? text_of(failed) : message);
  }
  if (const auto& choices = member(answer, "choices"); choices.is_array() && !choices.empty()) {
    return into.add_message(member(choices[0], "message"));
  }
  if (const auto& output = member(answer, "output"); output.is_array()) {
    for (const auto& item : output) into.add_item(item);
    return;
  }
  if (member(answer, "content").is_array()) return into.add_message(answer);
  into.add("answer", text_of(answer));
}

/// Puts the pieces of a stream together to what a whole answer would have been.
class stream_reader {
 public:
  void take(const json& event) {
    const auto type = text_at(event, "type");
    if (member(event, "error").is_object()) error_ = event;
    if (type == "response.output_item.done") output_.push_back(member(event, "item"));
    if (type.starts_with("content_block_")) take_block(type, event);
    const auto& choices = member(event, "choices");
    if (choices.is_array() && !choices.empty()) take_delta(member(choices[0], "delta"));
  }

  void finish(reader& into) {
    for (auto& [index, block] : blocks_) {
      if (const auto found = inputs_.find(index); found != inputs_.end()) {
        auto input = parsed(found->second);
        block["input"] = input.is_discarded() ? json(found->second) : std::move(input);
      }
      into.add_block("assistant", block);
    }
    for (const auto& item : output_) into.add_item(item);
    if (!thoughts_.empty()) into.add("assistant thinks", thoughts_);
    json calls = json::array();
    for (auto& [index, call] : calls_) calls.push_back(std::move(call));
    into.add_message({{"role", "assistant"}, {"content", content_}, {"tool_calls", calls}});
    if (!error_.is_null()) add_whole_answer(into, error_);
  }

 private:
  static void append(json& object, const char* key, const json& more) {
    if (!more.is_string()) return;
    auto& text = object[key];
    if (!text.is_string()) text = "";
    text.get_ref<std::string&>() += more.get_ref<const std::string&>();
  }

  static std::int64_t index_of(const json& object) {
    const auto& index = member(object, "index");
    return index.is_number_integer() ? index.get<std::int64_t>() : 0;
  }

  void take_block(const std::string& type, const json& event) {
    const auto index = index_of(event);
    const auto& begun = member(event, "content_block");
    if (type == "content_block_start" && begun.is_object()) blocks_[index] = begun;
    const auto found = blocks_.find(index);
    if (type != "content_block_delta" || found == blocks_.end()) return;
    const auto& delta = member(event, "delta");
    append(found->second, "text", member(delta, "text"));
    append(found->second, "thinking", member(delta, "thinking"));
    if (const auto& input = member(delta, "partial_json"); input.is_string()) {
      inputs_[index] += input.get<std::string>();
    }
  }

  void take_delta(const json& delta) {
    if (const auto& more = member(delta, "content"); more.is_string()) content_ += text_of(more);
    for (const char* key : {"reasoning_content", "reasoning"}) {
      if (const auto& more = member(delta, key); more.is_string()) thoughts_ += text_of(more);
    }
    for (const auto& piece : member(delta, "tool_calls")) {
      auto& call = calls_[index_of(piece)];
      if (call.is_null()) call = {{"function", json::object()}};
      if (member(piece, "id").is_string()) call["id"] = piece["id"];
      const auto& function = member(piece, "function");
      append(call["function"], "name", member(function, "name"));
      append(call["function"], "arguments", member(function, "arguments"));
    }
  }

  std::map<std::int64_t, json> blocks_;  // of Messages
  std::map<std::int64_t, std::string> inputs_;
  std::vector<json> output_;            // of Responses
  std::map<std::int64_t, json> calls_;  // of Chat Completions
  std::string content_;
  std::string thoughts_;
  json error_;
};

}  // namespace

parts request_parts(std::string_view request) {
  parts all;
  const auto body = parsed(request);
  if (!body.is_object()) {
    if (!request.empty()) all.push_back({"request", std::string(request)});
    return all;
  }
  reader into(all);
  into.add_content("system", member(body, "system"));
  into.add_content("system", member(body, "instructions"));
  const auto names = tool_names(member(body, "tools"));
  if (!names.empty()) into.add("tools", names);
  const auto& messages = member(body, "messages");
  if (messages.is_array()) {
    for (const auto& message : messages) into.add_message(message);
  }
  const auto& input = member(body, "input");
  if (input.is_string()) into.add("user", text_of(input));
  if (input.is_array()) {
    for (const auto& item : input) into.add_item(item);
  }
  return all;
}

parts answer_parts(std::string_view answer) {
  parts all;
  reader into(all);
  if (answer.starts_with("event:") || answer.starts_with("data:") || answer.starts_with(":")) {
    stream_reader events;
    for (auto rest = answer; !rest.empty();) {
      const auto end = rest.find('\n');
      const auto line = rest.substr(0, end);
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      if (!line.starts_with("data:")) continue;
      if (const auto event = parsed(line.substr(5)); event.is_object()) events.take(event);
    }
    events.finish(into);
    return all;
  }
  const auto body = parsed(answer);
  if (body.is_object()) {
    add_whole_answer(into, body);
  } else if (!answer.empty()) {
    all.push_back({"answer", std::string(answer)});
  }
  return all;
}

}  // namespace germline::cli
