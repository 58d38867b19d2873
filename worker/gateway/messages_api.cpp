#include "worker/gateway/dialect.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "worker/gateway/messages_reader.hpp"
#include "worker/gateway/strict_body.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;
using namespace strict;

constexpr std::int64_t provider_prompt_tokens = 2000;  // the tool prompt that the provider adds
constexpr std::int64_t image_tokens = 5000;            // of the dearest resolution

constexpr std::array<std::string_view, 17> allowed_fields = {
    "model",         "messages",     "system",   "tools",         "tool_choice",
    "max_tokens",    "stream",       "top_p",    "top_k",         "stop_sequences",
    "temperature",   "metadata",     "thinking", "cache_control", "context_management",
    "output_config", "output_format"};
constexpr std::array<std::string_view, 5> never_allowed = {
    "mcp_servers", "container", "service_tier", "speed", "inference_geo"};
// A tool of one of these kinds runs where the agent runs.
constexpr std::array<std::string_view, 4> client_tool_prefixes = {"bash_", "text_editor_",
                                                                  "computer_", "memory_"};
// Content that the gateway passes, and the members that it may have.
struct block_kind {
  std::string_view type;
  names members;
};
constexpr std::array<std::string_view, 4> text_members = {"type", "text", "citations",
                                                          "cache_control"};
constexpr std::array<std::string_view, 3> image_members = {"type", "source", "cache_control"};
constexpr std::array<std::string_view, 6> document_members = {
    "type", "source", "title", "context", "citations", "cache_control"};
constexpr std::array<std::string_view, 6> tool_use_members = {"type",  "id",     "name",
                                                              "input", "caller", "cache_control"};
constexpr std::array<std::string_view, 5> tool_result_members = {"type", "tool_use_id", "content",
                                                                 "is_error", "cache_control"};
constexpr std::array<std::string_view, 3> thinking_members = {"type", "thinking", "signature"};
constexpr std::array<std::string_view, 2> redacted_thinking_members = {"type", "data"};
constexpr std::array<std::string_view, 6> search_result_members = {
    "type", "source", "title", "content", "citations", "cache_control"};
constexpr std::array<block_kind, 8> allowed_blocks = {
    {{"text", text_members},
     {"image", image_members},
     {"document", document_members},
     {"search_result", search_result_members},
     {"tool_use", tool_use_members},
     {"tool_result", tool_result_members},
     {"thinking", thinking_members},
     {"redacted_thinking", redacted_thinking_members}}};
// Where content may stand, which of these may: the first so many.
constexpr std::size_t in_system = 1;
constexpr std::size_t in_result = 4;
constexpr std::size_t in_message = allowed_blocks.size();

constexpr std::array<std::string_view, 3> cache_members = {"type", "ttl", "scope"};
constexpr std::array<std::string_view, 3> data_members = {"type", "media_type", "data"};
constexpr std::array<std::string_view, 2> content_members = {"type", "content"};
// What a text that an earlier answer had may cite: places within the request.
constexpr std::array<std::string_view, 4> citation_types = {
    "char_location", "page_location", "content_block_location", "search_result_location"};

/// Whether it is an object of that member alone.
template <class Wanted>
bool is_just(const value& object, std::string_view key, Wanted wanted) {
  const value* found = object.find(key);
  return found && object.members().size() == 1 && found->is(wanted);
}

class content_checker {
 public:
  std::int64_t images() const { return images_; }

  /// A string, or a list of content blocks, of the first `kinds` that are allowed.
  void check(const value& content, std::size_t kinds, const place& where) {
    if (content.is_string()) return;
    if (!content.is_array()) refuse(where.text() + ": content must be a string or a list");
    std::size_t i = 0;
    for (const auto& block : content.elements()) {
      check_block(block, kinds, place(where, i++));
    }
  }

 private:
  void check_block(const value& block, std::size_t kinds, const place& where) {
    if (!block.is_object()) refuse(where.text() + " must be an object");
    const auto type = text_member(block, "type", where);
    const auto* end = allowed_blocks.begin() + kinds;
    const auto* kind = std::find_if(allowed_blocks.begin(), end,
                                    [&](const block_kind& one) { return one.type == type; });
    if (kind == end) {
      refuse(where.text() + ": content of type " + shown(type) + " is not allowed here");
    }
    only_members(block, kind->members, where);
    if (const value* cache = given(block, "cache_control")) {
      only_members(*cache, cache_members, place(where, ".cache_control"));
    }
    if (type == "text") {
      text_member(block, "text", where);  // anything else could hide what is not looked into
      check_citations(block, where);
    } else if (type == "image") {
      ++images_;
      check_source(block, "image", {}, where);
    } else if (type == "document") {
      check_no_citing(block, where);
      check_source(block, "document", "text", where);
    } else if (type == "search_result") {
      check_no_citing(block, where);
      if (const value* inner = block.find("content"))
        check(*inner, in_system, place(where, ".content"));
    } else if (type == "tool_result") {
      // The input of a tool_use is the agent's own data and is not looked into.
      if (const value* inner = block.find("content"))
        check(*inner, in_result, place(where, ".content"));
    } else if (const value* caller = given(block, "caller")) {
      if (!is_just(*caller, "type", "direct"))
        refuse(where.text() + ".caller must be of type 'direct'");
    }
  }

  static void check_citations(const value& block, const place& where) {
    const value* citations = given(block, "citations");
    if (!citations) return;
    if (!citations->is_array()) refuse(where.text() + ".citations must be a list");
    for (const auto& one : citations->elements()) {
      const auto type = text_member(one, "type", place(where, ".citations"));
      if (!has(citation_types, type)) {
        refuse(where.text() + ".citations: the type " + shown(type) + " is not allowed");
      }
    }
  }

  // The provider adds to the prompt for them, which nothing bounds.
  static void check_no_citing(const value& block, const place& where) {
    const value* citations = given(block, "citations");
    if (citations && !is_just(*citations, "enabled", false)) {
      refuse(where.text() + ".citations must be {\"enabled\": false} or left out");
    }
  }

  void check_source(const value& block, const char* what, std::string_view plain,
                    const place& where) {
    const value* source = block.find("source");
    if (!source || !source->is_object()) refuse(where.text() + ": 'source' is missing");
    const auto type = text_member(*source, "type", place(where, ".source"));
    if (plain.empty() ? type == "base64" : type == plain) {
      only_members(*source, data_members, place(where, ".source"));
      text_member(*source, "data", place(where, ".source"));
      return;
    }
    if (!plain.empty() && type == "content" && source->contains("content")) {
      only_members(*source, content_members, place(where, ".source"));
      return check(*source->find("content"), in_result, place(where, ".source.content"));
    }
    refuse(where.text() + ": a source of type " + shown(type) + " is not allowed for " + what +
           "; only content within the request is");
  }

  std::int64_t images_ = 0;
};

void check_tools(const value& tools) {
  if (!tools.is_array()) refuse("'tools' must be a list");
  const place all("tools");
  std::size_t i = 0;
  for (const auto& tool : tools.elements()) {
    const place where(all, i++);
    if (!tool.is_object()) refuse(where.text() + " must be an object");
    one_spelling(tool, "type", where);
    if (!tool.contains("type")) continue;  // a custom tool
    const auto type = text_member(tool, "type", where);
    bool client_side = type == "custom";
    for (const auto prefix : client_tool_prefixes) {
      client_side = client_side || type.starts_with(prefix);
    }
    if (!client_side) {
      refuse(where.text() + ": the tool type " + shown(type) +
             " is not allowed; only tools that run in the sandbox are");
    }
  }
}

void check_context_management(const value& management) {
  if (!management.is_object()) refuse("'context_management' must be an object");
  for (const auto& [key, edits] : management.members()) {
    if (key != "edits" || !edits.is_array()) {
      refuse("context_management." + shown(key) + " is not allowed");
    }
    const place edits_place("context_management.edits");
    for (const auto& edit : edits.elements()) {
      const auto type = text_member(edit, "type", edits_place);
      one_spelling(edit, "type", edits_place);
      if (!type.starts_with("clear_")) {
        refuse("context_management: an edit of type " + shown(type) + " is not allowed");
      }
    }
  }
}

void check_messages(const value& request, content_checker& content) {
  const value* messages = request.find("messages");
  if (!messages || messages->elements().empty()) {
    refuse("'messages' must be a list that is not empty");
  }
  const place all("messages");
  std::size_t i = 0;
  for (const auto& message : messages->elements()) {
    const place where(all, i++);
    const value* inner = message.find("content");
    if (!inner) {
      refuse(where.text() + " must be an object with 'role' and 'content'");
    }
    for (const auto& [key, ignored] : message.members()) {
      if (key != "role" && key != "content") {
        refuse(where.text() + ": the field " + shown(key) + " is not allowed");
      }
    }
    content.check(*inner, in_message, place(where, ".content"));
  }
  if (const value* system = request.find("system"))
    content.check(*system, in_system, place("system"));
}

judgement check(const std::string& body, route_kind kind, const request_limits& limits) {
  const document whole(body);
  const value& request = whole.root();
  only_fields(request, allowed_fields, limits);
  request_facts facts;
  facts.model = text_member(request, "model", place("the request"));
  content_checker content;
  check_messages(request, content);
  if (const value* tools = request.find("tools")) check_tools(*tools);
  if (const value* management = request.find("context_management")) {
    check_context_management(*management);
  }
  facts.stream = read_stream(request);
  if (kind == route_kind::create) {
    const auto cap = read_cap(request, "max_tokens", limits.max_output_tokens);
    if (!cap) {
      refuse("'max_tokens' is missing; it must be a whole number from 1 to " +
             std::to_string(limits.max_output_tokens));
    }
    facts.max_output_tokens = *cap;
  }
  facts.input_bound_tokens = static_cast<std::int64_t>(body.size()) + provider_prompt_tokens +
                             content.images() * image_tokens;
  return facts;
}

std::string_view error_type(unsigned status) {
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

/// anthropic-version as the client sent it, if it is one.
std::string version_of(std::string_view sent) {
  const bool is_date = sent.size() == 10 && sent.find_first_not_of("0123456789-") == sent.npos;
  return is_date ? std::string(sent) : "2023-06-01";
}

/// Those of the comma-separated `sent` that are allowed.
std::string allowed_betas(std::string_view sent, const std::vector<std::string>& allowed) {
  std::string out;
  while (!sent.empty()) {
    const auto comma = sent.find(',');
    auto name = sent.substr(0, comma);
    sent.remove_prefix(comma == sent.npos ? sent.size() : comma + 1);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    for (const auto& good : allowed) {
      if (good == name) out += (out.empty() ? "" : ",") + good;
    }
  }
  return out;
}

class messages_api final : public dialect {
 public:
  std::string_view name() const override { return "messages"; }
  std::string_view prefix() const override { return "/v1/messages"; }

  std::optional<route_kind> route(std::string_view target) const override {
    if (target.ends_with("?beta=true")) target.remove_suffix(std::string_view("?beta=true").size());
    if (target == "/v1/messages") return route_kind::create;
    if (target == "/v1/messages/count_tokens") return route_kind::count;
    return std::nullopt;
  }

  std::span<const std::string_view> fields() const override { return allowed_fields; }
  std::span<const std::string_view> barred_fields() const override { return never_allowed; }

  judgement judge(const std::string& body, route_kind kind,
                  const request_limits& limits) const override {
    return judged_by("a Messages request", [&] { return check(body, kind, limits); });
  }

  std::vector<std::string> headers(const header_lookup& sent,
                                   const gateway_config& config) const override {
    std::vector<std::string> lines = {"anthropic-version: " +
                                      version_of(sent("anthropic-version"))};
    const auto betas = allowed_betas(sent("anthropic-beta"), config.betas);
    if (!betas.empty()) lines.push_back("anthropic-beta: " + betas);
    return lines;
  }

  std::unique_ptr<answer_reader> reader(bool event_stream, const request_facts&) const override {
    return std::make_unique<messages_reader>(event_stream);
  }

  std::string error(unsigned status, std::string_view message) const override {
    const json body = {{"type", "error"},
                       {"error", {{"type", error_type(status)}, {"message", message}}}};
    return body.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  std::string stream_error(std::string_view message) const override {
    return "\n\nevent: error\ndata: " + error(500, message) + "\n\n";
  }

  std::string models(std::string_view model, bool only) const override {
    const json one = {{"type", "model"},
                      {"id", model},
                      {"display_name", model},
                      {"created_at", "1970-01-01T00:00:00Z"}};
    if (only) return one.dump();
    const json list = {
        {"data", {one}}, {"has_more", false}, {"first_id", model}, {"last_id", model}};
    return list.dump();
  }
};

}  // namespace

const dialect& messages_dialect() {
  static const messages_api one;
  return one;
}

}  // namespace germline::worker
