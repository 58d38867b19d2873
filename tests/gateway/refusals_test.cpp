// What the gateway refuses, and in which form.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include <unistd.h>

#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};

json story_of(int steps) {
  json list = json::array();
  for (int i = 0; i < steps; ++i) {
    list.push_back(
        {{"name", "step"}, {"reply", {{"content", {{{"type", "text"}, {"text", "ok"}}}}}}});
  }
  return {{"steps", list}};
}

std::string type_of(const http_answer& answer) {
  return json::parse(answer.body)["error"]["type"];
}
std::string message_of(const http_answer& answer) {
  return json::parse(answer.body)["error"]["message"];
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a door without a key or a transcript is refused until a person mends it") {
  const auto upstream = [](const std::string& name, const std::string& models) {
    return "[[upstream]]\nname = \"" + name + "\"\nurl = \"http://127.0.0.1:9\"\nkey_env = \"KEY_" +
           name + "\"\n" + models;
  };
  const auto two = upstream("A", "models = [\"scripted-*\"]\n") + upstream("B", "") +
                   upstream("C", "models = [\"other\"]\n");
  gateway_fixture none(two, {{"KEY_C", "a-key-of-the-third-0123456789"}});
  const auto refused = none.try_open(plenty);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::failed_precondition);  // lasting
  CHECK(has(refused.error().message(),
            "no upstream that serves 'scripted-1' has a key: KEY_A, KEY_B were not set"));
  gateway_fixture one(two, {{"KEY_B", "a-key-of-the-second-0123456789"}});
  CHECK(one.try_open(plenty));

  gateway_fixture closed(upstream("A", ""), {{"KEY_A", "a-key-of-the-first-0123456789"}});
  const auto transcripts = closed.folder() + "/transcripts";
  REQUIRE(::rmdir(transcripts.c_str()) == 0);
  std::ofstream(transcripts) << "a file where a folder should be";
  const auto unwritten = closed.try_open(plenty);
  REQUIRE_FALSE(unwritten);
  CHECK(unwritten.error().code() == error_code::failed_precondition);
  CHECK(has(unwritten.error().message(), "opening the transcript " + transcripts));
}

TEST_CASE("wrong tokens, unknown routes and broken requests never reach the upstream") {
  gateway_fixture fixture(story_of(0), "[limits]\nmax_body_bytes = 100000\n");
  fixture.open(plenty);
  const std::string body = small_body(false);
  const auto with = [&](const std::string& header) {
    return fixture.ask("POST /v1/messages HTTP/1.1\r\nhost: x\r\n" + header +
                       "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  CHECK(type_of(with("")) == "authentication_error");
  CHECK(with("x-api-key: " + test_token + "x\r\n").status == 401);
  CHECK(with("authorization: Bearer another\r\n").status == 401);
  const auto models = [&](const std::string& bearer) {
    return fixture
        .ask(
            "GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: none\r\n"
            "authorization: Bearer " +
            bearer + "\r\n\r\n")
        .status;
  };
  CHECK(models("another") == 401);
  CHECK(models(test_token) == 200);
  for (const std::string path : {"/", "/v1/files", "/v1/messages/batches", "/v1/messages?x=1",
                                 "/v1/messages/../files", "http://example.com/v1/messages"}) {
    CAPTURE(path);
    const auto answer = fixture.ask(gateway_fixture::request(body, "", path));
    CHECK(answer.status == 404);
    CHECK(type_of(answer) == "not_found_error");
  }
  CHECK(fixture.ask("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").status == 200);
  CHECK(fixture.ask("GET /v1/messages HTTP/1.1\r\nhost: x\r\n\r\n").status == 405);
  CHECK(fixture.ask("\x16\x03\x01 nonsense\r\n\r\n").status == 400);
  CHECK(fixture.ask(gateway_fixture::request(body, "transfer-encoding: chunked\r\n")).status ==
        400);
  CHECK(fixture.ask(gateway_fixture::request(std::string(100'001, ' '))).status == 413);
  CHECK(fixture.ask(gateway_fixture::request(body, "x: " + std::string(40'000, 'x') + "\r\n"))
            .status == 400);
  // What stands around the pieces of a body is bounded too.
  auto endless = gateway_fixture::request("", "transfer-encoding: chunked\r\n");
  const auto length = endless.find("content-length");
  endless.erase(length, endless.find("\r\n", length) + 2 - length);
  CHECK(fixture.ask(endless + "1;" + std::string(1'000'000, 'x')).status == 413);
  const auto report = fixture.provider_report();
  CHECK(report["requests"] == 0);
}

TEST_CASE("what another reader might take for the next request is refused, and nothing behind it") {
  gateway_fixture fixture(story_of(0));
  fixture.open(plenty);
  const std::string body = small_body(false);
  const auto length = "content-length: " + std::to_string(body.size()) + "\r\n";
  for (const std::string& framing :
       {std::string("transfer-encoding: gzip\r\n"), std::string("transfer-encoding: identity\r\n"),
        std::string("transfer-encoding: chunked, gzip\r\n"),
        std::string("transfer-encoding: gzip, chunked\r\n"), "transfer-encoding: gzip\r\n" + length,
        length + "transfer-encoding: x\r\n", length + length,
        "content-length: " + std::to_string(body.size()) + ", " + std::to_string(body.size()) +
            "\r\n"}) {
    CAPTURE(framing);
    raw_client client(fixture.port());
    client.send("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token + "\r\n" +
                framing + "\r\n" + body + gateway_fixture::request(body));
    client.end_sending();
    CHECK(client.wait_closed(5'000) >= 0);
    CHECK(client.received().starts_with("HTTP/1.1 400 "));
    CHECK(client.received().find("HTTP/1.1", 1) == std::string::npos);
  }
  const auto hidden = gateway_fixture::request(body);
  for (const std::string& framing :
       {"content-length: " + std::to_string(hidden.size()) + "\r\n\r\n",
        std::string("transfer-encoding: chunked\r\n\r\n1000\r\n")}) {
    CAPTURE(framing);
    raw_client client(fixture.port());
    client.send("HEAD / HTTP/1.1\r\nhost: x\r\n" + framing + hidden);
    client.end_sending();
    CHECK(client.wait_closed(5'000) >= 0);
    CHECK(client.received().starts_with("HTTP/1.1 400 "));
    CHECK(client.received().find("HTTP/1.1", 1) == std::string::npos);
  }
  CHECK(fixture.ask("HEAD / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").status == 200);
  CHECK(fixture.provider_report()["requests"] == 0);
}

TEST_CASE("what is wrong with a request's path, method, token or chunks is told as that") {
  gateway_fixture fixture(story_of(0));
  fixture.open(plenty);
  const auto get =
      fixture.ask("GET /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token + "\r\n\r\n");
  CHECK(get.status == 405);
  CHECK(has(message_of(get), "takes POST"));
  CHECK(has(get.head, "allow: POST\r\n"));
  const auto nowhere = fixture.ask(gateway_fixture::request(small_body(false), "", "/v2/x"));
  CHECK(nowhere.status == 404);
  CHECK(has(message_of(nowhere), "there is no /v2/x here"));
  const auto open =
      fixture.ask("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
  CHECK(open.status == 401);
  CHECK(has(message_of(open), "no token was sent"));
  const auto chunks =
      fixture.ask("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token +
                  "\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n");
  CHECK(chunks.status == 400);
  CHECK(has(message_of(chunks), "chunks"));
  CHECK(fixture.provider_report()["requests"] == 0);
}

TEST_CASE("what the attempt may not ask for is refused by name") {
  gateway_fixture fixture(story_of(0));
  fixture.open(plenty);
  std::string body = small_body(false);
  const auto put = [&](const std::string& more) {
    return fixture.post(body.substr(0, body.size() - 1) + more + "}");
  };
  const auto search = put(R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])");
  CHECK(search.status == 400);
  CHECK(type_of(search) == "invalid_request_error");
  CHECK(has(message_of(search), "web_search_20250305"));
  CHECK(has(message_of(put(R"(,"mcp_servers":[])")), "mcp_servers"));
  body.replace(body.find("scripted-1"), 10, "other-mode");
  CHECK(has(message_of(fixture.post(body)), "'scripted-1', and no other"));
  const auto report = fixture.provider_report();
  CHECK(report["requests"] == 0);
}

TEST_CASE("a model without a price, a bad token or limit, and a bad descriptor cannot be opened") {
  gateway_fixture fixture(story_of(0));
  worker::gateway_open request;
  request.attempt_id = "att_x";
  request.token = test_token;
  request.model = "unpriced";
  const auto unpriced = fixture.client().open(std::move(request));
  REQUIRE_FALSE(unpriced);
  CHECK(has(unpriced.error().message(), "'unpriced' has no price"));
  worker::gateway_open later;
  later.attempt_id = "att_x";
  later.token = test_token;
  later.model = "scripted-later";
  const auto too_early = fixture.client().open(std::move(later));
  REQUIRE_FALSE(too_early);
  CHECK(has(too_early.error().message(), "was started, before 9990-01-01, and"));
  const auto refused = [&](const std::string& id, const std::string& token, std::int64_t requests) {
    worker::gateway_open bad;
    bad.attempt_id = id;
    bad.token = token;
    bad.model = "scripted-1";
    bad.limits.max_requests = requests;
    return !fixture.client().open(std::move(bad));
  };
  CHECK(refused("../x", test_token, 1));
  CHECK(refused("att_x", "short", 1));
  CHECK(refused("att_x", test_token, 0));
  CHECK(refused("att_x", test_token, 1));  // no descriptor
}

TEST_CASE("a spent budget is a 400 that says so and not when to come back") {
  gateway_fixture fixture(story_of(2));
  auto limits = plenty;
  // A request is bound by its bytes and 2,000 tokens at 1,000, and 100 tokens at 2,000.
  limits.budget_nanousd = 2'700'000;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto spent = fixture.post(small_body(false, 400));
  CHECK(spent.status == 400);
  CHECK(type_of(spent) == "invalid_request_error");
  CHECK(has(message_of(spent), "budget"));
  CHECK_FALSE(has(spent.head, "etry-"));
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->obstacle == worker::model_obstacle());  // the newest request was answered
  CHECK(usage->requests == 2);
  CHECK(usage->cost_nanousd > 0);
  CHECK(usage->cost_nanousd <= limits.budget_nanousd);
}

TEST_CASE("a spent slice of tokens is a 400 that says so") {
  gateway_fixture fixture(story_of(2));
  auto limits = plenty;
  limits.max_tokens = 2'600;  // a request is bound by its bytes and 2,000, and its 100 of output
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto spent = fixture.post(small_body(false, 1'000));
  CHECK(spent.status == 400);
  CHECK(type_of(spent) == "invalid_request_error");
  CHECK(has(message_of(spent), "budget of 2600 tokens does not cover"));
  CHECK_FALSE(has(spent.head, "etry-"));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->obstacle.kind == worker::obstacle_kind::budget);
  CHECK(usage->requests == 1);
  CHECK(usage->input_tokens + usage->output_tokens <= limits.max_tokens);
}

TEST_CASE("a limit that kept the newest request from the model is told when the attempt ends") {
  gateway_fixture fixture(story_of(1));
  auto limits = plenty;
  limits.max_requests = 1;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto spent = fixture.post(small_body(false));
  CHECK(fixture.post("no request at all").status == 400);
  const auto account = fixture.client().close(attempt_name);
  REQUIRE(account);
  CHECK(account->obstacle.kind == worker::obstacle_kind::budget);
  CHECK(account->obstacle.limit != worker::spent_limit::none);
  CHECK(account->obstacle.why == message_of(spent));
}

TEST_CASE("the rate is a 429 with a time to wait, the number of requests a 400") {
  gateway_fixture fixture(story_of(2));
  auto limits = plenty;
  limits.max_requests_per_minute = 1;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto limited = fixture.post(small_body(false));
  CHECK(limited.status == 429);
  CHECK(type_of(limited) == "rate_limit_error");
  CHECK(has(limited.head, "retry-after: "));
  REQUIRE(fixture.client().close(attempt_name));
  limits = plenty;
  limits.max_requests = 1;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  const auto used_up = fixture.post(small_body(false));
  CHECK(used_up.status == 400);
  CHECK_FALSE(has(used_up.head, "retry-after"));
}

TEST_CASE("slow and many connections are bounded") {
  gateway_fixture fixture(story_of(1),
                          "[limits]\nmax_connections = 2\n[timeouts]\nclient_header_ms = 300\n"
                          "client_body_ms = 300\n");
  fixture.open(plenty);
  raw_client slow(fixture.port());
  slow.send("POST /v1/mess");
  raw_client slow_body(fixture.port());
  slow_body.send("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token +
                 "\r\ncontent-length: 10\r\n\r\n{");
  raw_client third(fixture.port());
  const auto third_ms = third.wait_closed(2000);
  CHECK(third_ms >= 0);
  CHECK(slow.wait_closed(2000) >= 0);
  CHECK(slow_body.wait_closed(2000) >= 0);
  CHECK(fixture.post(small_body(false)).status == 200);
}

TEST_CASE("requests that are refused have a rate too, past which none is judged or recorded") {
  gateway_fixture fixture(story_of(1));
  auto limits = plenty;
  limits.max_requests_per_minute = 3;
  fixture.open(limits);
  CHECK(fixture.post(small_body(false)).status == 200);
  for (int i = 0; i < 3; ++i) {
    CHECK(fixture.post("{\"model\":\"" + std::string(100'000, 'x') + "\"}").status == 400);
  }
  for (int i = 0; i < 3; ++i) {
    const auto answer = fixture.post(small_body(false));
    CHECK(answer.status == 429);
    CHECK(type_of(answer) == "rate_limit_error");
    CHECK(has(message_of(answer), "were refused"));
    CHECK(has(answer.head, "retry-after: "));
  }
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->requests == 1);
  const auto transcript = fixture.transcript();
  CHECK(std::count(transcript.begin(), transcript.end(), '\n') == 4);
  CHECK(has(transcript, "\"request_cut\":true"));
  CHECK(transcript.size() < 30'000);
}

TEST_CASE("what requests under way hold of memory is bounded, and told as a reason to wait") {
  gateway_fixture fixture(story_of(1),
                          "[limits]\nmax_body_bytes = 100000\nmax_held_bytes = 150000\n");
  fixture.open(plenty);
  const std::string head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token;
  {
    raw_client holder(fixture.port());
    holder.send(head + "\r\ncontent-length: 100000\r\nexpect: 100-continue\r\n\r\n");
    REQUIRE(holder.read_until("100 Continue"));
    const auto answer = fixture.post(std::string(60'000, ' '));
    CHECK(answer.status == 429);
    CHECK(type_of(answer) == "rate_limit_error");
    CHECK(has(message_of(answer), "held"));
    CHECK(has(answer.head, "retry-after: 1\r\n"));
    std::string chunks = "\r\ntransfer-encoding: chunked\r\n\r\n";
    for (int i = 0; i < 60; ++i) chunks += "3e8\r\n" + std::string(1000, ' ') + "\r\n";
    CHECK(fixture.ask(head + chunks).status == 429);
    CHECK(fixture.post(std::string(40'000, ' ')).status == 400);  // it fits
  }
  const auto freed = [&] {
    for (int i = 0; i < 100; ++i) {
      if (fixture.post(std::string(90'000, ' ')).status == 400) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  };
  CHECK(freed());
}
