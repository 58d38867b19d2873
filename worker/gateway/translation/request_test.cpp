#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "worker/gateway/translation/translator.hpp"

using namespace germline::worker;
using namespace germline::worker::translation;
using nlohmann::json;

namespace {

const request_limits limits{1000, 500};

/// Judged as the gateway does it: by the client's dialect, translated, and by the upstream's.
translated made(const dialect& client, const json& request, const request_limits& most = limits) {
  const auto& by = *translator_for(client);
  const auto body = request.dump();
  const auto judged = client.judge(body, route_kind::create, most);
  if (const auto* refused = std::get_if<request_refusal>(&judged)) {
    FAIL("the client's own dialect refuses it: " << refused->message);
  }
  auto out = by.request(body, most);
  if (const auto* good = std::get_if<translated_request>(&out)) {
    const auto again = by.upstream().judge(good->body, route_kind::create, most);
    if (const auto* refused = std::get_if<request_refusal>(&again)) return *refused;
  }
  return out;
}

json sent(const dialect& client, const json& request, const request_limits& most = limits) {
  const auto out = made(client, request, most);
  if (const auto* refused = std::get_if<request_refusal>(&out)) FAIL(refused->message);
  return json::parse(std::get<translated_request>(out).body);
}

std::string refusal(const dialect& client, const json& request) {
  const auto out = made(client, request);
  const auto* refused = std::get_if<request_refusal>(&out);
  return refused ? refused->message : "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

json messages(const std::string& more = "{}") {
  json request =
      json::parse(R"({"model":"m","max_tokens":7,"messages":[{"role":"user","content":"hi"}]})");
  request.update(json::parse(more));
  return request;
}

json chat(const std::string& more = "{}") {
  json request = json::parse(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");
  request.update(json::parse(more));
  return request;
}

json to_chat(const std::string& more) {
  return sent(messages_dialect(), messages(more));
}
json to_messages(const std::string& more) {
  return sent(chat_dialect(), chat(more));
}

}  // namespace

TEST_CASE("to chat: the smallest request") {
  CHECK(to_chat("{}") == json::parse(R"({"model":"m","max_completion_tokens":7,
      "messages":[{"role":"user","content":"hi"}]})"));
  auto old = limits;
  old.chat_cap = "max_tokens";
  CHECK(sent(messages_dialect(), messages(), old)["max_tokens"] == 7);
  CHECK_FALSE(sent(messages_dialect(), messages(), old).contains("max_completion_tokens"));
}

TEST_CASE("to chat: a stream asks for its usage") {
  const auto out = to_chat(R"({"stream":true})");
  CHECK(out["stream"] == true);
  CHECK(out["stream_options"] == json::parse(R"({"include_usage":true})"));
  CHECK_FALSE(to_chat(R"({"stream":false})").contains("stream"));
}

TEST_CASE("to chat: sampling, stops and what is left behind") {
  const auto out = to_chat(R"({"temperature":0.5,"top_p":0.9,"top_k":4,"stop_sequences":["a","b"],
      "metadata":{"user_id":"u"},"cache_control":{"type":"ephemeral"},
      "context_management":{"edits":[{"type":"clear_thinking_20251015"}]},
      "thinking":{"type":"enabled","budget_tokens":2000}})");
  auto expected = to_chat("{}");
  expected.update(json::parse(R"({"temperature":0.5,"top_p":0.9,"stop":["a","b"]})"));
  CHECK(out == expected);
}

TEST_CASE("to chat: whether thinking may be shown is the client's wish") {
  const auto wants = [](const std::string& more) {
    return std::get<translated_request>(made(messages_dialect(), messages(more))).wants_thinking;
  };
  CHECK_FALSE(wants("{}"));
  CHECK_FALSE(wants(R"({"thinking":{"type":"disabled"}})"));
  CHECK(wants(R"({"thinking":{"type":"enabled","budget_tokens":2000}})"));
  CHECK(wants(R"({"thinking":{"type":"adaptive"}})"));
}

TEST_CASE("to chat: system text stands first") {
  const auto text = to_chat(R"({"system":"be good"})")["messages"];
  CHECK(text[0] == json::parse(R"({"role":"system","content":"be good"})"));
  const auto blocks = to_chat(R"({"system":[{"type":"text","text":"a","cache_control":
      {"type":"ephemeral"}},{"type":"text","text":"b"}]})")["messages"];
  CHECK(blocks[0]["content"] == "a\n\nb");
  CHECK(blocks.size() == 2);
}

TEST_CASE("to chat: tools and how they may be chosen") {
  const std::string tools = R"("tools":[{"name":"edit","description":"d","cache_control":
      {"type":"ephemeral"},"input_schema":{"type":"object","properties":{"url":{}}}}])";
  CHECK(to_chat("{" + tools + "}")["tools"] == json::parse(R"([{"type":"function","function":
      {"name":"edit","description":"d","parameters":
      {"type":"object","properties":{"url":{}}}}}])"));
  const auto choice = [&](const std::string& of) {
    return to_chat("{" + tools + ",\"tool_choice\":" + of + "}");
  };
  CHECK(choice(R"({"type":"auto"})")["tool_choice"] == "auto");
  CHECK(choice(R"({"type":"any"})")["tool_choice"] == "required");
  CHECK(choice(R"({"type":"none"})")["tool_choice"] == "none");
  CHECK(choice(R"({"type":"tool","name":"edit"})")["tool_choice"] ==
        json::parse(R"({"type":"function","function":{"name":"edit"}})"));
  const auto alone = choice(R"({"type":"auto","disable_parallel_tool_use":true})");
  CHECK(alone["parallel_tool_calls"] == false);
  CHECK_FALSE(to_chat(R"({"tool_choice":{"type":"auto"},"tools":[]})").contains("tool_choice"));
}

TEST_CASE("to chat: calls and their results, also failed ones, and pictures in them") {
  const auto out = to_chat(R"({"messages":[
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
      {"type":"redacted_thinking","data":"x"},{"type":"text","text":"so: "},
      {"type":"tool_use","id":"t1","name":"ls","input":{"at":1}},
      {"type":"tool_use","id":"t2","name":"pwd","input":{}}]},
    {"role":"user","content":[{"type":"text","text":"go on"},
      {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"no"},
      {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"x"},
        {"type":"text","text":"y"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}]}]})");
  CHECK(out["messages"] == json::parse(R"([
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":"so: ","tool_calls":[
      {"id":"t1","type":"function","function":{"name":"ls","arguments":"{\"at\":1}"}},
      {"id":"t2","type":"function","function":{"name":"pwd","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"t1","content":"Error: no"},
    {"role":"tool","tool_call_id":"t2","content":"x\ny"},
    {"role":"user","content":[{"type":"text","text":"What the tool call t2 shows:"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
    {"role":"user","content":"go on"}])"));
}

TEST_CASE("to chat: pictures, documents and search results within the request") {
  const auto out = to_chat(R"({"messages":[{"role":"user","content":[
    {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"QQ=="}},
    {"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"D"}},
    {"type":"document","source":{"type":"content","content":"C"}},
    {"type":"search_result","source":"S","title":"R","content":[{"type":"text","text":"F"}]}
    ]}]})")["messages"][0]["content"];
  CHECK(out[0]["image_url"]["url"] == "data:image/jpeg;base64,QQ==");
  std::string texts;
  for (std::size_t i = 1; i < out.size(); ++i) texts += std::string(out[i]["text"]) + "|";
  CHECK(texts == "T|D|C|R\nS|F|");
}

TEST_CASE("to chat: an answer of a wanted form") {
  const auto format = json::parse(R"({"type":"json_schema","json_schema":
      {"name":"answer","schema":{"type":"object"},"strict":true}})");
  const std::string schema = R"({"type":"json_schema","schema":{"type":"object"}})";
  CHECK(to_chat(R"({"output_format":)" + schema + "}")["response_format"] == format);
  CHECK(to_chat(R"({"output_config":{"format":)" + schema + "}}")["response_format"] == format);
}

TEST_CASE("to chat: what cannot be said there is refused by name") {
  const auto refused = [](const std::string& more) {
    return refusal(messages_dialect(), messages(more));
  };
  CHECK(has(refused(R"({"tools":[{"type":"bash_20250124","name":"bash"}]})"), "'bash_20250124'"));
  CHECK(has(refused(R"({"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":"{"}]})"),
            "last message"));
  CHECK(has(refused(R"({"messages":[{"role":"system","content":"x"}]})"), "'system'"));
  CHECK(has(refused(R"({"messages":[{"role":"user","content":[
      {"type":"tool_use","id":"a","name":"b","input":{}}]}]})"),
            "'tool_use'"));
  CHECK(has(refused(R"({"output_format":{"type":"regex"}})"), "json_schema"));
  CHECK(has(refused(R"({"tools":[{"name":"x"}],"tool_choice":{"type":"some"}})"), "'some'"));
  // Not by way of a media type either: the upstream's dialect judges what was made.
  CHECK(has(refused(R"({"messages":[{"role":"user","content":[{"type":"image","source":
      {"type":"base64","media_type":"text/html","data":"QQ=="}}]}]})"),
            "within the request"));
}

TEST_CASE("to messages: the smallest request gets the cap that it lacks") {
  CHECK(to_messages("{}") == json::parse(R"({"model":"m","max_tokens":500,
      "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})"));
  CHECK(to_messages(R"({"max_tokens":3})")["max_tokens"] == 3);
  CHECK(to_messages(R"({"max_completion_tokens":4})")["max_tokens"] == 4);
  CHECK(to_messages(R"({"stream":true,"stream_options":{"include_usage":true}})") ==
        to_messages(R"({"stream":true})"));
}

TEST_CASE("to messages: sampling, stops and what is left behind") {
  const auto out = to_messages(R"({"temperature":1,"top_p":0.5,"stop":"x","seed":1,"n":1,
      "presence_penalty":0.5,"frequency_penalty":0.5,"user":"u","metadata":{"a":"b"},
      "store":false,"prompt_cache_key":"k","safety_identifier":"s","reasoning_effort":"high",
      "verbosity":"low","modalities":["text"],"logprobs":false,"logit_bias":{},
      "response_format":{"type":"text"},"parallel_tool_calls":true})");
  auto expected = to_messages("{}");
  expected.update(json::parse(R"({"temperature":1,"top_p":0.5,"stop_sequences":["x"]})"));
  CHECK(out == expected);
  CHECK(to_messages(R"({"stop":["a","b"]})")["stop_sequences"] == json::array({"a", "b"}));
}

TEST_CASE("to messages: the system's words, first and later") {
  const auto out = to_messages(R"({"messages":[{"role":"system","content":"a"},
      {"role":"developer","content":[{"type":"text","text":"b",
        "cache_control":{"type":"ephemeral"}}]},
      {"role":"user","content":"c"},{"role":"system","content":"d"}]})");
  CHECK(out["system"] == json::parse(R"([{"type":"text","text":"a"},
      {"type":"text","text":"b","cache_control":{"type":"ephemeral"}}])"));
  CHECK(out["messages"] == json::parse(R"([{"role":"user","content":[
      {"type":"text","text":"c"},{"type":"text","text":"d"}]}])"));
}

TEST_CASE("to messages: calls, their results together, and pictures in them") {
  const auto out = to_messages(R"({"messages":[{"role":"user","content":"a"},
    {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[
      {"id":"f.ls:0","type":"function","function":{"name":"ls","arguments":"{\"at\":1}"}},
      {"id":"c2","type":"function","function":{"name":"pwd","arguments":""}},
      {"id":"c3","type":"function","function":{"name":"bad","arguments":"{\"x\":"}}]},
    {"role":"tool","tool_call_id":"f.ls:0","content":"x"},
    {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"y"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]},
    {"role":"tool","tool_call_id":"c3","content":""},
    {"role":"user","content":"go on","name":"n"}]})")["messages"];
  CHECK(out == json::parse(R"([
    {"role":"user","content":[{"type":"text","text":"a"}]},
    {"role":"assistant","content":[
      {"type":"tool_use","id":"f_ls_0","name":"ls","input":{"at":1}},
      {"type":"tool_use","id":"c2","name":"pwd","input":{}},
      {"type":"tool_use","id":"c3","name":"bad","input":{"arguments":"{\"x\":"}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"f_ls_0","content":[{"type":"text","text":"x"}]},
      {"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"y"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]},
      {"type":"tool_result","tool_use_id":"c3","content":[]},
      {"type":"text","text":"go on"}]}])"));
}

TEST_CASE("to messages: arguments nested past every bound stay text") {
  auto request = chat();
  const std::string deep(100'000, '[');
  request["messages"].insert(
      request["messages"].begin() + 1,
      json::parse(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c",
        "type":"function","function":{"name":"f","arguments":")" +
                  deep + "\"}}]}"));
  request["messages"].push_back(json::parse(R"({"role":"user","content":"x"})"));
  const auto out = sent(chat_dialect(), request)["messages"];
  CHECK(out[1]["content"][0]["input"]["arguments"] == deep);
}

TEST_CASE("to messages: tools and how they may be chosen") {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"edit",
      "description":"d","strict":true,"parameters":{"type":"object"}}},
      {"type":"function","function":{"name":"bare"}}])";
  CHECK(to_messages("{" + tools + "}")["tools"] == json::parse(R"([
      {"name":"edit","description":"d","input_schema":{"type":"object"}},
      {"name":"bare","input_schema":{"type":"object","properties":{}}}])"));
  const auto choice = [&](const std::string& of) {
    return to_messages("{" + tools + "," + of + "}")["tool_choice"];
  };
  CHECK(choice(R"("tool_choice":"auto")") == json::parse(R"({"type":"auto"})"));
  CHECK(choice(R"("tool_choice":"none")") == json::parse(R"({"type":"none"})"));
  CHECK(choice(R"("tool_choice":"required")") == json::parse(R"({"type":"any"})"));
  CHECK(choice(R"("tool_choice":{"type":"function","function":{"name":"edit"}})") ==
        json::parse(R"({"type":"tool","name":"edit"})"));
  CHECK(choice(R"("parallel_tool_calls":false)") ==
        json::parse(R"({"type":"auto","disable_parallel_tool_use":true})"));
  CHECK(choice(R"("parallel_tool_calls":false,"tool_choice":"none")") ==
        json::parse(R"({"type":"none"})"));
}

TEST_CASE("to messages: an answer of a wanted form") {
  CHECK(to_messages(R"({"response_format":{"type":"json_schema","json_schema":{"name":"n",
      "strict":true,"schema":{"type":"object"}}}})")["output_config"] ==
        json::parse(R"({"format":{"type":"json_schema","schema":{"type":"object"}}})"));
}

TEST_CASE("to messages: what cannot be said there is refused by name") {
  const auto refused = [](const std::string& more) { return refusal(chat_dialect(), chat(more)); };
  CHECK(has(refused(R"({"temperature":1.5})"), "'temperature'"));
  CHECK(has(refused(R"({"logprobs":true})"), "'logprobs'"));
  CHECK(has(refused(R"({"top_logprobs":2})"), "'top_logprobs'"));
  CHECK(has(refused(R"({"logit_bias":{"1":2}})"), "'logit_bias'"));
  CHECK(has(refused(R"({"response_format":{"type":"json_object"}})"), "response_format"));
  CHECK(has(refused(R"({"tools":[{"type":"custom","custom":{"name":"x"}}]})"), "tools[0]"));
  CHECK(has(refused(R"({"tools":[{"type":"function","function":{"name":"x"}}],
      "tool_choice":{"type":"allowed_tools"}})"),
            "tool_choice"));
  CHECK(has(refused(R"({"messages":[{"role":"system","content":"x"}]})"), "no message"));
  CHECK(has(refused(R"({"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":"y"}]})"),
            "last message"));
  CHECK(has(refused(R"({"messages":[{"role":"function","content":"x"}]})"), "'function'"));
  for (const std::string url : {"data:image/png,AA", "data:image/png;x=y;base64,AA"}) {
    CHECK(has(refused(R"({"messages":[{"role":"user","content":[{"type":"image_url",
        "image_url":{"url":")" +
                      url + R"("}}]}]})"),
              "data:image"));
  }
}

TEST_CASE("a conversation that goes there and back is the same") {
  const auto request = json::parse(R"({"model":"m","max_tokens":9,"stream":true,"top_p":0.5,
    "stop_sequences":["x"],"system":[{"type":"text","text":"s"}],
    "tools":[{"name":"ls","description":"d","input_schema":{"type":"object"}}],
    "tool_choice":{"type":"any","disable_parallel_tool_use":true},
    "messages":[{"role":"user","content":[{"type":"text","text":"a"}]},
    {"role":"assistant","content":[{"type":"text","text":"b"},
      {"type":"tool_use","id":"t1","name":"ls","input":{"at":[1,2.5,null,"\u00e4"]}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
      "content":[{"type":"text","text":"r"}]},{"type":"text","text":"c"}]}]})");
  CHECK(sent(chat_dialect(), sent(messages_dialect(), request)) == request);
}

TEST_CASE("tokens are guessed by bytes, and pictures by what they cost") {
  const auto small = estimated_tokens(messages().dump());
  auto more = messages();
  more["messages"][0]["content"] = std::string(3002, 'x');
  CHECK(estimated_tokens(more.dump()) == small + 1000);
  more["messages"][0]["content"] = json::parse(R"([{"type":"image","source":{"type":"base64",
      "media_type":"image/png","data":")" + std::string(100'000, 'A') +
                                               "\"}}]");
  const auto pictured = estimated_tokens(more.dump());
  CHECK(pictured > 1600);
  CHECK(pictured < 1700);
}

TEST_CASE("an upstream's error is read in each of its forms") {
  CHECK(error_message(R"({"type":"error","error":{"type":"x","message":"a"}})") == "a");
  CHECK(error_message(R"({"error":"b"})") == "b");
  CHECK(error_message(R"({"object":"error","message":"c"})") == "c");
  CHECK(error_message(R"({"detail":"d"})") == "d");
  for (const std::string none : {"", "<html>", "[]", "{}", R"({"detail":[1]})"}) {
    CHECK(error_message(none).empty());
  }
}
