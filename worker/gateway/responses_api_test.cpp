#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "worker/gateway/dialect.hpp"

using namespace germline::worker;
using nlohmann::json;

namespace {

std::string body_with(const std::string& more, const std::string& input = R"("hi")") {
  return R"({"model":"m","input":)" + input + more + "}";
}

judgement judge(const std::string& body) {
  return responses_dialect().judge(body, route_kind::create, {100, 50});
}

/// The refusal of a good request with `more` put in; empty when it may go out.
std::string refusal_of(const std::string& more, const std::string& input = R"("hi")") {
  const auto judged = judge(body_with(more, input));
  const auto* refusal = std::get_if<request_refusal>(&judged);
  return refusal ? refusal->message : "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("responses: what coding agents send goes out") {
  CHECK(refusal_of("") == "");
  CHECK(refusal_of(R"(,"instructions":"x","store":false,"stream":true,"parallel_tool_calls":false,
    "include":["reasoning.encrypted_content"],"reasoning":{"effort":"high","summary":"auto"},
    "text":{"verbosity":"low"},"prompt_cache_key":"k","tool_choice":"auto","tools":[
    {"type":"function","name":"x","parameters":{"properties":{"file_url":{}}}},
    {"type":"custom","name":"apply_patch","format":{"type":"grammar"}},{"type":"local_shell"},
    {"type":"namespace","name":"n","tools":[{"type":"function","name":"y"}]}])",
                   R"([{"role":"developer","content":"x"},
    {"type":"message","role":"user","content":[{"type":"input_text","text":"http://x"},
      {"type":"input_image","image_url":"data:image/png;base64,AA=="}]},
    {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"s"}],"content":null,
      "encrypted_content":"abc"},
    {"type":"function_call","call_id":"1","name":"x","arguments":"{\"type\":\"input_file\"}"},
    {"type":"function_call_output","call_id":"1","output":"done"},
    {"type":"custom_tool_call_output","call_id":"2","output":[{"type":"input_text","text":"t"}]},
    {"type":"message","role":"assistant","id":"m","status":"completed","content":
      [{"type":"output_text","text":"t","annotations":[],"logprobs":[]}]}])") == "");
}

TEST_CASE("responses: what the provider would run is refused by name") {
  for (const std::string type : {"web_search", "web_search_preview", "web_search_2025_08_26",
                                 "file_search", "code_interpreter", "computer_use_preview", "mcp",
                                 "image_generation", "shell", "Function"}) {
    CAPTURE(type);
    CHECK(has(refusal_of(",\"tools\":[{\"type\":\"" + type + "\"}]"), "'" + type + "'"));
  }
  CHECK(refusal_of(R"(,"tools":[{"type":"namespace","name":"n","tools":[{"type":"mcp"}]}])") != "");
  CHECK(refusal_of(R"(,"tools":{"type":"mcp"})") != "");
  // Some readers do not tell the letters' cases apart.
  CHECK(has(refusal_of(R"(,"tools":[{"type":"function","Type":"mcp"}])"), "'Type'"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"namespace","name":"n","tools":
    [{"type":"function","TYPE":"mcp"}]}])"),
            "'TYPE'"));
  CHECK(has(refusal_of(R"(,"tool_choice":{"type":"file_search"})"), "tool_choice"));
  CHECK(has(refusal_of(R"(,"background":true)"), "'background'"));
  CHECK(has(refusal_of(R"(,"service_tier":"flex")"), "'service_tier'"));
  CHECK(has(refusal_of(R"(,"prompt":{"id":"p"})"), "'prompt'"));
  CHECK(has(refusal_of(R"(,"context_management":[])"), "'context_management'"));
}

TEST_CASE("responses: tools may stand in the conversation, and be searched by the agent") {
  const auto input = [](const std::string& item) { return refusal_of("", "[" + item + "]"); };
  CHECK(
      input(R"({"type":"additional_tools","id":"a","role":"developer","tools":[{"type":"namespace",
    "name":"functions","description":"","tools":[{"type":"custom","name":"exec"},
    {"type":"function","name":"wait"}]}]})") == "");
  CHECK(has(input(R"({"type":"additional_tools","tools":[{"type":"web_search"}]})"),
            "input[0].tools[0]: the tool type 'web_search'"));
  CHECK(has(input(R"({"role":"user","content":"x","tools":[{"type":"mcp"}]})"), "'mcp'"));
  CHECK(has(input(R"({"type":"additional_tools","tools":[{"type":"namespace","name":"n","tools":
    [{"type":"file_search"}]}]})"),
            "in a namespace"));
  CHECK(refusal_of(R"(,"tools":[{"type":"tool_search","execution":"client","parameters":{}}])") ==
        "");
  CHECK(has(refusal_of(R"(,"tools":[{"type":"tool_search"}])"), "'execution' must be 'client'"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"tool_search","execution":"server"}])"), "'client'"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"tool_search","execution":"client",
    "Execution":"server"}])"),
            "'Execution'"));
  CHECK(input(R"({"type":"tool_search_call","call_id":"c","status":"completed","execution":"client",
    "arguments":{"query":"q"}},{"type":"tool_search_output","call_id":"c","status":"completed",
    "execution":"client","tools":[{"type":"function","name":"f","defer_loading":true}]})") == "");
  CHECK(has(input(R"({"type":"tool_search_call","execution":"server"})"), "'client'"));
  CHECK(
      input(R"({"type":"agent_message","id":"a","author":"/root","recipient":"/root/one","content":[
    {"type":"input_text","text":"t"},{"type":"encrypted_content","encrypted_content":"e"}]})") ==
      "");
  CHECK(has(input(R"({"type":"agent_message","content":[{"type":"encrypted_content",
    "file_id":"f"}]})"),
            "'file_id'"));
  CHECK(has(input(R"({"type":"tool_search_output","execution":"client","tools":[{"type":"mcp"}]})"),
            "'mcp'"));
}

TEST_CASE("responses: what the provider would keep or look up is refused") {
  CHECK(has(refusal_of(R"(,"store":true)"), "'store' must be false"));
  CHECK(has(refusal_of(R"(,"previous_response_id":"r")"), "'previous_response_id'"));
  CHECK(has(refusal_of(R"(,"conversation":"c")"), "'conversation'"));
  CHECK(refusal_of(R"(,"previous_response_id":null)") == "");
  CHECK(has(refusal_of(R"(,"include":["file_search_call.results"])"), "'include'"));
  CHECK(has(refusal_of("", R"([{"type":"item_reference","id":"i"}])"), "'item_reference'"));
  CHECK(has(refusal_of("", R"([{"type":"mcp_approval_response"}])"), "'mcp_approval_response'"));
  CHECK(has(refusal_of("", R"([{"id":"i"}])"), "'type' must be a string"));
}

TEST_CASE("responses: what the provider would fetch is refused, wherever it stands") {
  const auto part = [](const std::string& what) {
    return refusal_of("", R"([{"role":"user","content":[)" + what + "]}]");
  };
  CHECK(has(part(R"({"type":"input_image","image_url":"https://x"})"), "within the request"));
  CHECK(has(part(R"({"type":"input_image","image\u005furl":"https://x"})"), "within the request"));
  CHECK(has(part(R"({"type":"input_image","file_id":"f"})"), "'file_id'"));
  CHECK(has(part(R"({"type":"input_image","image_url":"data:image/png;base64,","file_id":"f"})"),
            "'file_id'"));
  CHECK(has(part(R"({"type":"input_file","file_url":"https://x"})"), "'input_file'"));
  CHECK(has(part(R"({"type":"input_file","file_data":"x"})"), "'input_file'"));
  CHECK(has(part(R"({"type":"input_text","text":"t","file_url":"https://x"})"), "'file_url'"));
  CHECK(has(part(R"({"type":"input_text","text":[{"type":"input_file"}]})"),
            "'text' must be a string"));
  CHECK(has(refusal_of("", R"([{"type":"function_call_output","call_id":"1","output":
    [{"type":"input_image","image_url":"http://x"}]}])"),
            "input[0].output[0]"));
  CHECK(has(refusal_of("", R"([{"role":"user","content":"x","file_url":"y"}])"), "'file_url'"));
  CHECK(has(refusal_of(R"(,"instructions":[{"type":"input_file"}])"), "'instructions'"));
  CHECK(has(refusal_of(R"(,"store":false,"st\u006fre":true)"), "twice"));
}

TEST_CASE("responses: store and the cap are put in where they are missing") {
  const auto judged = judge(body_with(""));
  REQUIRE(std::holds_alternative<request_facts>(judged));
  const auto& facts = std::get<request_facts>(judged);
  CHECK(facts.max_output_tokens == 50);
  CHECK(*facts.rewritten == R"({"max_output_tokens":50,"store":false,)" + body_with("").substr(1));
  const auto null = judge(body_with(R"(,"store":null,"max_output_tokens":7)"));  // true, in effect
  REQUIRE(std::holds_alternative<request_facts>(null));
  CHECK(*std::get<request_facts>(null).rewritten ==
        body_with(R"(,"store":false,"max_output_tokens":7)"));
  const auto whole = judge(body_with(R"(,"store":false,"max_output_tokens":7)"));
  CHECK_FALSE(std::get<request_facts>(whole).rewritten);
  CHECK(std::get<request_facts>(whole).max_output_tokens == 7);
  CHECK(has(refusal_of(R"(,"max_output_tokens":101)"), "from 1 to 100"));
}
