#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "worker/gateway/dialect.hpp"

using namespace germline::worker;
using nlohmann::json;

namespace {

std::string body_with(const std::string& more, const std::string& content = R"("hi")") {
  return R"({"model":"m","messages":[{"role":"user","content":)" + content + "}]" + more + "}";
}

judgement judge(const std::string& body, request_limits limits = {100, 50}) {
  return chat_dialect().judge(body, route_kind::create, limits);
}

/// The refusal of a good request with `more` put in; empty when it may go out.
std::string refusal_of(const std::string& more, const std::string& content = R"("hi")") {
  const auto judged = judge(body_with(more, content));
  const auto* refusal = std::get_if<request_refusal>(&judged);
  return refusal ? refusal->message : "";
}

request_facts facts_of(const std::string& more, request_limits limits = {100, 50}) {
  const auto judged = judge(body_with(more), limits);
  REQUIRE(std::holds_alternative<request_facts>(judged));
  return std::get<request_facts>(judged);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("chat: functions and inline content go out") {
  CHECK(refusal_of("") == "");
  CHECK(refusal_of(R"(,"tools":[{"type":"function","function":{"name":"x","parameters":
    {"properties":{"image_url":{"type":"string"}}}}},{"type":"custom","custom":{"name":"y"}}],
    "tool_choice":"auto","n":1,"store":false,"reasoning_effort":"high")") == "");
  CHECK(refusal_of("", R"([{"type":"text","text":"see http://x"},{"type":"image_url",
    "image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}])") == "");
  CHECK(refusal_of("", R"("x","refusal":null,"audio":null,"annotations":[],"tool_calls":[]})"
                       R"(,{"role":"tool","tool_call_id":"1","content":"y")") == "");
}

TEST_CASE("chat: what the provider would run, fetch, keep or charge otherwise is refused by name") {
  const auto tool = [](const std::string& type) {
    return refusal_of(R"(,"tools":[{"type":")" + type + R"(","function":{}}])");
  };
  CHECK(has(tool("web_search"), "'web_search'"));
  CHECK(has(tool("mcp"), "tools[0]"));
  CHECK(has(refusal_of(R"(,"tools":[{"function":{}}])"), "'type' must be a string"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"function","server_url":"x"}])"), "'server_url'"));
  for (const std::string field : {"web_search_options", "service_tier", "prediction", "audio",
                                  "functions", "plugins", "Stream", "models"}) {
    CHECK(has(refusal_of(",\"" + field + "\":{}"), "'" + field + "'"));
  }
  CHECK(has(refusal_of(R"(,"n":2)"), "'n' must be 1"));
  CHECK(has(refusal_of(R"(,"store":true)"), "'store' must be false"));
  CHECK(has(refusal_of(R"(,"modalities":["text","audio"])"), "modalities"));
  CHECK(has(refusal_of(R"(,"tool_choice":{"type":"mcp"})"), "tool_choice"));
  CHECK(has(refusal_of(R"(,"stream_options":{"x":1})"), "'x'"));
  for (const std::string url : {"https://x/a.png", "file:///a", " data:image/png;base64,",
                                "DATA:", "data:text/html,x", "//x"}) {
    CAPTURE(url);
    CHECK(has(refusal_of("", R"([{"type":"image_url","image_url":{"url":")" + url + "\"}}]"),
              "within the request"));
  }
  CHECK(refusal_of("", R"([{"type":"image_url","image_url":"https://x"}])") != "");
  CHECK(refusal_of("", R"([{"type":"image_url"}])") != "");
  CHECK(has(refusal_of("", R"([{"type":"text","text":"","image_url":{"url":"http://x"}}])"),
            "'image_url'"));
  CHECK(
      has(refusal_of("", R"([{"type":"image_url","image_url":{"url":"data:image/x,","file":1}}])"),
          "'file'"));
  CHECK(has(refusal_of("", R"([{"type":"file","file":{"file_id":"f"}}])"), "'file'"));
  CHECK(has(refusal_of("", R"([{"type":"text","text":[{"type":"input_audio"}]}])"),
            "'text' must be a string"));
  CHECK(has(refusal_of("", R"([{"type":"refusal","refusal":{}}])"), "'refusal' must be a string"));
  CHECK(has(refusal_of("", R"([{"type":"input_audio","input_audio":{}}])"), "'input_audio'"));
  CHECK(has(refusal_of("", R"("x","audio":{"id":"a"})"), "must be null"));
  CHECK(has(refusal_of("", R"("x"},{"role":"tool","content":[{"type":"image_url","image_url":
    {"url":"http://x"}}])"),
            "messages[1]"));
}

TEST_CASE("chat: a body that two readers could read in two ways is refused") {
  CHECK(has(refusal_of(R"(,"n":1,"n":5)"), "'n' is there twice"));
  CHECK(has(refusal_of(R"(,"n":1,"\u006e":5)"), "'n' is there twice"));
  CHECK(has(refusal_of(R"(,"tools":[{"type":"function","t\u0079pe":"mcp"}])"), "twice"));
  CHECK(refusal_of(",") != "");
}

TEST_CASE("chat: a missing cap is put in under the upstream's name, a present one holds") {
  auto facts = facts_of("");
  CHECK(facts.max_output_tokens == 50);
  REQUIRE(facts.rewritten);
  CHECK(*facts.rewritten == R"({"max_completion_tokens":50,)" + body_with("").substr(1));
  CHECK(facts_of("", {100, 50, "max_tokens"}).rewritten->starts_with(R"({"max_tokens":50,)"));
  CHECK_FALSE(facts_of(R"(,"max_tokens":7)").rewritten);
  facts = facts_of(R"(,"max_tokens":7,"max_completion_tokens":9)");
  CHECK(facts.max_output_tokens == 9);
  CHECK_FALSE(facts.rewritten);
  // An upstream that knows the old name only would not hold the new one.
  facts = facts_of(R"(,"max_completion_tokens":9)", {100, 50, "max_tokens"});
  CHECK(facts.rewritten->starts_with(R"({"max_tokens":9,)"));
  CHECK(has(refusal_of(R"(,"max_tokens":101)"), "from 1 to 100"));
  CHECK(has(refusal_of(R"(,"max_completion_tokens":1.5)"), "max_completion_tokens"));
  CHECK(facts_of(R"(,"max_tokens":null)").max_output_tokens == 50);
}

TEST_CASE("chat: a stream's usage is asked for, and hidden where the client did not ask") {
  const std::string cap = R"(,"max_tokens":7)";
  CHECK_FALSE(
      facts_of(cap + R"(,"stream":true,"stream_options":{"include_usage":true})").rewritten);
  CHECK_FALSE(facts_of(cap + R"(,"stream":false)").rewritten);
  const auto absent = facts_of(cap + R"(,"stream":true)");
  CHECK(absent.hides_usage);
  CHECK(*absent.rewritten == R"({"stream_options":{"include_usage":true},)" +
                                 body_with(cap + R"(,"stream":true)").substr(1));
  const auto off = facts_of(
      cap +
      R"(,"stream_options": {"include_usage":false,"include_obfuscation":false} ,"stream":true)");
  CHECK(off.hides_usage);
  CHECK(
      *off.rewritten ==
      body_with(
          cap +
          R"(,"stream_options": {"include_obfuscation":false,"include_usage":true} ,"stream":true)"));
  CHECK(facts_of(cap + R"(,"stream":true,"stream_options":null)").hides_usage);
}

TEST_CASE("chat: an error has the form that clients of OpenAI read") {
  const auto error = json::parse(chat_dialect().error(429, "wait \xff"))["error"];
  CHECK(error["type"] == "rate_limit_error");
  CHECK(error["code"] == "rate_limit_exceeded");
  CHECK(error["param"].is_null());
  CHECK(json::parse(chat_dialect().error(400, "x"))["error"]["type"] == "invalid_request_error");
}

TEST_CASE("chat: nothing is kept by an upstream that keeps what it is not told to forget") {
  request_limits limits{100, 50};
  limits.chat_store_false = true;
  const std::string capped = R"(,"max_tokens":10)";
  CHECK(facts_of(capped, limits).rewritten == R"({"store":false,)" + body_with(capped).substr(1));
  CHECK(*facts_of(capped + R"(,"store":null)", limits).rewritten ==
        body_with(capped + R"(,"store":false)"));
  CHECK_FALSE(facts_of(capped + R"(,"store":false)", limits).rewritten);
  CHECK_FALSE(facts_of(capped).rewritten);
}
