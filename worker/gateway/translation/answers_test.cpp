#include "worker/gateway/translation/answers.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "worker/gateway/chat_reader.hpp"
#include "worker/gateway/messages_reader.hpp"

using namespace germline::worker;
using namespace germline::worker::translation;
using nlohmann::json;

namespace {

template <class Reader>
token_counts used_by(Reader&& reader, std::string body) {
  reader.feed(body);
  const auto counts = reader.finish();
  return counts ? *counts : token_counts();
}

const answer_traits traits{"m", "germline_1", 12};

json to_messages(const std::string& body, const answer_traits& with = traits) {
  const auto out = answer_to_messages(body, with, used_by(chat_reader(false, false), body));
  REQUIRE(out);
  return json::parse(*out);
}
json to_chat(const std::string& body) {
  const auto out = answer_to_chat(body, traits, used_by(messages_reader(false), body));
  REQUIRE(out);
  return json::parse(*out);
}

/// A whole answer of Chat Completions with that message.
std::string chat(const std::string& message, const std::string& finish = "stop") {
  return R"({"id":"c1","model":"mm","choices":[{"index":0,"message":)" + message +
         R"(,"finish_reason":")" + finish + R"("}],"usage":{"prompt_tokens":10,)" +
         R"("completion_tokens":4,"prompt_tokens_details":{"cached_tokens":7,)" +
         R"("cache_write_tokens":1}}})";
}
std::string messages(const std::string& content, const std::string& stop = "end_turn") {
  return R"({"id":"m1","model":"mm","role":"assistant","content":)" + content +
         R"(,"stop_reason":")" + stop + R"(","usage":{"input_tokens":2,"output_tokens":4,)" +
         R"("cache_read_input_tokens":7,"cache_creation_input_tokens":1}})";
}

}  // namespace

TEST_CASE("to messages: text, what it used, and why it ended") {
  const auto out = to_messages(chat(R"({"role":"assistant","content":"hi"})"));
  CHECK(out == json::parse(R"({"id":"c1","type":"message","role":"assistant","model":"mm",
    "content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,
    "usage":{"input_tokens":2,"cache_creation_input_tokens":1,"cache_read_input_tokens":7,
    "output_tokens":4}})"));
  const auto reason = [](const std::string& finish) -> json {
    return to_messages(chat(R"({"content":"x"})", finish))["stop_reason"];
  };
  CHECK(reason("length") == "max_tokens");
  CHECK(reason("content_filter") == "refusal");
  CHECK(reason("other") == "end_turn");
}

TEST_CASE("to messages: calls of tools, with ids that Messages takes") {
  const auto out = to_messages(chat(R"({"content":null,"tool_calls":[
    {"id":"f.ls:0","type":"function","function":{"name":"ls","arguments":"{\"at\":1}"}},
    {"id":"","type":"function","function":{"name":"pwd","arguments":""}},
    {"type":"function","function":{"name":"bad","arguments":"{"}}]})",
                                    "stop"));
  CHECK(out["content"] == json::parse(R"([
    {"type":"tool_use","id":"f_ls_0","name":"ls","input":{"at":1}},
    {"type":"tool_use","id":"c1_1","name":"pwd","input":{}},
    {"type":"tool_use","id":"c1_2","name":"bad","input":{"arguments":"{"}}])"));
  CHECK(out["stop_reason"] == "tool_use");
}

TEST_CASE("to messages: thinking is shown where it was asked for") {
  const auto body = chat(R"({"content":"x","reasoning_content":"hm"})");
  CHECK(to_messages(body)["content"].size() == 1);
  auto shows = traits;
  shows.shows_thinking = true;
  CHECK(to_messages(body, shows)["content"][0] ==
        json::parse(R"({"type":"thinking","thinking":"hm","signature":""})"));
  CHECK(to_messages(chat(R"({"content":null,"refusal":"no"})"))["content"][0]["text"] == "no");
}

TEST_CASE("to chat: text, what it used, and why it ended") {
  const auto out = to_chat(messages(R"([{"type":"text","text":"h"},{"type":"text","text":"i"}])"));
  CHECK(out == json::parse(R"({"id":"m1","object":"chat.completion","created":12,"model":"mm",
    "choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},
    "logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,
    "prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":1}}})"));
  const auto reason = [](const std::string& stop) -> json {
    return to_chat(messages("[]", stop))["choices"][0]["finish_reason"];
  };
  CHECK(reason("max_tokens") == "length");
  CHECK(reason("model_context_window_exceeded") == "length");
  CHECK(reason("stop_sequence") == "stop");
  CHECK(reason("tool_use") == "tool_calls");
  CHECK(reason("refusal") == "content_filter");
}

TEST_CASE("to chat: calls of tools") {
  const auto out = to_chat(messages(R"([{"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"tool_use","id":"t1","name":"ls","input":{"at":1}},
    {"type":"tool_use","id":"t2","name":"pwd","input":{}}])",
                                    "tool_use"));
  CHECK(out["choices"][0]["message"] == json::parse(R"({"role":"assistant","content":null,
    "refusal":null,"reasoning_content":"hm","tool_calls":[
    {"id":"t1","type":"function","function":{"name":"ls","arguments":"{\"at\":1}"}},
    {"id":"t2","type":"function","function":{"name":"pwd","arguments":"{}"}}]})"));
}

TEST_CASE("what is charged is what the client reads, in either dialect") {
  for (const token_counts used :
       {token_counts{1, 2, 0, 0, 0}, token_counts{5, 6, 7, 0, 8}, token_counts{0, 0, 0, 0, 0}}) {
    const auto as_messages = answer_to_messages(chat(R"({"content":"x"})"), traits, used);
    CHECK(used_by(messages_reader(false), *as_messages) == used);
    const auto as_chat = answer_to_chat(messages("[]"), traits, used);
    CHECK(used_by(chat_reader(false, false), *as_chat) == used);
  }
}

TEST_CASE("an answer that cannot be read is none") {
  for (const std::string body :
       {"", "x", "[]", "{}", R"({"choices":[]})", R"({"choices":[{}]})",
        R"({"choices":[{"message":{"tool_calls":[{}]}}]})",
        R"({"choices":[{"message":{}}],"a":1,"a":2})", R"({"content":[{"type":"tool_use"}]})"}) {
    CAPTURE(body);
    CHECK_FALSE(answer_to_messages(body, traits, {}));
    CHECK_FALSE(answer_to_chat(body, traits, {}));
  }
}
