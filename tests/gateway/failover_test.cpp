// Several upstreams behind one gateway: who is asked, who is asked next, and who never.
#include <doctest/doctest.h>

#include <ctime>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string reply = R"({"content":[],"usage":{"input_tokens":10,"output_tokens":4}})";
const std::string problem = R"({"error":{"type":"some_error","message":"no"}})";
const std::string key_a = "sk-ant-key-of-the-first-0123456789";
const std::string key_b = "sk-ant-key-of-the-second-0123456789";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

canned_answer with_header(canned_answer answer, const std::string& line) {
  answer.head.insert(answer.head.find("\r\n") + 2, line + "\r\n");
  return answer;
}

const std::vector<worker::gateway_key> both_keys = {{"KEY_a", key_a}, {"KEY_b", key_b}};

std::string table(const std::string& name, unsigned port, const std::string& more = "") {
  return "[[upstream]]\nname = \"" + name + "\"\nurl = \"http://127.0.0.1:" + std::to_string(port) +
         "\"\nkey_env = \"KEY_" + name + "\"\n" + more;
}

/// Two upstreams of which the second is asked when the first cannot be.
struct pair {
  pair(std::vector<canned_answer> of_a, std::vector<canned_answer> of_b)
      : a(std::move(of_a)), b(std::move(of_b)) {
    fixture.open(plenty);
  }
  std::size_t asked_a() { return a.requests().size(); }
  std::size_t asked_b() { return b.requests().size(); }
  worker::gateway_usage closed() {
    const auto usage = fixture.client().close(attempt_name);
    REQUIRE(usage);
    return *usage;
  }

  canned_upstream a;
  canned_upstream b;
  gateway_fixture fixture{table("a", a.port()) + table("b", b.port(), "priority = 1\n"), both_keys};
};

}  // namespace

TEST_CASE("an upstream that cannot answer hands over to the next, each with its own key") {
  pair both({json_answer(problem, "529 Overloaded")}, {json_answer(reply)});
  CHECK(both.fixture.post(small_body(false)).body == reply);
  REQUIRE(both.asked_a() == 1);
  REQUIRE(both.asked_b() == 1);
  const auto head_a = both.a.requests()[0].head;
  const auto head_b = both.b.requests()[0].head;
  CHECK(has(head_a, key_a));
  CHECK_FALSE(has(head_a, key_b));
  CHECK(has(head_b, key_b));
  CHECK_FALSE(has(head_b, key_a));
  const auto process = "/proc/" + std::to_string(both.fixture.client().pid());
  const auto environment = read_file(process + "/environ");
  const auto arguments = read_file(process + "/cmdline");
  const auto usage = both.closed();
  CHECK(usage.requests == 2);  // one an upstream
  CHECK(usage.charged_by_bound == 0);
  CHECK(usage.output_tokens == 4);
  CHECK(has(both.fixture.gateway_log(), "the upstream 'a' does not answer: HTTP 529\n"));
  const auto transcript = both.fixture.transcript();
  CHECK(has(transcript, "\"upstream\":\"b\""));
  for (const auto& text : {environment, arguments, transcript, both.fixture.gateway_log()}) {
    CHECK_FALSE(has(text, key_a));
    CHECK_FALSE(has(text, key_b));
  }
}

TEST_CASE("neither upstream's key is shown by the other") {
  pair both({json_answer("{\"echo\":\"" + key_a + key_b + "\"}")}, {});
  CHECK(both.fixture.post(small_body(false)).body == "{\"echo\":\"[redacted][redacted]\"}");
}

TEST_CASE("an upstream that is not there costs nothing and hands over") {
  unsigned nobody = 0;
  {
    const canned_upstream gone({});
    nobody = gone.port();
  }
  canned_upstream b({json_answer(reply)});
  gateway_fixture fixture(table("a", nobody) + table("b", b.port(), "priority = 1\n"),
                          {{"KEY_b", key_b}});
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).body == reply);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->requests == 1);
  CHECK(usage->charged_by_bound == 0);
  CHECK(has(fixture.gateway_log(), "'a' has no key"));
}

TEST_CASE("a request that may have been taken is asked of no other upstream") {
  pair both({no_answer(), no_answer(), no_answer()}, {json_answer(reply)});
  CHECK(both.fixture.post(small_body(false)).status == 502);
  CHECK(both.asked_a() == 3);
  CHECK(both.asked_b() == 0);
  CHECK(both.closed().charged_by_bound == 3);
}

TEST_CASE("a stream that has begun is not begun anew elsewhere") {
  pair both({stream_answer("data: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\n", 50,
                           false)},
            {json_answer(reply)});
  const auto answer = both.fixture.post(small_body(true));
  CHECK(answer.status == 200);
  CHECK(has(answer.body, "event: error"));
  CHECK(both.asked_b() == 0);
}

TEST_CASE("a spending cap is not tried again, but another upstream is") {
  const auto cap = json_answer(problem, "429 Too Many Requests");
  pair both({cap, cap, cap}, {json_answer(reply), cap, cap});
  CHECK(both.fixture.post(small_body(false)).body == reply);
  const auto second = both.fixture.post(small_body(false));
  CHECK(second.status == 429);
  CHECK(second.body == problem);
  CHECK(both.asked_a() == 2);
  CHECK(both.asked_b() == 2);
  CHECK(both.closed().charged_by_bound == 0);
}

TEST_CASE("an upstream that asks to wait is left alone for that long") {
  pair both({with_header(json_answer(problem, "429 Too Many Requests"), "retry-after: 30"),
             json_answer(reply)},
            {json_answer(reply), json_answer(reply)});
  CHECK(both.fixture.post(small_body(false)).status == 200);
  CHECK(both.fixture.post(small_body(false)).status == 200);
  CHECK(both.asked_a() == 1);
  CHECK(both.asked_b() == 2);
}

TEST_CASE("a time to wait may be a date") {
  char date[64];
  const std::time_t soon = std::time(nullptr) + 2;
  std::tm parts{};
  ::gmtime_r(&soon, &parts);
  REQUIRE(std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
  canned_upstream a({with_header(json_answer(problem, "429 Too Many Requests"),
                                 std::string("retry-after: ") + date),
                     json_answer(reply)});
  gateway_fixture fixture(table("a", a.port()), both_keys);
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(a.requests().size() == 2);
}

TEST_CASE("an upstream alone that asks to wait a little is waited for, a long wait is passed on") {
  const auto wait = [](const std::string& seconds) {
    return with_header(json_answer(problem, "429 Too Many Requests"), "retry-after: " + seconds);
  };
  canned_upstream a({wait("1"), json_answer(reply), wait("30"), json_answer(reply)});
  gateway_fixture fixture(table("a", a.port()), both_keys);
  fixture.open(plenty);
  const system_clock_source time;
  const auto began = time.boot_ms();
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(time.boot_ms() - began >= 1000);
  const auto told = fixture.post(small_body(false));
  CHECK(told.status == 429);
  CHECK(told.body == problem);
  CHECK(has(told.head, "retry-after: 30\r\n"));
  const auto resting = fixture.post(small_body(false));
  CHECK(resting.status == 429);
  CHECK(has(resting.body, "asked to wait"));
  CHECK(has(resting.head, "retry-after: "));
  CHECK(a.requests().size() == 3);
}

TEST_CASE("an upstream that fails too often in a row is not asked for a while") {
  std::vector<canned_answer> failing(20, json_answer(problem, "503 Service Unavailable"));
  canned_upstream a(failing);
  gateway_fixture fixture(table("a", a.port()), both_keys);
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 503);
  CHECK(fixture.post(small_body(false)).status == 503);
  CHECK(a.requests().size() >= 5);
  const auto before = a.requests().size();
  const auto open = fixture.post(small_body(false));
  if (open.body != problem) {  // else the cooldown had less than 5 s left, and was waited for
    CHECK(open.status == 503);
    CHECK(has(open.body, "no upstream of this model answers"));
    CHECK(has(open.head, "retry-after: "));
    CHECK(a.requests().size() == before);
  }
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->cost_nanousd == 0);
}

TEST_CASE("a model goes to who serves it, and one that nobody serves cannot be opened") {
  canned_upstream a({});
  canned_upstream b({json_answer(reply)});
  gateway_fixture fixture(table("a", a.port(), "models = [\"other-*\"]\n") +
                              table("b", b.port(), "priority = 1\nmodels = [\"scripted-*\"]\n"),
                          both_keys);
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(a.requests().empty());
  worker::gateway_open request;
  request.attempt_id = "att_x";
  request.token = test_token;
  request.model = "unserved";
  const auto unserved = fixture.client().open(std::move(request));
  REQUIRE_FALSE(unserved);
  CHECK(has(unserved.error().message(), "no upstream"));
}

TEST_CASE("each upstream gets the cap by the name that it knows") {
  canned_upstream a({json_answer(problem, "529 Overloaded")});
  canned_upstream b({json_answer(R"({"usage":{"prompt_tokens":1,"completion_tokens":1}})")});
  const std::string chat = "dialects = [\"chat_completions\"]\ntranslate = false\n";
  gateway_fixture fixture(
      table("a", a.port(), chat + "chat_store_false = true\n") +
          table("b", b.port(), chat + "priority = 1\nchat_cap = \"max_tokens\"\n"),
      both_keys);
  fixture.open(plenty);
  const std::string body = R"({"model":"scripted-1","messages":[{"role":"user","content":"x"}]})";
  CHECK(fixture.ask(gateway_fixture::request(body, "", "/v1/chat/completions")).status == 200);
  REQUIRE(a.requests().size() == 1);
  REQUIRE(b.requests().size() == 1);
  CHECK(a.requests()[0].body ==
        R"({"store":false,"max_completion_tokens":64000,)" + body.substr(1));
  CHECK(b.requests()[0].body == R"({"max_tokens":64000,)" + body.substr(1));
  CHECK(fixture.ask(gateway_fixture::request(small_body(false))).status == 404);
}
