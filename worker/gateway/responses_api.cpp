// The OpenAI Responses dialect, for conversations that the agent keeps itself: nothing is stored at
// the provider, runs there in the background, or is fetched by it. A body passes byte for byte, but
// for `"store": false` and a cap on the output, which are put in where they are missing.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "worker/gateway/dialect.hpp"
#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/responses_reader.hpp"
#include "worker/gateway/strict_body.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;
using namespace strict;

constexpr std::array<std::string_view, 26> allowed_fields = {"model",
                                                             "input",
                                                             "instructions",
                                                             "tools",
                                                             "tool_choice",
                                                             "parallel_tool_calls",
                                                             "max_output_tokens",
                                                             "max_tool_calls",
                                                             "stream",
                                                             "stream_options",
                                                             "store",
                                                             "include",
                                                             "reasoning",
                                                             "text",
                                                             "temperature",
                                                             "top_p",
                                                             "top_logprobs",
                                                             "truncation",
                                                             "user",
                                                             "metadata",
                                                             "client_metadata",
                                                             "prompt_cache_key",
                                                             "safety_identifier",
                                                             "background",
                                                             "previous_response_id",
                                                             "conversation"};
constexpr std::array<std::string_view, 5> never_allowed = {
    "service_tier", "prompt", "previous_response_id", "conversation", "context_management"};
constexpr std::array<std::string_view, 2> allowed_includes = {"reasoning.encrypted_content",
                                                              "message.output_text.logprobs"};
// Tools that run where the agent runs.
constexpr std::array<std::string_view, 4> allowed_tools = {"function", "custom", "local_shell",
                                                           "apply_patch"};
constexpr std::array<std::string_view, 5> tool_choice_types = {"function", "custom", "local_shell",
                                                               "apply_patch", "allowed_tools"};
constexpr std::array<std::string_view, 14> allowed_items = {
    "message",          "reasoning",
    "additional_tools",  // as `tools` are, offered in the conversation
    "agent_message",     // of one agent of the client's to another
    "tool_search_call", "tool_search_output",
    "function_call",    "function_call_output",
    "custom_tool_call", "custom_tool_call_output",
    "local_shell_call", "local_shell_call_output",
    "apply_patch_call", "apply_patch_call_output"};
constexpr std::array<std::string_view, 20> item_members = {
    "type",   "id",        "role",      "content",
    "status", "phase",     "summary",   "encrypted_content",
    "name",   "call_id",   "arguments", "input",
    "output", "action",    "operation", "namespace",
    "tools",  "execution", "author",    "recipient"};
constexpr std::array<std::string_view, 5> allowed_texts = {
    "input_text", "output_text", "summary_text", "reasoning_text", "refusal"};
constexpr std::array<std::string_view, 5> text_members = {"type", "text", "refusal", "annotations",
                                                          "logprobs"};
// What an earlier answer had, for the provider alone to read; no shorter than what it says.
constexpr std::array<std::string_view, 2> encrypted_members = {"type", "encrypted_content"};
constexpr std::array<std::string_view, 4> image_members = {"type", "image_url", "detail",
                                                           "file_id"};

/// Tools whose own prompt the provider may add, each time that one stands there.
std::int64_t count_built_in(const value& tools) {
  return std::ranges::count_if(tools.elements(), [](const value& one) {
    const value* type = one.find("type");
    return type && (type->is("local_shell") || type->is("apply_patch"));
  });
}

/// A search among tools that the agent has, which it runs itself; the provider may run one as well.
void check_search(const value& search, const place& where) {
  one_spelling(search, "execution", where);
  const value* execution = search.find("execution");
  if (!execution || !execution->is("client")) {
    refuse(where.text() + ": 'execution' must be 'client', which runs in the sandbox");
  }
}

void check_tools(const value& tools, const place& all) {
  if (!tools.is_array()) refuse("'" + all.text() + "' must be a list");
  std::size_t i = 0;
  for (const auto& tool : tools.elements()) {
    const place where(all, i++);
    if (!tool.is_object()) refuse(where.text() + " must be an object");
    one_spelling(tool, "type", where);
    const auto type = text_member(tool, "type", where);
    if (type == "namespace") {  // tools under one name
      static constexpr std::array<std::string_view, 4> members = {"type", "name", "description",
                                                                  "tools"};
      only_members(tool, members, where);
      const value* within = given(tool, "tools");
      if (within && !within->is_array()) refuse(where.text() + ".tools must be a list");
      for (const auto& inner : within ? within->elements() : std::span<const value>()) {
        one_spelling(inner, "type", place(where, ".tools"));
        const auto inner_type = text_member(inner, "type", place(where, ".tools"));
        if (inner_type != "function" && inner_type != "custom") {
          refuse(where.text() +
                 ".tools: only functions and custom tools are allowed in a namespace");
        }
      }
    } else if (type == "tool_search") {
      check_search(tool, where);
    } else if (!has(allowed_tools, type)) {
      refuse(where.text() + ": the tool type " + shown(type) +
             " is not allowed; only tools that run in the sandbox are (function, custom, "
             "local_shell, apply_patch)");
    }
  }
}

class input_checker {
 public:
  std::int64_t images() const { return images_; }
  /// Of built-in tools that stand in the conversation.
  std::int64_t built_in() const { return built_in_; }

  void check(const value& input) {
    if (input.is_string()) return;
    if (!input.is_array()) refuse("'input' must be a string or a list");
    const place all("input");
    std::size_t i = 0;
    for (const auto& item : input.elements()) {
      check_item(item, place(all, i++));
    }
  }

 private:
  void check_item(const value& item, const place& where) {
    if (!item.is_object()) refuse(where.text() + " must be an object");
    // A message may leave its type out.
    const bool plain = !item.contains("type") && item.contains("role");
    const std::string_view type = plain ? "message" : text_member(item, "type", where);
    if (!has(allowed_items, type)) {
      refuse(where.text() + ": an item of type " + shown(type) + " is not allowed here");
    }
    only_members(item, item_members, where);
    if (type.starts_with("tool_search_")) check_search(item, where);
    if (const value* tools = given(item, "tools")) {
      check_tools(*tools, place(where, ".tools"));
      built_in_ += count_built_in(*tools);
    }
    for (const std::string_view key : {".content", ".summary", ".output"}) {
      if (const value* content = given(item, key.substr(1)))
        check_content(*content, place(where, key));
    }
  }

  void check_content(const value& content, const place& where) {
    if (content.is_string()) return;
    if (!content.is_array()) refuse(where.text() + " must be a string or a list");
    std::size_t i = 0;
    for (const auto& part : content.elements()) {
      check_part(part, place(where, i++));
    }
  }

  void check_part(const value& part, const place& where) {
    if (!part.is_object()) refuse(where.text() + " must be an object");
    const auto type = text_member(part, "type", where);
    if (has(allowed_texts, type)) {
      only_members(part, text_members, where);
      text_member(part, type == "refusal" ? "refusal" : "text", where);
      return;
    }
    if (type == "encrypted_content") {
      only_members(part, encrypted_members, where);
      text_member(part, "encrypted_content", where);
      return;
    }
    if (type != "input_image") {
      refuse(where.text() + ": content of type " + shown(type) + " is not allowed here");
    }
    ++images_;
    only_members(part, image_members, where);
    if (given(part, "file_id")) {
      refuse(where.text() + ": 'file_id' is not allowed; an image must be within the request");
    }
    check_inline_image(part.find("image_url"), place(where, ".image_url"));
  }

  std::int64_t images_ = 0;
  std::int64_t built_in_ = 0;
};

/// Fields whose values choose what the provider does, keeps, and is paid.
void check_choices(const value& request) {
  for (const char* key : {"previous_response_id", "conversation"}) {
    if (given(request, key)) {
      refuse("'" + std::string(key) + "' must be left out: send the whole conversation as input");
    }
  }
  const value* background = given(request, "background");
  if (background && !background->is(false)) refuse("'background' must be false or left out");
  const value* store = request.find("store");
  if (store && !store->is_null() && !store->is(false)) {
    refuse("'store' must be false or left out: nothing is kept at the provider");
  }
  const value* choice = given(request, "tool_choice");
  if (choice && !choice->is_string() &&
      !(choice->is_object() &&
        has(tool_choice_types, text_member(*choice, "type", place("tool_choice"))))) {
    refuse("'tool_choice' must be a string, or an object that names a tool of the sandbox");
  }
  if (const value* include = given(request, "include")) {
    if (!include->is_array()) refuse("'include' must be a list");
    for (const auto& one : include->elements()) {
      if (!one.is_string() || !has(allowed_includes, one.text())) {
        refuse(
            "'include' may hold 'reasoning.encrypted_content' and "
            "'message.output_text.logprobs' only");
      }
    }
  }
  if (const value* options = given(request, "stream_options")) {
    static constexpr std::array<std::string_view, 1> members = {"include_obfuscation"};
    only_members(*options, members, place("stream_options"));
  }
}

judgement check(const std::string& body, const request_limits& limits) {
  const document whole(body);
  const value& request = whole.root();
  only_fields(request, allowed_fields, limits);
  request_facts facts;
  facts.model = text_member(request, "model", place("the request"));
  input_checker input;
  const value* inputs = request.find("input");
  if (!inputs) refuse("'input' must be a string or a list");
  input.check(*inputs);
  const value* instructions = given(request, "instructions");
  if (instructions && !instructions->is_string()) refuse("'instructions' must be a string");
  if (const value* tools = given(request, "tools")) check_tools(*tools, place("tools"));
  check_choices(request);
  facts.stream = read_stream(request);
  std::string edited = body;
  if (!given(request, "store")) edited = with_member(edited, "store", false);
  const auto cap = read_cap(request, "max_output_tokens", limits.max_output_tokens);
  facts.max_output_tokens = cap.value_or(limits.default_output_tokens);
  facts.is_cap_put_in = !cap;
  if (!cap) edited = with_member(edited, "max_output_tokens", facts.max_output_tokens);
  facts.input_bound_tokens = static_cast<std::int64_t>(edited.size()) +
                             (1 + input.built_in()) * openai::provider_prompt_tokens +
                             input.images() * openai::image_tokens;
  if (edited != body) facts.rewritten = std::move(edited);
  return facts;
}

class responses_api final : public dialect {
 public:
  std::string_view name() const override { return "responses"; }
  std::string_view prefix() const override { return "/v1/responses"; }

  std::optional<route_kind> route(std::string_view target) const override {
    if (target == "/v1/responses") return route_kind::create;
    return std::nullopt;
  }

  std::span<const std::string_view> fields() const override { return allowed_fields; }
  std::span<const std::string_view> barred_fields() const override { return never_allowed; }

  judgement judge(const std::string& body, route_kind,
                  const request_limits& limits) const override {
    return judged_by("a Responses request", [&] { return check(body, limits); });
  }

  std::vector<std::string> headers(const header_lookup&, const gateway_config&) const override {
    return {};
  }

  std::unique_ptr<answer_reader> reader(bool event_stream, const request_facts&) const override {
    return std::make_unique<responses_reader>(event_stream);
  }

  std::string error(unsigned status, std::string_view message) const override {
    return openai::error(status, message);
  }

  // Clients look for "error" in an event, or for the members of an event of type "error".
  std::string stream_error(std::string_view message) const override {
    const json event = {{"type", "error"},
                        {"code", "server_error"},
                        {"message", message},
                        {"param", nullptr},
                        {"error", openai::error_object(500, message)}};
    return "\n\nevent: error\ndata: " + openai::written(event) + "\n\n";
  }

  std::string models(std::string_view model, bool only) const override {
    return openai::models(model, only);
  }
};

}  // namespace

const dialect& responses_dialect() {
  static const responses_api one;
  return one;
}

}  // namespace germline::worker
