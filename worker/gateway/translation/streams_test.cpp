#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "worker/gateway/dialect.hpp"
#include "worker/gateway/translation/translator.hpp"

using namespace germline::worker;
using namespace germline::worker::translation;
using nlohmann::json;

namespace {

struct told {
  std::string text;
  bool ended = false;
  bool failed = false;
  std::optional<token_counts> charged;
};

/// `stream` through the gateway's order of things: the meter first, then the translator.
told through(const dialect& client, const std::string& stream, std::size_t piece,
             const answer_traits& traits) {
  const auto& by = *translator_for(client);
  const auto meter = by.upstream().reader(true, {});
  const auto translator = by.stream(traits);
  told out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    std::string bytes = stream.substr(at, piece);
    meter->feed(bytes);
    out.text += translator->feed(bytes, meter->told());
  }
  out.text += translator->finish(meter->told());
  out.ended = translator->ended();
  out.failed = translator->failed();
  out.charged = meter->finish();
  return out;
}

/// The data of the events.
std::vector<std::string> events(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = text.find("data: "); at != text.npos; at = text.find("data: ", at)) {
    const auto end = text.find('\n', at);
    all.push_back(text.substr(at + 6, end - at - 6));
    at = end;
  }
  return all;
}

std::string event(const json& data) {
  const auto type = data.value("type", std::string());
  return (type.empty() ? "" : "event: " + type + "\n") + "data: " + data.dump() + "\n\n";
}

std::string events_of(const std::string& list) {
  std::string all;
  for (const auto& one : json::parse(list)) all += event(one);
  return all;
}

std::string chunk(const std::string& delta, const std::string& finish = "null") {
  return event(json::parse(R"({"id":"c1","model":"mm","choices":[{"index":0,"delta":)" + delta +
                           R"(,"finish_reason":)" + finish + "}]}"));
}

const answer_traits traits{"m", "germline_1", 12, true, false};
const std::string usage = event(json::parse(R"({"id":"c1","choices":[],"usage":{
    "prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":7}}})"));
const std::string done = "data: [DONE]\n\n";
const std::string chat_text = chunk(R"({"role":"assistant","content":""})") + ": still here\n\n" +
                              chunk(R"({"content":"h\u00e4"})") + chunk(R"({"content":"i\n"})") +
                              chunk("{}", "\"stop\"") + usage + done;
const std::string call_0 =
    chunk(R"({"tool_calls":[{"index":0,"id":"f.ls:0","function":{"name":"ls","arguments":""}}]})") +
    chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"at\""}}]})") +
    chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})");
const std::string call_1 =
    chunk(R"({"tool_calls":[{"index":1,"id":"c1","function":{"name":"pwd","arguments":"{"}}]})") +
    chunk(R"({"tool_calls":[{"index":1,"function":{"arguments":"}"}}]})");
const std::string chat_end = chunk("{}", "\"tool_calls\"") + usage + done;

const std::string messages_stream = events_of(R"([
  {"type":"message_start","message":{"id":"m1","model":"mm","usage":{"input_tokens":2,
    "cache_read_input_tokens":7,"cache_creation_input_tokens":1,"output_tokens":1}}},
  {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}},
  {"type":"ping"},
  {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\u00e4"}},
  {"type":"content_block_stop","index":0},
  {"type":"content_block_start","index":1,"content_block":
    {"type":"tool_use","id":"t1","name":"ls","input":{}}},
  {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}},
  {"type":"content_block_delta","index":1,"delta":
    {"type":"input_json_delta","partial_json":"{\"a\""}},
  {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}},
  {"type":"content_block_stop","index":1},
  {"type":"content_block_start","index":2,"content_block":
    {"type":"tool_use","id":"t2","name":"pwd","input":{}}},
  {"type":"content_block_stop","index":2},
  {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}},
  {"type":"message_stop"}])");

/// The blocks as a client of Messages puts them together; fails on what it would fail on.
json assembled(const std::string& text) {
  json message;
  std::vector<std::string> inputs;
  int open = -1;
  for (const auto& data : events(text)) {
    const auto one = json::parse(data);
    const std::string type = one["type"];
    if (type == "message_start") {
      REQUIRE(message.is_null());
      message = one["message"];
    } else if (type == "content_block_start") {
      REQUIRE(open == -1);
      open = one["index"];
      REQUIRE(static_cast<std::size_t>(open) == message["content"].size());
      message["content"].push_back(one["content_block"]);
      inputs.emplace_back();
    } else if (type == "content_block_delta") {
      REQUIRE(one["index"] == open);
      auto& block = message["content"].back();
      const auto& delta = one["delta"];
      if (delta["type"] == "input_json_delta") {
        inputs.back() += std::string(delta["partial_json"]);
      } else {
        const std::string key = delta["type"] == "text_delta" ? "text" : "thinking";
        block[key] = std::string(block[key]) + std::string(delta[key]);
      }
    } else if (type == "content_block_stop") {
      REQUIRE(one["index"] == open);
      if (!inputs.back().empty()) message["content"].back()["input"] = json::parse(inputs.back());
      open = -1;
    } else if (type == "message_delta") {
      REQUIRE(open == -1);
      message["stop_reason"] = one["delta"]["stop_reason"];
      message["usage"] = one["usage"];
    }
  }
  return message;
}

json content_of(const std::string& stream, const answer_traits& with = traits) {
  const auto out = through(messages_dialect(), stream, stream.size(), with);
  REQUIRE(out.ended);
  return assembled(out.text)["content"];
}

/// What the meter of `dialect` reads in a stream that the client got.
token_counts read_as(const dialect& client, std::string text) {
  const auto reader = client.reader(true, {});
  reader->feed(text);
  CHECK(reader->ended());
  const auto counts = reader->finish();
  REQUIRE(counts);
  return *counts;
}

}  // namespace

TEST_CASE("to messages: a text, however the stream is cut") {
  const auto whole = through(messages_dialect(), chat_text, chat_text.size(), traits);
  CHECK(whole.ended);
  CHECK(whole.text.starts_with("event: message_start\ndata: {"));
  CHECK(whole.text.find(": ping\n\n") != std::string::npos);
  const auto message = assembled(whole.text);
  CHECK(message["content"] == json::parse(R"([{"type":"text","text":"h\u00e4i\n"}])"));
  CHECK(message["id"] == "c1");
  CHECK(message["model"] == "mm");
  CHECK(message["stop_reason"] == "end_turn");
  CHECK(message["usage"] == json::parse(R"({"input_tokens":3,"output_tokens":4,
      "cache_creation_input_tokens":0,"cache_read_input_tokens":7})"));
  CHECK(events(whole.text).back() == R"({"type":"message_stop"})");
  for (std::size_t piece = 1; piece < chat_text.size(); ++piece) {
    CAPTURE(piece);
    REQUIRE(through(messages_dialect(), chat_text, piece, traits).text == whole.text);
  }
}

TEST_CASE("to messages: the pieces pass as they come") {
  const auto by = translator_for(messages_dialect())->stream(traits);
  CHECK(by->feed(chunk(R"({"role":"assistant","content":""})"), {}) != "");
  const auto text = by->feed(chunk(R"({"content":"one"})"), {});
  CHECK(text.find(R"("text":"one")") != std::string::npos);
  const auto first = by->feed(call_0, {});
  CHECK(first.find("content_block_stop") != std::string::npos);  // of the text
  CHECK(first.find(R"("partial_json":"{\"at\"")") != std::string::npos);
  CHECK(first.find(R"("partial_json":":1}")") != std::string::npos);
  const auto second = by->feed(call_1, {});
  CHECK(second.find("content_block_stop") != std::string::npos);  // of the first call
  CHECK(second.find(R"("name":"pwd")") != std::string::npos);
}

TEST_CASE("to messages: parallel calls, one after the other or mixed") {
  const auto expected = json::parse(R"([
    {"type":"text","text":"so"},
    {"type":"tool_use","id":"f_ls_0","name":"ls","input":{"at":1}},
    {"type":"tool_use","id":"c1","name":"pwd","input":{}}])");
  const auto text = chunk(R"({"content":"so"})");
  CHECK(content_of(text + call_0 + call_1 + chat_end) == expected);
  const auto piece = [](int call, const std::string& arguments) {
    return chunk(R"({"tool_calls":[{"index":)" + std::to_string(call) +
                 R"(,"function":{"arguments":)" + json(arguments).dump() + "}}]}");
  };
  const auto mixed =
      chunk(R"({"tool_calls":[{"index":0,"id":"f.ls:0","function":{"name":"ls","arguments":"{"}},
               {"index":1,"id":"c1","function":{"name":"pwd"}}]})") +
      piece(1, "{") + piece(0, "\"at\":") + piece(1, "}") + piece(0, "1}");
  for (const std::size_t size : {std::size_t{1}, std::size_t{17}, std::size_t{10'000}}) {
    const auto out = through(messages_dialect(), text + mixed + chat_end, size, traits);
    CHECK(out.ended);
    const auto message = assembled(out.text);
    CHECK(message["content"] == expected);
    CHECK(message["stop_reason"] == "tool_use");
  }
  // The second begins while the first is open, and not whole.
  const auto late =
      chunk(R"({"tool_calls":[{"index":0,"id":"f.ls:0","function":{"name":"ls"}}]})") +
      piece(0, "{") + chunk(R"({"tool_calls":[{"index":1,"id":"c1","function":{"name":"pwd"}}]})") +
      piece(1, "{") + piece(0, "\"at\":1}") + piece(1, "}");
  const auto calls = content_of(late + chat_end);
  CHECK(calls == json::array({expected[1], expected[2]}));
}

TEST_CASE("to messages: calls that come whole, without a number or an id") {
  const auto content =
      content_of(chunk(R"({"tool_calls":[{"function":{"name":"a","arguments":"{}"}},
               {"function":{"name":"b","arguments":"{\"x\":1}"}}]})") +
                 chat_end);
  CHECK(content == json::parse(R"([{"type":"tool_use","id":"c1_0","name":"a","input":{}},
      {"type":"tool_use","id":"c1_1","name":"b","input":{"x":1}}])"));
}

TEST_CASE("to messages: a call that the cap cut off") {
  const auto stream = call_0.substr(0, call_0.rfind("data: ")) + chunk("{}", "\"length\"") + done;
  const auto out = through(messages_dialect(), stream, 7, traits);
  CHECK(out.ended);
  CHECK(out.text.find(R"("stop_reason":"max_tokens")") != std::string::npos);
}

TEST_CASE("to messages: thinking is shown where it was asked for, else a sign of life") {
  const auto stream = chunk(R"({"reasoning_content":"h"})") + chunk(R"({"reasoning":"m"})") +
                      chunk(R"({"content":"x"})") + done;
  CHECK(content_of(stream).size() == 1);
  auto shows = traits;
  shows.shows_thinking = true;
  CHECK(content_of(stream, shows)[0] ==
        json::parse(R"({"type":"thinking","thinking":"hm","signature":""})"));
  const auto hidden = translator_for(messages_dialect())->stream(traits);
  hidden->feed(chunk("{}"), {});
  CHECK(hidden->feed(chunk(R"({"reasoning_content":"h"})"), {}) == ": ping\n\n");
}

TEST_CASE("to messages: what cannot be read ends with one error, and so does the upstream's own") {
  for (const std::string& bad :
       {std::string("data: {\"cho\n\n"), std::string("data: []\n\n"), done,
        event(json::parse(R"({"error":{"message":"overloaded","code":500}})")),
        chunk(R"({"tool_calls":[{"index":7,"function":{"name":"x"}}]})"),
        chunk(R"({"tool_calls":[{"index":"x"}]})"), chunk(R"({"tool_calls":[{"index":0}]})") + done,
        call_0 + call_1 + chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"x"}}]})"),
        std::string("data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n")}) {
    CAPTURE(bad);
    for (const std::size_t piece : {std::size_t{1}, bad.size()}) {
      const auto out = through(messages_dialect(), bad + chat_text, piece, traits);
      CHECK(out.failed);
      CHECK_FALSE(out.ended);
      const auto last = json::parse(events(out.text).back());
      CHECK(last["type"] == "error");
      CHECK(last["error"]["type"] == "api_error");
    }
  }
  const auto told = through(messages_dialect(),
                            chunk(R"({"content":"x"})") +
                                event(json::parse(R"({"error":{"message":"overloaded"}})")) + done,
                            9, traits);
  CHECK(told.text.find("overloaded") != std::string::npos);
  CHECK(told.text.find("message_stop") == std::string::npos);
}

TEST_CASE("to messages: a line without end is not kept") {
  const auto by = translator_for(messages_dialect())->stream(traits);
  const std::string much(1 << 20, 'x');
  std::string all;
  for (int i = 0; i < 20 && !by->failed(); ++i) all += by->feed(much, {});
  CHECK(by->failed());
  CHECK(by->held_bytes() <= stream_translator::max_held_bytes);
  CHECK(all.find("too long") != std::string::npos);
}

TEST_CASE("to chat: text and calls, however the stream is cut") {
  const auto whole = through(chat_dialect(), messages_stream, messages_stream.size(), traits);
  CHECK(whole.ended);
  std::string text;
  std::vector<json> calls;
  json finish;
  json used;
  const auto all = events(whole.text);
  REQUIRE(all.back() == "[DONE]");
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const auto one = json::parse(all[i]);
    CHECK(one["object"] == "chat.completion.chunk");
    CHECK(one["id"] == "m1");
    CHECK(one["model"] == "mm");
    CHECK(one["created"] == 12);
    if (one.contains("usage")) used = one["usage"];
    if (one["choices"].empty()) continue;
    const auto& choice = one["choices"][0];
    if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
    text += choice["delta"].value("content", std::string());
    for (const auto& call : choice["delta"].value("tool_calls", json::array())) {
      const std::size_t number = call["index"];
      if (call.contains("id")) calls.push_back(call);
      REQUIRE(number < calls.size());
      if (call.contains("id")) continue;
      auto& arguments = calls[number]["function"]["arguments"];
      arguments = std::string(arguments) + std::string(call["function"]["arguments"]);
    }
  }
  CHECK(text == "h\u00e4");
  CHECK(json(calls) == json::parse(R"([
    {"index":0,"id":"t1","type":"function","function":{"name":"ls","arguments":"{\"a\":1}"}},
    {"index":1,"id":"t2","type":"function","function":{"name":"pwd","arguments":"{}"}}])"));
  CHECK(finish == "tool_calls");
  CHECK(used["prompt_tokens"] == 10);
  CHECK(used["prompt_tokens_details"]["cached_tokens"] == 7);
  CHECK(used["completion_tokens"] == 4);
  for (std::size_t piece = 1; piece < messages_stream.size(); ++piece) {
    CAPTURE(piece);
    REQUIRE(through(chat_dialect(), messages_stream, piece, traits).text == whole.text);
  }
}

TEST_CASE("to chat: usage is told to whom asked for it") {
  auto quiet = traits;
  quiet.shows_usage = false;
  const auto out = through(chat_dialect(), messages_stream, 100, quiet);
  CHECK(out.ended);
  CHECK(out.text.find("prompt_tokens") == std::string::npos);
}

TEST_CASE("to chat: input that comes with a call's beginning, and thinking") {
  const auto start = messages_stream.substr(0, messages_stream.find("event: content_block_start"));
  const auto out = through(chat_dialect(), start + events_of(R"([
    {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}},
    {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}},
    {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}},
    {"type":"content_block_stop","index":0},
    {"type":"content_block_start","index":1,"content_block":
      {"type":"tool_use","id":"t","name":"ls","input":{"a":1}}},
    {"type":"content_block_stop","index":1},
    {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":4}}])"),
                           50, traits);
  CHECK(out.ended);  // without message_stop: what it said is whole
  CHECK(out.text.find(R"("reasoning_content":"hm")") != std::string::npos);
  CHECK(out.text.find(R"("arguments":"{\"a\":1}")") != std::string::npos);
  CHECK(out.text.find(R"("finish_reason":"length")") != std::string::npos);
}

TEST_CASE("to chat: what cannot be read ends with one error, and so does the upstream's own") {
  for (const std::string& bad :
       {std::string("data: {\n\n"), std::string("data: [DONE]\n\n"),
        events_of(R"([{"type":"error","error":{"type":"overloaded_error","message":"x"}}])"),
        events_of(R"([{"type":"message_stop"}])"),
        events_of(R"([{"type":"content_block_delta","index":0,"delta":{}}])"),
        events_of(R"([{"type":"message_start"}])"), messages_stream.substr(0, 200) + "\n\n"}) {
    CAPTURE(bad);
    const auto out = through(chat_dialect(), bad + messages_stream, 13, traits);
    CHECK(out.failed);
    CHECK_FALSE(out.ended);
    const auto last = json::parse(events(out.text).back());
    CHECK(last["error"]["type"] == "server_error");
    CHECK(out.text.find("[DONE]") == std::string::npos);
  }
}

TEST_CASE("money: what the client reads in a stream is what is charged") {
  const auto to_messages = through(messages_dialect(), chat_text, 11, traits);
  REQUIRE(to_messages.charged);
  CHECK(*to_messages.charged == token_counts{3, 4, 0, 0, 7});
  CHECK(read_as(messages_dialect(), to_messages.text) == *to_messages.charged);
  const auto to_chat = through(chat_dialect(), messages_stream, 11, traits);
  REQUIRE(to_chat.charged);
  CHECK(*to_chat.charged == token_counts{2, 4, 1, 0, 7});
  CHECK(read_as(chat_dialect(), to_chat.text) == *to_chat.charged);
}
