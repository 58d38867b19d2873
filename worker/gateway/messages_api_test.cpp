#include "worker/gateway/dialect.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

/// The refusal of a good request with `more` put in; empty when it may go out.
std::string refusal_of(const std::string& more, const std::string& content = R"("hi")") {
  const std::string body = R"({"model":"m","max_tokens":10,"messages":[{"role":"user","content":)" +
                           content + "}]" + more + "}";
  const auto judged = messages_dialect().judge(body, route_kind::create, {100, 100});
  const auto* refusal = std::get_if<request_refusal>(&judged);
  return refusal ? refusal->message : "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("client-side tools and inline content go out") {
  CHECK(refusal_of("") == "");
  CHECK(refusal_of(R"(,"tools":[{"name":"x","input_schema":{"type":"object"}},
    {"type":"bash_20250124","name":"bash"},{"type":"custom","name":"y"}],"stream":true,
    "thinking":{"type":"adaptive"},
    "context_management":{"edits":[{"type":"clear_thinking_1"}]})") == "");
  CHECK(refusal_of("", R"([{"type":"tool_use","id":"1","name":"x","input":{"type":"url"}},
    {"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"t"}]}])") == "");
}

TEST_CASE("what the provider would run or fetch is refused by name") {
  CHECK(has(refusal_of(R"(,"tools":[{"type":"web_search_20250305","name":"w"}])"),
            "'web_search_20250305'"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"code_execution_20250522","name":"c"}])"), "tools[0]"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":7}])"), "'type' must be a string"));
  // Some readers do not tell the letters' cases apart.
  CHECK(has(refusal_of(R"(,"tools":[{"Type":"web_search_20250305","name":"w"}])"), "'Type'"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"custom","typ\u0045":"web_search_20250305"}])"),
            "'typE'"));
  CHECK(
      has(refusal_of(R"(,"context_management":{"edits":[{"type":"clear_x","TYPE":"compact_1"}]})"),
          "'TYPE'"));
  CHECK(refusal_of(R"(,"tools":[{"name":"x","input_schema":{"Type":1,"type":"object"}}])") == "");
  CHECK(has(refusal_of(R"(,"mcp_servers":[])"), "'mcp_servers'"));
  CHECK(has(refusal_of(R"(,"container":"c")"), "'container'"));
  CHECK(has(refusal_of(R"(,"service_tier":"auto")"), "'service_tier'"));
  CHECK(has(refusal_of(R"(,"context_management":{"edits":[{"type":"compact_1"}]})"), "compact_1"));
  CHECK(has(refusal_of("", R"([{"type":"image","source":{"type":"url","url":"http://x"}}])"),
            "'url'"));
  CHECK(has(refusal_of("", R"([{"type":"document","source":{"type":"base64","data":""}}])"),
            "'base64'"));
  CHECK(has(refusal_of("", R"([{"type":"tool_result","content":
    [{"type":"image","source":{"type":"file","file_id":"f"}}]}])"),
            "'file'"));
  CHECK(has(refusal_of("", R"([{"type":"server_tool_use"}])"), "'server_tool_use'"));
  // Nothing hides where a text belongs.
  const std::string hidden = R"([{"type":"image","source":{"type":"url","url":"http://x"}}])";
  CHECK(
      has(refusal_of("", R"([{"type":"text","text":)" + hidden + "}]"), "'text' must be a string"));
  CHECK(
      has(refusal_of("", R"([{"type":"document","source":{"type":"text","data":)" + hidden + "}}]"),
          "'data' must be a string"));
  CHECK(has(refusal_of("", R"([{"type":"text"}])"), "'text' must be a string"));
}

TEST_CASE("content has the members that are known, and what clients send back passes") {
  CHECK(refusal_of(R"(,"system":[{"type":"text","text":"s","cache_control":
    {"type":"ephemeral","ttl":"1h","scope":"global"}}],"thinking":{"type":"adaptive"},
    "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
    "metadata":{"user_id":"u"},"output_config":{"effort":"high"})",
                   R"([{"type":"text","text":"t","cache_control":{"type":"ephemeral"}}]},
    {"role":"system","content":"more"},
    {"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"s"},
      {"type":"redacted_thinking","data":"d"},{"type":"text","text":"t","citations":null},
      {"type":"text","text":"t","citations":[{"type":"char_location","cited_text":"x",
        "document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}]},
      {"type":"tool_use","id":"1","name":"n","input":{"any":{"thing":1}},
        "caller":{"type":"direct"},"cache_control":null}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","is_error":false,
      "content":[{"type":"text","text":"r"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":""}},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},
         "title":"t","context":"c","citations":{"enabled":false}},
        {"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"r"}]}],
      "cache_control":{"type":"ephemeral"}}])") == "");
  const auto content = [](const std::string& block) { return refusal_of("", "[" + block + "]"); };
  const auto in_result = [&](const std::string& block) {
    return content(R"({"type":"tool_result","tool_use_id":"1","content":[)" + block + "]}");
  };
  CHECK(has(content(R"({"type":"text","text":"t","url":"http://x"})"), "'url'"));
  CHECK(has(in_result(R"({"type":"text","text":"t","url":"http://x"})"), ".content[0]: the field"));
  CHECK(has(content(R"({"type":"text","text":"t","cache_control":{"type":"e","url":1}})"),
            ".cache_control: the field 'url'"));
  CHECK(has(content(R"({"type":"text","text":"t","citations":
    [{"type":"web_search_result_location","url":"http://x"}]})"),
            "'web_search_result_location'"));
  CHECK(has(content(R"({"type":"image","source":{"type":"base64","url":"http://x"}})"),
            ".source: the field 'url'"));
  CHECK(has(content(R"({"type":"document","source":{"type":"text","data":""},"file_id":"f"})"),
            "'file_id'"));
  CHECK(has(content(R"({"type":"document","citations":{"enabled":true},
    "source":{"type":"text","data":""}})"),
            ".citations must be"));
  CHECK(has(content(R"({"type":"thinking","thinking":"","data":""})"), "'data'"));
  CHECK(has(content(R"({"type":"tool_use","id":"1","name":"n","input":{},
    "caller":{"type":"code_execution_20250825","tool_id":"t"}})"),
            "'direct'"));
  CHECK(has(in_result(R"({"type":"tool_use","id":"1","name":"n","input":{}})"), "'tool_use'"));
  CHECK(has(in_result(R"({"type":"tool_reference","tool_name":"n"})"), "'tool_reference'"));
  CHECK(has(refusal_of(R"(,"system":[{"type":"image","source":{"type":"base64","data":""}}])"),
            "system[0]"));
}

TEST_CASE("a body that two readers could read in two ways is refused") {
  CHECK(has(refusal_of(R"(,"max_tokens":99)"), "'max_tokens' is there twice"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"custom","type":"web_search_1"}])"), "twice"));
  CHECK(refusal_of(",") != "");
  CHECK(has(refusal_of(",\"metadata\":" + std::string(5000, '[') + std::string(5000, ']')),
            "too deeply"));
}

TEST_CASE("the cap must be there and in bounds, and bounds what it may cost") {
  const auto judge = [](const std::string& cap) {
    return messages_dialect().judge(
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"image","source":
        {"type":"base64","data":""}}]}])" +
            cap + "}",
        route_kind::create, {100, 100});
  };
  CHECK(std::holds_alternative<request_refusal>(judge("")));
  CHECK(std::holds_alternative<request_refusal>(judge(R"(,"max_tokens":101)")));
  CHECK(std::holds_alternative<request_refusal>(judge(R"(,"max_tokens":0)")));
  CHECK(std::holds_alternative<request_refusal>(judge(R"(,"max_tokens":1.5)")));
  const auto good = judge(R"(,"max_tokens":100)");
  REQUIRE(std::holds_alternative<request_facts>(good));
  CHECK(std::get<request_facts>(good).max_output_tokens == 100);
  CHECK(std::get<request_facts>(good).input_bound_tokens > 5000 + 2000);
}

TEST_CASE("an error quotes hostile text safely") {
  CHECK(
      messages_dialect().error(500, "a\"\xff") ==
      "{\"error\":{\"message\":\"a\\\"\xef\xbf\xbd\",\"type\":\"api_error\"},\"type\":\"error\"}");
}
