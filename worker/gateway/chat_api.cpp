// The OpenAI Chat Completions dialect. A body passes byte for byte, but for a cap on the output and
// stream_options.include_usage, which are put in where they are missing: without the one a request
// has no bound, without the other a stream does not tell its usage. So is "store": false, for an
// upstream that may keep what it is not told to forget.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "worker/gateway/chat_reader.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/openai_shape.hpp"
#include "worker/gateway/strict_body.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;
using namespace strict;

constexpr std::array<std::string_view, 28> allowed_fields = {"model",
                                                             "messages",
                                                             "tools",
                                                             "tool_choice",
                                                             "parallel_tool_calls",
                                                             "max_tokens",
                                                             "max_completion_tokens",
                                                             "stream",
                                                             "stream_options",
                                                             "temperature",
                                                             "top_p",
                                                             "presence_penalty",
                                                             "frequency_penalty",
                                                             "logit_bias",
                                                             "logprobs",
                                                             "top_logprobs",
                                                             "n",
                                                             "stop",
                                                             "seed",
                                                             "response_format",
                                                             "reasoning_effort",
                                                             "verbosity",
                                                             "user",
                                                             "metadata",
                                                             "modalities",
                                                             "store",
                                                             "prompt_cache_key",
                                                             "safety_identifier"};
constexpr std::array<std::string_view, 6> never_allowed = {
    "web_search_options", "service_tier", "prediction", "audio", "functions", "function_call"};
constexpr std::array<std::string_view, 11> message_members = {
    "role",      "content",           "name",        "tool_calls", "tool_call_id", "refusal",
    "reasoning", "reasoning_content", "annotations", "audio",      "function_call"};
constexpr std::array<std::string_view, 3> tool_members = {"type", "function", "custom"};
constexpr std::array<std::string_view, 3> tool_choice_types = {"function", "custom",
                                                               "allowed_tools"};

class content_checker {
 public:
  std::int64_t images() const { return images_; }

  void check(const value& content, const place& where) {
    if (content.is_string() || content.is_null()) return;
    if (!content.is_array()) refuse(where.text() + ": content must be a string or a list");
    std::size_t i = 0;
    for (const auto& part : content.elements()) {
      check_part(part, place(where, i++));
    }
  }

 private:
  void check_part(const value& part, const place& where) {
    static constexpr std::array<std::string_view, 3> text = {"type", "text", "cache_control"};
    static constexpr std::array<std::string_view, 2> refusal = {"type", "refusal"};
    static constexpr std::array<std::string_view, 2> image = {"type", "image_url"};
    static constexpr std::array<std::string_view, 2> image_url = {"url", "detail"};
    if (!part.is_object()) refuse(where.text() + " must be an object");
    const auto type = text_member(part, "type", where);
    if (type == "text" || type == "refusal") {
      only_members(part, type == "text" ? names(text) : names(refusal), where);
      text_member(part, type, where);
      return;
    }
    if (type != "image_url") {
      refuse(where.text() + ": content of type " + shown(type) + " is not allowed here");
    }
    ++images_;
    only_members(part, image, where);
    const value* shown_at = part.find("image_url");
    if (!shown_at) refuse(where.text() + ": 'image_url' is missing");
    only_members(*shown_at, image_url, place(where, ".image_url"));
    check_inline_image(shown_at->find("url"), place(where, ".image_url.url"));
  }

  std::int64_t images_ = 0;
};

void check_messages(const value& request, content_checker& content) {
  const value* messages = request.find("messages");
  if (!messages || messages->elements().empty()) {
    refuse("'messages' must be a list that is not empty");
  }
  const place all("messages");
  std::size_t i = 0;
  for (const auto& message : messages->elements()) {
    const place where(all, i++);
    only_members(message, message_members, where);
    text_member(message, "role", where);
    for (const char* key : {"audio", "function_call"}) {  // clients send back what they got
      if (given(message, key)) refuse(where.text() + ": the field '" + key + "' must be null");
    }
    if (const value* inner = message.find("content"))
      content.check(*inner, place(where, ".content"));
  }
}

void check_tools(const value& tools) {
  if (!tools.is_array()) refuse("'tools' must be a list");
  const place all("tools");
  std::size_t i = 0;
  for (const auto& tool : tools.elements()) {
    const place where(all, i++);
    if (!tool.is_object()) refuse(where.text() + " must be an object");
    const auto type = text_member(tool, "type", where);
    if (type != "function" && type != "custom") {
      refuse(where.text() + ": the tool type " + shown(type) +
             " is not allowed; only 'function' and 'custom' are, which run in the sandbox");
    }
    only_members(tool, tool_members, where);
  }
}

/// Fields whose values choose what the provider does, and what it costs.
void check_choices(const value& request) {
  const value* choice = given(request, "tool_choice");
  if (choice && !choice->is_string() &&
      !(choice->is_object() &&
        has(tool_choice_types, text_member(*choice, "type", place("tool_choice"))))) {
    refuse("'tool_choice' must be a string, or an object that names a function");
  }
  const value* n = given(request, "n");
  if (n && !n->is(1)) refuse("'n' must be 1: the output's cap bounds one answer");
  const value* store = given(request, "store");
  if (store && !store->is(false)) refuse("'store' must be false: nothing is kept at the provider");
  const value* modalities = given(request, "modalities");
  const auto is_text = [](const value& list) {
    return list.elements().size() == 1 && list.elements()[0].is("text");
  };
  if (modalities && !is_text(*modalities)) refuse("'modalities' must be [\"text\"]");
}

/// Bounds the output, and sees to it that the upstream knows the bound by its own name for it.
void set_cap(const value& request, const request_limits& limits, request_facts& facts,
             std::string& body) {
  const auto old_name = read_cap(request, "max_tokens", limits.max_output_tokens);
  const auto new_name = read_cap(request, "max_completion_tokens", limits.max_output_tokens);
  facts.max_output_tokens = std::max(old_name.value_or(0), new_name.value_or(0));
  const bool known =
      limits.chat_cap == "max_tokens" ? old_name.has_value() : facts.max_output_tokens > 0;
  facts.is_cap_put_in = facts.max_output_tokens == 0;
  if (facts.is_cap_put_in) facts.max_output_tokens = limits.default_output_tokens;
  if (!known) body = with_member(body, limits.chat_cap, facts.max_output_tokens);
}

void ask_for_usage(const value& request, request_facts& facts, std::string& body) {
  static constexpr std::array<std::string_view, 2> members = {"include_usage",
                                                              "include_obfuscation"};
  const value* given_options = given(request, "stream_options");
  if (given_options) only_members(*given_options, members, place("stream_options"));
  if (!facts.stream) return;
  const value* included = given_options ? given_options->find("include_usage") : nullptr;
  if (included && included->is(true)) return;
  json options = given_options ? given_options->to_json() : json::object();
  options["include_usage"] = true;
  facts.hides_usage = true;
  body = with_member(body, "stream_options", options);
}

judgement check(const std::string& body, const request_limits& limits) {
  const document whole(body);
  const value& request = whole.root();
  only_fields(request, allowed_fields, limits);
  request_facts facts;
  facts.model = text_member(request, "model", place("the request"));
  content_checker content;
  check_messages(request, content);
  if (const value* tools = given(request, "tools")) check_tools(*tools);
  check_choices(request);
  facts.stream = read_stream(request);
  std::string edited = body;
  set_cap(request, limits, facts, edited);
  ask_for_usage(request, facts, edited);
  if (limits.chat_store_false && !given(request, "store")) {
    edited = with_member(edited, "store", false);
  }
  facts.input_bound_tokens = static_cast<std::int64_t>(edited.size()) +
                             openai::provider_prompt_tokens +
                             content.images() * openai::image_tokens;
  if (edited != body) facts.rewritten = std::move(edited);
  return facts;
}

class chat_api final : public dialect {
 public:
  std::string_view name() const override { return "chat_completions"; }
  std::string_view prefix() const override { return "/v1/chat"; }

  std::optional<route_kind> route(std::string_view target) const override {
    if (target == "/v1/chat/completions") return route_kind::create;
    return std::nullopt;
  }

  std::span<const std::string_view> fields() const override { return allowed_fields; }
  std::span<const std::string_view> barred_fields() const override { return never_allowed; }

  judgement judge(const std::string& body, route_kind,
                  const request_limits& limits) const override {
    return judged_by("a Chat Completions request", [&] { return check(body, limits); });
  }

  std::vector<std::string> headers(const header_lookup&, const gateway_config&) const override {
    return {};
  }

  std::unique_ptr<answer_reader> reader(bool event_stream,
                                        const request_facts& facts) const override {
    return std::make_unique<chat_reader>(event_stream, facts.hides_usage);
  }

  std::string error(unsigned status, std::string_view message) const override {
    return openai::error(status, message);
  }

  std::string stream_error(std::string_view message) const override {
    return "\n\ndata: " + openai::error(500, message) + "\n\n";
  }

  std::string models(std::string_view model, bool only) const override {
    return openai::models(model, only);
  }
};

}  // namespace

const dialect& chat_dialect() {
  static const chat_api one;
  return one;
}

}  // namespace germline::worker
