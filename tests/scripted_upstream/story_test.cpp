#include "tests/scripted_upstream/story.hpp"

#include <doctest/doctest.h>
#include <fstream>

#include "tests/scripted_upstream/messages_reply.hpp"
#include "tests/scripted_upstream/openai_dialects.hpp"
#include "tests/scripted_upstream/outputs.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline::scripted;
using germline::tests::temp_dir;
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

/// Why a story is refused; nothing if it is not.
std::string refusal(const std::string& text) {
  const auto read = story::parse(text);
  return read ? "" : read.error().message();
}

/// A story whose second step says `reply`.
std::string replies(const std::string& reply) {
  return R"({"steps": [{"name": "a", "reply": {"content": []}}, {"name": "b", "reply": )" + reply +
         "}]}";
}

/// The same, of a reply that says one block.
std::string says(const std::string& block) {
  return replies(R"({"content": [{"type": "text", "text": ""}, )" + block + "]}");
}

void check_refused(const std::string& text, const std::string& place, const std::string& why) {
  const auto told = refusal(text);
  CAPTURE(text);
  CAPTURE(told);
  CHECK(told.starts_with(place));
  CHECK(told.find(why) != std::string::npos);
}

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

TEST_CASE("a reply that could not be told is refused, with its place and what would be right") {
  for (const auto& [reply, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"5", "'content' or 'status'"},
           {"{}", "'content' or 'status'"},
           {R"({"content": [], "status": 500})", "not both"},
           {R"({"content": "x"})", "'content' is a list of blocks, not \"x\""},
           {R"({"content": [], "stop": "end_turn"})", "'stop', which is not known"},
           {R"({"content": [], "error": {}})", "'error', which is not known"},
           {R"({"content": [], "retry_after": "5"})", "'retry_after', which is not known"},
           {R"({"content": [], "stop_reason": 5})", "'stop_reason' is a string"},
           {R"({"content": [], "stop_reason": null})", "'stop_reason' is a string"},
           {R"({"content": [], "delay_ms": "5"})", "0 to 86400000, not \"5\""},
           {R"({"content": [], "delay_ms": -1})", "'delay_ms' is a whole number"},
           {R"({"content": [], "delay_ms": 3000000000})", "'delay_ms' is a whole number"},
           {R"({"content": [], "event_delay_ms": 1.5})", "'event_delay_ms' is a whole number"},
           {R"({"content": [], "cut_after_events": true})", "'cut_after_events' is a whole"},
           {R"({"content": [], "cut_after_events": -3})", "'cut_after_events' is a whole"},
           {R"({"status": "500"})", "from 400 to 599, not \"500\""},
           {R"({"status": 200, "error": {}})", "from 400 to 599, not 200"},
           {R"({"status": 600})", "from 400 to 599"},
           {R"({"status": 500.5})", "from 400 to 599"},
           {R"({"status": 500, "delay_ms": 5})", "'delay_ms', which is not known"},
           {R"({"status": 429, "retry_after": "soon"})", "'retry_after' is seconds"},
           {R"({"status": 429, "retry_after": "5\r\nx: y"})", "'retry_after' is seconds"},
           {R"({"status": 429, "retry_after": ""})", "'retry_after' is seconds"},
           {R"({"status": 429, "retry_after": -5})", "'retry_after' is seconds"},
           {R"({"status": 429, "retry_after": null})", "'retry_after' is seconds"}}) {
    check_refused(replies(reply), "lane main, step 2: ", why);
  }
}

TEST_CASE("a block that could not be told is refused, with its place and what would be right") {
  for (const auto& [block, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"5", "a block is an object with 'type', not 5"},
           {R"({"text": "x"})", "needs 'type'"},
           {R"({"type": "image"})", "\"text\", \"tool_use\" or \"thinking\", not \"image\""},
           {R"({"type": 5})", "'type' is"},
           {R"({"type": "text"})", "needs 'text'"},
           {R"({"type": "text", "text": 5})", "'text' is a string, not 5"},
           {R"({"type": "text", "text": "x", "txt": "y"})", "'txt', which is not known"},
           {R"({"type": "thinking", "thinking": null})", "'thinking' is a string"},
           {R"({"type": "thinking", "thinking": "x", "signature": 5})", "'signature' is a string"},
           {R"({"type": "thinking", "thinking": "x", "text": "y"})", "'text', which is not known"},
           {R"({"type": "tool_use", "input": {}})", "needs 'name'"},
           {R"({"type": "tool_use", "name": ""})", "'name' is a string that is not empty"},
           {R"({"type": "tool_use", "name": "x", "id": 5})", "'id' is a string"},
           {R"({"type": "tool_use", "name": "x", "namespace": 5})", "'namespace' is a string"},
           {R"({"type": "tool_use", "name": "x", "input": [1]})", "'input' is an object"},
           {R"({"type": "tool_use", "name": "x", "args": {}})", "'args', which is not known"}}) {
    check_refused(says(block), "lane main, step 2, block 2", why);
  }
}

TEST_CASE("what a reply may have is taken") {
  for (const auto* reply :
       {R"({"content": [], "stop_reason": "max_tokens", "delay_ms": 0, "event_delay_ms": 86400000,
            "cut_after_events": 3})",
        R"({"status": 400})", R"({"status": 599, "error": "x", "retry_after": "05"})"}) {
    CHECK(refusal(replies(reply)).empty());
  }
  for (const auto* block :
       {R"({"type": "thinking", "thinking": ""})",
        R"({"type": "thinking", "thinking": "x", "signature": "s"})",
        R"({"type": "tool_use", "name": "x"})",
        R"({"type": "tool_use", "name": "x", "id": "i", "namespace": "n", "input": "text"})"}) {
    CHECK(refusal(says(block)).empty());
  }
  auto told =
      story::parse(R"({"steps": [{"name": "a", "reply": {"status": 429, "retry_after": 5}}]})");
  REQUIRE(told);
  CHECK(told->answer(asks("x")).reply["retry_after"] == "5");
}

TEST_CASE("a step, lane or story that is made wrongly is refused with its place") {
  const auto step = [](const char* member) {
    return R"({"lanes": [{"lane": "L", "steps": [{"name": "a", "reply": {"content": []}, )" +
           std::string(member) + "}]}]}";
  };
  check_refused(step(R"("optional": "yes")"), "lane L, step 1: ", "'optional' is true or false");
  check_refused(step(R"("repeats": 1)"), "lane L, step 1: ", "'repeats' is true or false");
  check_refused(step(R"("begins": null)"), "lane L, step 1: ", "'begins' is true or false");
  check_refused(step(R"("when": {})"), "lane L, step 1: ", "'when' is a list of predicates");
  for (const auto* name : {R"("")", "5", "null"}) {
    check_refused(
        R"({"steps": [{"name": )" + std::string(name) + R"(, "reply": {"status": 500}}]})",
        "lane main, step 1: ", "'name' is a string that is not empty");
  }
  for (const auto* text : {"[]", "{}", R"({"steps": [], "lanes": []})"}) {
    check_refused(text, "the story ", "'steps' or 'lanes': one or the other");
  }
  check_refused(R"({"lanes": {}})", "the story: ", "'lanes' is a list");
  check_refused(R"({"lanes": [5]})", "lane 1: ", "a lane is an object");
  check_refused(R"({"lanes": [{"lane": 5, "steps": []}]})", "lane 1: ", "'lane' is a string");
  check_refused(R"({"lanes": [{"lane": "L"}]})", "lane L ", "needs a list 'steps'");
  check_refused(R"({"steps": [], "lane": "L"})", "the story ", "'lane', which is not known");
}

TEST_CASE("a key that an object has twice is refused with its place") {
  check_refused(R"({"steps": [], "steps": []})", "the story has 'steps' twice", "once");
  check_refused(replies(R"({"content": [], "content": []})"),
                "lane main, step 2, reply has 'content' twice", "once");
  check_refused(
      says(R"({"type": "tool_use", "name": "x", "input": {"a": [[], {"k": 1, "k": 1}]}})"),
      "lane main, step 2, reply.content.2.input.a.2 has 'k' twice", "once");
  check_refused(
      R"({"lanes": [{"steps": []}, {"lane": "L", "steps": [{"name": "a", "name": "a"}]}]})",
      "lane L, step 1 has 'name' twice", "once");
  check_refused(R"({"lanes": [{"match": [], "match": [], "steps": []}]})",
                "lane 1 has 'match' twice", "once");
  check_refused(R"({"lanes": [{"a": 1, "a": 1}], "lanes": 5})", "", "twice");
  check_refused(R"({"lanes": [{}, {"a": 1, "a": 1}], "lanes": [{}]})", "", "twice");
  CHECK(refusal(says(R"({"type": "tool_use", "name": "x", "input": {"a": {"k": 1}, "k": 1}})"))
            .empty());
}

TEST_CASE("where a report or bodies cannot be written is known before the provider begins") {
  const temp_dir place;
  const std::string file = place.path() + "/report.json";
  CHECK(check_report_file(file));
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK(check_bodies_directory(place.path()));
  std::ofstream(file) << "{}";
  CHECK(check_report_file(file));
  CHECK_FALSE(check_report_file(place.path()));
  CHECK_FALSE(check_report_file(place.path() + "/none/report.json"));
  CHECK_FALSE(check_report_file(file + "/report.json"));
  CHECK_FALSE(check_bodies_directory(file));
  const auto missing = check_bodies_directory(place.path() + "/none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message().starts_with("cannot keep bodies in " + place.path() + "/none: "));
}

TEST_CASE("a request of OpenAI's dialects that lacks a member is an error, and no end") {
  CHECK_THROWS_AS(messages_request_of_chat({{"messages", {{{"role", "tool"}}}}}), json::exception);
  CHECK_THROWS_AS(messages_request_of_responses({{"input", {{{"type", "function_call"}}}}}),
                  json::exception);
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
