#include "tests/scripted_upstream/story.hpp"

#include <doctest/doctest.h>

#include "tests/scripted_upstream/messages_reply.hpp"
#include "tests/scripted_upstream/openai_dialects.hpp"

using namespace germline::scripted;
using nlohmann::json;

namespace {

json asks(const std::string& text, const std::string& tool = "bash") {
  return {{"model", "scripted-1"},
          {"tools", {{{"name", tool}}}},
          {"messages", {{{"role", "user"}, {"content", text}}}}};
}

const char* const two_steps = R"({"steps": [
  {"name": "first", "when": [{"tools_include": "bash"}, {"not_goal_contains": "never"}],
   "reply": {"content": [{"type": "tool_use", "name": "bash", "input": {"command": "ls"}}]}},
  {"name": "second", "when": [{"last_tool_result_matches": "^fi.e"},
    {"last_tool_result_is_error": false}],
   "reply": {"content": [{"type": "text", "text": "done"}]}}]})";

}  // namespace

TEST_CASE("steps are told in order, and the report says so") {
  auto told = story::parse(two_steps);
  REQUIRE(told);
  CHECK(told->answer(asks("hello")).step == "first");
  CHECK_FALSE(told->report()["ok"].get<bool>());
  json request = asks("hello");
  request["messages"].push_back(
      {{"role", "user"}, {"content", {{{"type", "tool_result"}, {"content", "file"}}}}});
  request["messages"].push_back({{"role", "system"}, {"content", "Time has passed."}});
  CHECK(told->answer(request).ok);
  CHECK(told->report()["ok"].get<bool>());
  CHECK(told->report()["consumed"] == json({"first", "second"}));
}

TEST_CASE("an unmet guard shows the difference and fails the story for good") {
  auto told = story::parse(two_steps);
  REQUIRE(told);
  const auto wrong = told->answer(asks("hello", "other"));
  CHECK_FALSE(wrong.ok);
  CHECK(wrong.mismatch.find("tools_include \"bash\", got: [\"other\"]") != std::string::npos);
  CHECK_FALSE(told->answer(asks("hello")).ok);
  const auto report = told->report();
  CHECK_FALSE(report["ok"].get<bool>());
  CHECK(report["failure"]["step"] == "first");
}

TEST_CASE("an attempt that takes over is told its part again, and nothing else is") {
  const auto text = R"({"steps": [
    {"name": "1", "begins": true, "reply": {"content": []}},
    {"name": "2", "begins": true, "when": [{"last_user_text_contains": "second"}],
     "reply": {"content": []}},
    {"name": "more", "when": [{"last_tool_result_contains": "file"}], "reply": {"content": []}}]})";
  json more = asks("second");
  more["messages"].push_back({{"role", "assistant"}, {"content", "I look."}});
  const json red = more;
  more["messages"].push_back(
      {{"role", "user"}, {"content", {{{"type", "tool_result"}, {"content", "file"}}}}});

  auto told = story::parse(text);
  REQUIRE(told);
  for (const auto* step : {"1", "2", "2"}) {
    CHECK(told->answer(asks(step == std::string("1") ? "first" : "second")).step == step);
  }
  CHECK(told->answer(more).step == "more");
  const auto report = told->report();
  CHECK(report["ok"].get<bool>());
  CHECK(report["told_again"] == json({"2"}));

  // A conversation that goes on, and what the part's own beginning does not fit.
  for (const auto& wrong : {red, asks("third")}) {
    auto other = story::parse(text);
    REQUIRE(other);
    CHECK(other->answer(asks("first")).ok);
    CHECK(other->answer(asks("second")).ok);
    CHECK_FALSE(other->answer(wrong).ok);
    CHECK(other->report()["failure"]["step"] == "more");
  }
}

TEST_CASE("a request past the end, or in no lane, fails") {
  auto told = story::parse(R"({"lanes": [{"lane": "a", "match": [{"system_contains": "A"}],
    "steps": [{"name": "only", "reply": {"content": []}}]}]})");
  REQUIRE(told);
  auto lost = *told;
  CHECK_FALSE(lost.answer(asks("x")).ok);
  json request = asks("x");
  request["system"] = "A";
  CHECK(told->answer(request).ok);
  CHECK_FALSE(told->answer(request).ok);
}

TEST_CASE("a mistake in a story is named") {
  CHECK_FALSE(story::parse("{"));
  CHECK_FALSE(story::parse(R"({"steps": [{"name": "x"}]})"));
  const auto unknown = story::parse(
      R"({"steps": [{"name": "x", "when": [{"tool_include": "y"}], "reply": {"content": []}}]})");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message().find("unknown predicate 'tool_include'") != std::string::npos);
}

TEST_CASE("a stream says what the message says") {
  const std::string long_text = "0123456789012345678901234567890123456789\xc3\xa4 and more";
  const json reply = {{"content",
                       {{{"type", "text"}, {"text", long_text}},
                        {{"type", "tool_use"}, {"name", "x"}, {"input", {{"k", "v"}}}}}}};
  const json message = message_of(reply, asks("x"), 100, 7);
  CHECK(message["stop_reason"] == "tool_use");
  std::string text;
  std::string input;
  for (const auto& event : events_of(message)) {
    const json data = json::parse(event.substr(event.find("data: ") + 6));
    const json delta = data.value("delta", json::object());
    text += delta.value("text", "");
    input += delta.value("partial_json", "");
  }
  CHECK(text == long_text);
  CHECK(json::parse(input) == json({{"k", "v"}}));
}

TEST_CASE("a step that repeats is told as often as it is asked for, and need not be") {
  auto told = story::parse(R"({"steps": [
    {"name": "again", "when": [{"not_any_message_contains": "stop"}], "repeats": true,
     "reply": {"content": []}},
    {"name": "never", "repeats": true, "when": [{"tools_include": "none"}],
     "reply": {"content": []}},
    {"name": "last", "reply": {"content": []}}]})");
  REQUIRE(told);
  for (int i = 0; i < 3; ++i) CHECK(told->answer(asks("go on")).step == "again");
  CHECK(told->report()["consumed"] == json({"again"}));
  CHECK(told->report()["unused"] == json({"never", "last"}));
  CHECK(told->answer(asks("stop")).step == "last");
  CHECK(told->report()["consumed"] == json({"again", "last"}));
  CHECK(told->report()["ok"].get<bool>());
}

TEST_CASE("two steps of one name that are told in a row are told twice") {
  auto told = story::parse(R"({"steps": [{"name": "a", "reply": {"content": []}},
                                         {"name": "a", "reply": {"content": []}}]})");
  REQUIRE(told);
  told->answer(asks("x"));
  told->answer(asks("x"));
  CHECK(told->report()["consumed"] == json({"a", "a"}));
}

TEST_CASE("a story with a key that nobody reads, or a step that can never be done, is refused") {
  for (const auto& [text, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({"steps": [{"name": "a", "wen": [], "reply": {"content": []}}]})", "'wen'"},
           {R"({"steps": [], "mach": []})", "'mach'"},
           {R"({"lanes": [], "steps": []})", "'steps'"},
           {R"({"steps": [{"name": "a", "repeats": true, "optional": false,
                           "reply": {"content": []}}]})",
            "need not be told"}}) {
    const auto read = story::parse(text);
    REQUIRE_FALSE(read);
    CAPTURE(read.error().message());
    CHECK(read.error().message().find(why) != std::string::npos);
  }
}

TEST_CASE("requests of OpenAI's dialects are looked at as those of Messages are") {
  const json call = {{"id", "c1"},
                     {"type", "function"},
                     {"function", {{"name", "bash"}, {"arguments", R"({"command": "ls"})"}}}};
  const json chat = {{"tools", {{{"type", "function"}, {"function", {{"name", "bash"}}}}}},
                     {"messages",
                      {{{"role", "developer"}, {"content", "Be kind."}},
                       {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "look"}}}}},
                       {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}},
                       {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "src"}}}}};
  const json responses = {
      {"instructions", "Be kind."},
      {"tools", {{{"type", "namespace"}, {"tools", {{{"type", "function"}, {"name", "bash"}}}}}}},
      {"input",
       {{{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "look"}}}}},
        {{"type", "function_call"},
         {"call_id", "c1"},
         {"name", "bash"},
         {"arguments", R"({"command": "ls"})"}},
        {{"type", "function_call_output"}, {"call_id", "c1"}, {"output", "src"}}}}};
  for (const auto& request :
       {messages_request_of_chat(chat), messages_request_of_responses(responses)}) {
    const auto view = request_view::of(request);
    CHECK(view.tools == std::vector<std::string>{"bash"});
    CHECK(view.system == "Be kind.\n");
    CHECK(view.last_user_text == "look\n");
    CHECK(view.last_tool_result == "src\n");
    CHECK(view.any_message.find(R"({"command":"ls"})") != std::string::npos);
  }
}

TEST_CASE("answers of OpenAI's dialects say what the message says, whole and as a stream") {
  const json reply = {{"content",
                       {{{"type", "text"}, {"text", "I look."}},
                        {{"type", "tool_use"}, {"name", "bash"}, {"input", {{"k", "v"}}}}}}};
  const json message = message_of(reply, asks("x"), 100, 7);
  const json choice = chat_answer_of(message)["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["content"] == "I look.");
  CHECK(choice["message"]["tool_calls"][0]["function"]["arguments"] == R"({"k":"v"})");
  std::string said;
  std::string arguments;
  for (const auto& event : chat_events_of(message, true)) {
    const json chunk = json::parse(event.substr(6), nullptr, false);
    if (chunk.is_discarded() || chunk["choices"].empty()) continue;
    const json delta = chunk["choices"][0]["delta"];
    said += delta.value("content", "");
    for (const auto& call : delta.value("tool_calls", json::array())) {
      arguments += call["function"]["arguments"].get<std::string>();
    }
  }
  CHECK(said == "I look.");
  CHECK(arguments == R"({"k":"v"})");
  const json answer = responses_answer_of(message);
  CHECK(answer["status"] == "completed");
  CHECK(answer["output"][0]["content"][0]["text"] == "I look.");
  CHECK(answer["output"][1]["arguments"] == R"({"k":"v"})");
  const auto events = responses_events_of(message);
  const json last = json::parse(events.back().substr(events.back().find("data: ") + 6));
  CHECK(last["response"] == answer);
}
