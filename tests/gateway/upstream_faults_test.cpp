// What an upstream may do to the gateway: lose requests, tell too much, answer oddly.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string reply = R"({"content":[],"usage":{"input_tokens":10,"output_tokens":4}})";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}
const std::string start =
    event(R"({"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}})");
const std::string stop = event(R"({"type":"message_stop"})");
std::string delta(int tokens) {
  return event(R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)"
               R"({"output_tokens":)" +
               std::to_string(tokens) + "}}");
}

worker::gateway_usage closed(gateway_fixture& fixture) {
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  return *usage;
}

}  // namespace

TEST_CASE("the end of a stream does not wait for the client to acknowledge its beginning") {
  constexpr std::size_t streams = 15;
  const std::string events = start + delta(4) + stop;
  canned_upstream provider(
      std::vector<canned_answer>(streams, stream_answer(events, start.size())));
  gateway_fixture fixture(provider.port(), "");
  fixture.open(plenty);
  raw_client client(fixture.port());
  const system_clock_source time;
  std::vector<std::int64_t> lasted_ms;
  for (std::size_t i = 1; i <= streams; ++i) {
    const auto began = time.boot_ms();
    client.send(gateway_fixture::request(small_body(true)));
    const auto ended = [&] {
      const std::string last_chunk = "\r\n0\r\n\r\n";
      std::size_t count = 0;
      const auto& got = client.received();
      for (auto at = got.find(last_chunk); at != got.npos; at = got.find(last_chunk, at + 1))
        ++count;
      return count;
    };
    while (ended() < i && time.boot_ms() - began < 5'000) client.read_until("\1never\1", 1);
    REQUIRE(ended() == i);
    lasted_ms.push_back(time.boot_ms() - began);
  }
  std::sort(lasted_ms.begin(), lasted_ms.end());
  CHECK(lasted_ms[streams / 2] < 35);  // a delayed acknowledgement takes 40
}

TEST_CASE("a request that is lost on a connection used before goes out once a try") {
  canned_upstream upstream({kept_open(reply), no_answer(), json_answer(reply)});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto usage = closed(fixture);
  CHECK(upstream.requests().size() == 3);
  CHECK(usage.requests == 3);
  CHECK(usage.charged_by_bound == 1);
  CHECK(usage.output_tokens == 4 + 100 + 4);
}

TEST_CASE("an upstream that loses every request is asked three times and charged three bounds") {
  canned_upstream upstream({kept_open(reply), no_answer(), no_answer(), no_answer(), no_answer()});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(fixture.post(small_body(false)).status == 502);
  const auto usage = closed(fixture);
  CHECK(upstream.requests().size() == 4);
  CHECK(usage.charged_by_bound == 3);
  REQUIRE(fixture.problems().size() >= 2);
  CHECK(has(fixture.problems()[1], "the connection was lost"));
}

TEST_CASE("each try is a request, and none is made that the attempt may not make") {
  const auto overloaded = json_answer(R"({"error":{"message":"busy"}})", "529 Overloaded");
  for (const int most : {1, 2, 3, 9}) {
    CAPTURE(most);
    canned_upstream upstream({overloaded, overloaded, overloaded, overloaded});
    gateway_fixture fixture(upstream.port(), "");
    auto limits = plenty;
    limits.max_requests = most;
    fixture.open(limits);
    const auto answer = fixture.post(small_body(false));
    CHECK(answer.status == 529);  // the upstream's own, whatever held the next try back
    CHECK(has(answer.body, "busy"));
    const auto usage = closed(fixture);
    CHECK(upstream.requests().size() == static_cast<std::size_t>(std::min(most, 3)));
    CHECK(usage.requests == std::min(most, 3));
    CHECK(usage.cost_nanousd == 0);
  }
  canned_upstream loses({no_answer(), no_answer(), no_answer()});
  gateway_fixture fixture(loses.port(), "");
  auto limits = plenty;
  limits.max_requests = 2;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 502);
  CHECK(loses.requests().size() == 2);
  CHECK(closed(fixture).requests == 2);
}

TEST_CASE(
    "silence ends a request when it has lasted so long, and what is told meanwhile does not") {
  auto stalls = stream_answer(start + delta(4), 10, false);
  stalls.falls_silent = true;
  canned_answer mute;
  mute.falls_silent = true;
  canned_upstream upstream({stalls, mute, mute, mute});
  gateway_fixture fixture(upstream.port(), "[timeouts]\nsilence_ms = 700\n");
  fixture.open(plenty);
  const system_clock_source time;
  const auto began_ms = time.boot_ms();
  CHECK(has(fixture.post(small_body(true)).body, "event: error"));
  const auto stalled_ms = time.boot_ms() - began_ms;
  CHECK(stalled_ms >= 700);
  CHECK(stalled_ms < 2'500);
  CHECK(fixture.post(small_body(false)).status == 504);
  const auto usage = closed(fixture);
  CHECK(usage.charged_by_bound == 3);  // the stream told its usage
  CHECK(has(fixture.problems().back(), "silent"));
}

TEST_CASE("an upstream that takes the request slowly is not silent") {
  canned_upstream upstream({json_answer(reply)}, 100);
  gateway_fixture fixture(upstream.port(), "[timeouts]\nsilence_ms = 600\n");
  fixture.open(plenty);
  auto body = small_body(false);
  body.insert(body.find("\"content\":\"") + 11, std::string(600'000, 'x'));
  const system_clock_source time;
  const auto began_ms = time.boot_ms();
  CHECK(fixture.post(body).status == 200);
  CHECK(time.boot_ms() - began_ms > 1'200);  // else it was not slow enough to tell
  CHECK(closed(fixture).charged_by_bound == 0);
}

TEST_CASE("what lost tries cost is in the transcript too") {
  canned_upstream upstream({no_answer(), json_answer(reply), no_answer(),
                            json_answer(R"({"error":{"message":"x"}})", "400 Bad Request")});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(fixture.post(small_body(false)).status == 400);
  const auto usage = closed(fixture);
  CHECK(usage.requests == 4);
  CHECK(usage.charged_by_bound == 2);
  std::istringstream lines(fixture.transcript());
  std::int64_t cost = 0;
  for (const char* outcome : {"settled", "charged_by_bound"}) {
    std::string line;
    REQUIRE(std::getline(lines, line));
    const auto entry = json::parse(line);
    CHECK(entry["outcome"] == outcome);
    CHECK(entry["tries"] == 2);
    CHECK(entry["tries_by_bound"] == 1);
    cost += entry["cost_nanousd"].get<std::int64_t>();
  }
  CHECK(cost == usage.cost_nanousd);
}

TEST_CASE("a stream that told more than its bound and broke off is charged what it told") {
  canned_upstream upstream({stream_answer(start + event(R"({"type":"message_delta","delta":{},)"
                                                        R"("usage":{"output_tokens":100000}})"),
                                          50, false)});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(has(fixture.post(small_body(true)).body, "event: error"));
  const auto usage = closed(fixture);
  CHECK(usage.charged_by_bound == 1);
  CHECK(usage.output_tokens == 100'000);
  CHECK(usage.cost_nanousd >= 100'000 * 2'000);
}

TEST_CASE("the type of a stream is known whatever its letters") {
  auto streams = stream_answer(start + delta(4) + stop, 50);
  const std::string type = "text/event-stream";
  streams.head.replace(streams.head.find(type), type.size(), "Text/Event-Stream; charset=utf-8");
  canned_upstream upstream({streams});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(fixture.post(small_body(true)).body == start + delta(4) + stop);
  CHECK(closed(fixture).charged_by_bound == 0);
}

TEST_CASE("what is no HTTP is told as that") {
  canned_answer garbage{"hello, who is there?\r\n", {}};
  canned_upstream upstream({garbage, garbage, garbage});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  const auto answer = fixture.post(small_body(false));
  CHECK(answer.status == 502);
  CHECK(has(answer.body, "what it answers is not HTTP"));
}

TEST_CASE("a stream is charged by the largest usage that it told, whenever it did") {
  for (const std::string& events :
       {start + delta(4) + delta(50) + stop, start + delta(50) + delta(4) + stop,
        start + delta(4) + stop + delta(50), start + delta(50) + stop + delta(4)}) {
    CAPTURE(events);
    canned_upstream upstream({stream_answer(events, 50)});
    gateway_fixture fixture(upstream.port(), "");
    fixture.open(plenty);
    CHECK(fixture.post(small_body(true)).body == events);
    const auto usage = closed(fixture);
    CHECK(usage.requests == 1);
    CHECK(usage.input_tokens == 10);
    CHECK(usage.output_tokens == 50);
    CHECK(usage.cost_nanousd == 10 * 1000 + 50 * 2000);
    CHECK(usage.charged_by_bound == 0);
  }
}

TEST_CASE("tokens that a stream tells late are counted where they cost nothing, too") {
  const auto events = start + delta(4) + stop + delta(50);
  canned_upstream upstream({stream_answer(events, 50)});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open_free(plenty);
  auto body = small_body(true);
  body.replace(body.find("scripted-1"), 10, "scripted-free");
  CHECK(fixture.post(body).body == events);
  const auto usage = closed(fixture);
  CHECK(usage.output_tokens == 50);
  CHECK(usage.cost_nanousd == 0);
}

TEST_CASE("every status of success is charged") {
  for (const std::string status : {"201 Created", "202 Accepted", "206 Partial Content"}) {
    CAPTURE(status);
    auto streams = stream_answer(start + delta(4) + stop, 50);
    streams.head.replace(streams.head.find("200 OK"), 6, status);
    canned_upstream upstream({json_answer(reply, status), json_answer("{}", status), streams});
    gateway_fixture fixture(upstream.port(), "");
    fixture.open(plenty);
    const auto answer = fixture.post(small_body(false));
    CHECK(answer.status == std::stoi(status));
    CHECK(answer.body == reply);
    CHECK(fixture.post(small_body(false)).body == "{}");
    CHECK(fixture.post(small_body(true)).status == std::stoi(status));
    const auto usage = closed(fixture);
    CHECK(usage.charged_by_bound == 1);  // of the one that told nothing
    CHECK(usage.output_tokens == 4 + 100 + 4);
    CHECK(upstream.requests().size() == 3);
  }
}

TEST_CASE("an upstream that shows what it was sent does not show the key") {
  const std::string echo = R"({"error":{"message":"you sent x-api-key: )" + test_key + R"("}})";
  auto in_header = json_answer(echo, "418 I'm a teapot");
  in_header.head.insert(in_header.head.find("\r\n") + 2, "request-id: " + test_key + "\r\n");
  const std::string events = start + event("{\"echo\":\"" + test_key + "\"}") + delta(4) + stop;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    canned_upstream upstream({json_answer(echo, "400 Bad Request"), in_header,
                              json_answer(echo, "200 OK"), stream_answer(events, piece)});
    gateway_fixture fixture(upstream.port(), "");
    fixture.open(plenty);
    CHECK(fixture.post(small_body(false)).body ==
          R"({"error":{"message":"you sent x-api-key: [redacted]"}})");
    const auto odd = fixture.post(small_body(false));
    CHECK(odd.status == 418);
    CHECK(has(odd.head, "request-id: [redacted]\r\n"));
    CHECK_FALSE(has(fixture.post(small_body(false)).body, test_key));
    const auto streamed = fixture.post(small_body(true)).body;
    CHECK(streamed == start + event(R"({"echo":"[redacted]"})") + delta(4) + stop);
    closed(fixture);
    CHECK_FALSE(has(fixture.transcript(), test_key));
    CHECK_FALSE(has(fixture.gateway_log(), test_key));
    for (const auto& problem : fixture.problems()) CHECK_FALSE(has(problem, test_key));
  }
}

TEST_CASE("a key that is shown with escapes is not shown, neither to the agent nor to people") {
  const std::string tail = test_key.substr(1);
  const std::string echo = R"({"error":{"message":"you sent \u0073)" + tail + R"("}})";
  canned_upstream upstream({json_answer(echo, "400 Bad Request")});
  gateway_fixture fixture(upstream.port(), "");
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).body == R"({"error":{"message":"you sent [redacted]"}})");
  closed(fixture);
  for (const auto& text : {fixture.transcript(), fixture.gateway_log()}) {
    CHECK_FALSE(has(text, tail));
  }
  CHECK(has(fixture.problems().back(), "[redacted]"));
}
