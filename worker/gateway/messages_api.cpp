#include "worker/gateway/messages_api.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <vector>

namespace germline::worker {
namespace {

using nlohmann::json;
using names = std::span<const std::string_view>;

constexpr int max_depth = 200;
constexpr std::int64_t provider_prompt_tokens = 2000;  // the tool prompt that the provider adds
constexpr std::int64_t image_tokens = 5000;            // of the dearest resolution

constexpr std::array<std::string_view, 17> allowed_fields = {
    "model",         "messages",     "system",   "tools",         "tool_choice",
    "max_tokens",    "stream",       "top_p",    "top_k",         "stop_sequences",
    "temperature",   "metadata",     "thinking", "cache_control", "context_management",
    "output_config", "output_format"};
// A tool of one of these kinds runs where the agent runs.
constexpr std::array<std::string_view, 4> client_tool_prefixes = {"bash_", "text_editor_",
                                                                  "computer_", "memory_"};
constexpr std::array<std::string_view, 8> allowed_blocks = {
    "text",        "image",    "document",          "tool_use",
    "tool_result", "thinking", "redacted_thinking", "search_result"};

struct refused {
  std::string message;
};
[[noreturn]] void refuse(std::string message) {
  throw refused{std::move(message)};  // caught in check_messages_request
}

bool has(names list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string shown(std::string_view name) {
  return "'" + std::string(name.substr(0, 100)) + (name.size() > 100 ? "…'" : "'");
}

const std::string& text_member(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    refuse(where + ": '" + key + "' must be a string");
  }
  return found->get_ref<const std::string&>();
}

/// Parses strictly: two readers of one body must not see two requests, so a repeated key is
/// refused.
json parse_strictly(std::string_view body) {
  std::vector<std::set<std::string, std::less<>>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > max_depth) refuse("the body is nested too deeply");
    if (event == json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) refuse("the key " + shown(key) + " is there twice");
    }
    return true;
  };
  json request = json::parse(body, watch, false);
  if (!request.is_object()) refuse("the body must be a JSON object");
  return request;
}

class content_checker {
 public:
  std::int64_t images() const { return images_; }

  /// A string, or a list of content blocks.
  void check(const json& content, const std::string& where) {
    if (content.is_string()) return;
    if (!content.is_array()) refuse(where + ": content must be a string or a list");
    for (std::size_t i = 0; i < content.size(); ++i) {
      check_block(content[i], where + "[" + std::to_string(i) + "]");
    }
  }

 private:
  void check_block(const json& block, const std::string& where) {
    if (!block.is_object()) refuse(where + " must be an object");
    const std::string& type = text_member(block, "type", where);
    if (!has(allowed_blocks, type)) {
      refuse(where + ": content of type " + shown(type) + " is not allowed here");
    }
    if (type == "image") {
      ++images_;
      check_source(block, "image", {}, where);
    } else if (type == "document") {
      check_source(block, "document", "text", where);
    } else if (type == "tool_result" || type == "search_result") {
      // The input of a tool_use is the agent's own data and is not looked into.
      if (block.contains("content")) check(block["content"], where + ".content");
    }
  }

  void check_source(const json& block, const char* what, std::string_view plain,
                    const std::string& where) {
    const auto source = block.find("source");
    if (source == block.end() || !source->is_object()) refuse(where + ": 'source' is missing");
    const std::string& type = text_member(*source, "type", where + ".source");
    if (plain.empty() ? type == "base64" : type == plain) return;
    if (!plain.empty() && type == "content" && source->contains("content")) {
      return check((*source)["content"], where + ".source.content");
    }
    refuse(where + ": a source of type " + shown(type) + " is not allowed for " + what +
           "; only content within the request is");
  }

  std::int64_t images_ = 0;
};

void check_tools(const json& tools) {
  if (!tools.is_array()) refuse("'tools' must be a list");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = "tools[" + std::to_string(i) + "]";
    if (!tools[i].is_object()) refuse(where + " must be an object");
    if (!tools[i].contains("type")) continue;  // a custom tool
    const std::string& type = text_member(tools[i], "type", where);
    bool client_side = type == "custom";
    for (const auto prefix : client_tool_prefixes) {
      client_side = client_side || type.starts_with(prefix);
    }
    if (!client_side) {
      refuse(where + ": the tool type " + shown(type) +
             " is not allowed; only tools that run in the sandbox are");
    }
  }
}

void check_context_management(const json& management) {
  if (!management.is_object()) refuse("'context_management' must be an object");
  for (const auto& [key, edits] : management.items()) {
    if (key != "edits" || !edits.is_array()) {
      refuse("context_management." + shown(key) + " is not allowed");
    }
    for (const auto& edit : edits) {
      const std::string& type = text_member(edit, "type", "context_management.edits");
      if (!type.starts_with("clear_")) {
        refuse("context_management: an edit of type " + shown(type) + " is not allowed");
      }
    }
  }
}

void check_messages(const json& request, content_checker& content) {
  const auto messages = request.find("messages");
  if (messages == request.end() || !messages->is_array() || messages->empty()) {
    refuse("'messages' must be a list that is not empty");
  }
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const std::string where = "messages[" + std::to_string(i) + "]";
    const json& message = (*messages)[i];
    if (!message.is_object() || !message.contains("content")) {
      refuse(where + " must be an object with 'role' and 'content'");
    }
    for (const auto& [key, ignored] : message.items()) {
      if (key != "role" && key != "content") {
        refuse(where + ": the field " + shown(key) + " is not allowed");
      }
    }
    content.check(message["content"], where + ".content");
  }
  if (request.contains("system")) content.check(request["system"], "system");
}

messages_request check(std::string_view body, messages_route route, std::int64_t largest) {
  const json request = parse_strictly(body);
  for (const auto& [key, ignored] : request.items()) {
    if (!has(allowed_fields, key)) refuse("the field " + shown(key) + " is not allowed");
  }
  messages_request facts;
  facts.model = text_member(request, "model", "the request");
  content_checker content;
  check_messages(request, content);
  if (request.contains("tools")) check_tools(request["tools"]);
  if (request.contains("context_management")) {
    check_context_management(request["context_management"]);
  }
  if (request.contains("stream")) {
    if (!request["stream"].is_boolean()) refuse("'stream' must be true or false");
    facts.stream = request["stream"];
  }
  if (route == messages_route::create) {
    const auto cap = request.find("max_tokens");
    if (cap == request.end() || !cap->is_number_integer() || *cap < 1 || *cap > largest) {
      refuse("'max_tokens' must be a whole number from 1 to " + std::to_string(largest));
    }
    facts.max_tokens = *cap;
  }
  facts.input_bound_tokens = static_cast<std::int64_t>(body.size()) + provider_prompt_tokens +
                             content.images() * image_tokens;
  return facts;
}

}  // namespace

std::variant<messages_request, messages_refusal> check_messages_request(
    std::string_view body, messages_route route, std::int64_t largest_max_tokens) {
  try {
    return check(body, route, largest_max_tokens);
  } catch (const refused& why) {
    return messages_refusal{why.message};
  } catch (const json::exception&) {
    return messages_refusal{"the body cannot be read as a Messages request"};
  }
}

std::string messages_error(std::string_view type, std::string_view message) {
  const json body = {{"type", "error"}, {"error", {{"type", type}, {"message", message}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string_view messages_error_type(unsigned status) {
  switch (status) {
    case 400:
      return "invalid_request_error";
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace germline::worker
