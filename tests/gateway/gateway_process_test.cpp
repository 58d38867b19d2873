// What the gateway passes on, charges, cuts, and keeps to itself.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include <unistd.h>

#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string long_text(400, 'x');

json says(const json& more = json::object()) {
  json reply = {{"content", {{{"type", "text"}, {"text", long_text}}}}};
  reply.update(more);
  return reply;
}

json story_of(std::initializer_list<json> replies) {
  json steps = json::array();
  for (const auto& reply : replies) {
    steps.push_back({{"name", "step " + std::to_string(steps.size() + 1)}, {"reply", reply}});
  }
  return {{"steps", steps}};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a body passes byte for byte, with the gateway's key and not the token") {
  gateway_fixture fixture(story_of({says()}), "[limits]\nbetas = [\"good-beta\"]\n");
  fixture.open(plenty);
  const std::string body = small_body(false);
  const auto answer = fixture.ask(gateway_fixture::request(
      body, "anthropic-version: 2023-06-01\r\nanthropic-beta: bad-beta, good-beta\r\n",
      "/v1/messages?beta=true"));
  CHECK(answer.status == 200);
  CHECK(has(answer.head, "x-germline-scripted: 1"));
  CHECK(json::parse(answer.body)["content"][0]["text"] == long_text);
  CHECK(read_file(fixture.folder() + "/1.body") == body);
  const auto head = read_file(fixture.folder() + "/1.head");
  CHECK(has(head, "POST /v1/messages?beta=true "));
  CHECK(has(head, "x-api-key: " + test_key));
  CHECK(has(head, "anthropic-beta: good-beta\r\n"));
  CHECK_FALSE(has(head, test_token));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  const json counted = json::parse(answer.body)["usage"];
  CHECK(usage->requests == 1);
  CHECK(usage->input_tokens == counted["input_tokens"]);
  CHECK(usage->output_tokens == counted["output_tokens"]);
  CHECK(usage->cost_nanousd == usage->input_tokens * 1000 + usage->output_tokens * 2000);
  CHECK(usage->charged_by_bound == 0);
  CHECK(fixture.provider_report()["ok"].get<bool>());
}

TEST_CASE("a stream is passed on as it comes, and settled by its usage") {
  gateway_fixture fixture(story_of({says({{"event_delay_ms", 100}}), says()}));
  fixture.open(plenty);
  raw_client client(fixture.port());
  client.send(gateway_fixture::request(small_body(true)));
  REQUIRE(client.read_until("message_start"));
  CHECK_FALSE(has(client.received(), "message_stop"));
  REQUIRE(client.read_until("message_stop"));
  REQUIRE(client.read_until("0\r\n\r\n"));
  // The same connection serves the next request.
  client.send(gateway_fixture::request(small_body(false)));
  CHECK(client.read_until("msg_scripted_2"));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->requests == 2);
  CHECK(usage->charged_by_bound == 0);
  CHECK(usage->output_tokens > 200);
}

TEST_CASE("closing an attempt cuts its stream within 100 ms and charges its bound") {
  gateway_fixture fixture(story_of({says({{"event_delay_ms", 300}})}));
  fixture.open(plenty);
  raw_client client(fixture.port());
  client.send(gateway_fixture::request(small_body(true)));
  REQUIRE(client.read_until("message_start"));
  const auto usage = fixture.client().close(attempt_name);
  const auto closed_ms = client.wait_closed(1000);
  CHECK(closed_ms >= 0);
  CHECK(closed_ms <= 100);
  REQUIRE(usage);
  CHECK(usage->charged_by_bound == 1);
  CHECK(usage->output_tokens == 100);
  CHECK_FALSE(fixture.client().close(attempt_name));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  CHECK(fixture.provider_report()["clients_gone"] == 1);
  CHECK(has(fixture.transcript(), "\"outcome\":\"charged_by_bound\""));
}

TEST_CASE("the deadline cuts streams, refuses what comes after it, and cannot be renewed then") {
  gateway_fixture fixture(story_of({says({{"event_delay_ms", 300}})}));
  fixture.open(plenty, 700);
  const system_clock_source time;
  REQUIRE(fixture.client().renew(attempt_name, time.boot_ms() + 900));
  raw_client client(fixture.port());
  client.send(gateway_fixture::request(small_body(true)));
  REQUIRE(client.read_until("message_start"));
  const auto closed_ms = client.wait_closed(3000);
  CHECK(closed_ms >= 0);
  CHECK(closed_ms <= 1100);
  CHECK_FALSE(fixture.client().renew(attempt_name, time.boot_ms() + 60'000));
  raw_client late(fixture.port());
  late.send(gateway_fixture::request(small_body(false)));
  CHECK(late.wait_closed(2000) >= 0);
  CHECK_FALSE(has(late.received(), " 200 "));
}

TEST_CASE("a client that hangs up cancels the upstream") {
  gateway_fixture fixture(story_of({says({{"event_delay_ms", 200}})}));
  fixture.open(plenty);
  {
    raw_client client(fixture.port());
    client.send(gateway_fixture::request(small_body(true)));
    REQUIRE(client.read_until("message_start"));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(fixture.provider_report()["clients_gone"] == 1);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->charged_by_bound == 1);
}

TEST_CASE("a stream that the upstream cuts ends with an error event, and its bound is charged") {
  gateway_fixture fixture(story_of({says({{"cut_after_events", 3}})}));
  fixture.open(plenty);
  const auto answer = fixture.post(small_body(true));
  CHECK(answer.status == 200);
  CHECK(has(answer.body, "event: error"));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->obstacle.kind == worker::obstacle_kind::upstream);
  CHECK(usage->charged_by_bound == 1);
}

TEST_CASE("an overloaded upstream is tried again, another error is passed on at once") {
  gateway_fixture fixture(
      story_of({{{"status", 529}}, says(), {{"status", 400}, {"error", {{"type", "error"}}}}}));
  fixture.open(plenty);
  CHECK(fixture.post(small_body(false)).status == 200);
  CHECK(fixture.post(small_body(false)).status == 400);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->charged_by_bound == 0);
  CHECK(usage->obstacle == worker::model_obstacle());  // a bad request is the agent's own
  const auto problems = fixture.problems();
  REQUIRE(problems.size() == 3);
  CHECK(problems[0] == "HTTP 529");
  CHECK(problems[1].empty());
  CHECK(problems[2].starts_with("HTTP 400"));
  CHECK(usage->requests == 3);
  CHECK(fixture.provider_report()["requests"] == 3);
}

TEST_CASE("a spending cap of the upstream, and a key that it refuses, are no fault of the agent") {
  for (const int status : {429, 401}) {
    CAPTURE(status);
    gateway_fixture fixture(story_of({{{"status", status}, {"error", {{"type", "error"}}}}}));
    fixture.open(plenty);
    CHECK(fixture.post(small_body(false)).status != 200);
    const auto account = fixture.client().close(attempt_name);
    REQUIRE(account);
    CHECK(account->obstacle.kind == worker::obstacle_kind::upstream);
    CHECK(has(account->obstacle.why, "HTTP " + std::to_string(status)));
  }
}

TEST_CASE("an upstream that is not there is told as the reason why a request failed") {
  gateway_fixture fixture(story_of({}));
  fixture.open(plenty);
  fixture.provider_report();  // ends it
  CHECK(fixture.post(small_body(false)).status == 502);
  const auto account = fixture.client().close(attempt_name);
  REQUIRE(account);
  const auto problems = fixture.problems();
  REQUIRE(problems.size() == 1);
  CHECK(account->obstacle.kind == worker::obstacle_kind::upstream);
  CHECK(account->obstacle.why == problems[0]);
  CHECK(has(problems[0], "HTTP 502: "));
  CHECK(problems[0].size() > std::string("HTTP 502: ").size());
}

TEST_CASE("events reach the node, in bounds") {
  gateway_fixture fixture(story_of({}));
  fixture.open(plenty);
  const auto event = [&](const std::string& body) {
    return fixture.ask(gateway_fixture::request(body, "", "/germline/v1/events")).status;
  };
  CHECK(event("{\"step\": \n \"plan\"}") == 204);
  CHECK(event("[1]") == 400);
  CHECK(event("{\"a\": \"" + std::string(9000, 'x') + "\"}") == 413);
  int dropped = 0;
  for (int i = 0; i < 120; ++i) dropped += event("{}") == 429 ? 1 : 0;
  CHECK(dropped > 0);
  REQUIRE(fixture.client().close(attempt_name));
  const auto events = fixture.events();
  REQUIRE_FALSE(events.empty());
  CHECK(events[0] == "{\"step\":\"plan\"}");
}

TEST_CASE("the key and the token are in no argument, environment, log or transcript") {
  gateway_fixture fixture(story_of({says()}));
  fixture.open(plenty);
  std::string body = small_body(false);
  body.insert(body.find("ä"), test_key + test_token);
  CHECK(fixture.post(body).status == 200);
  CHECK(fixture.ask("BROKEN " + test_token + "\r\n\r\n").status == 400);
  const std::string process = "/proc/" + std::to_string(fixture.client().pid());
  const std::string arguments = read_file(process + "/cmdline");
  const std::string environment = read_file(process + "/environ");
  REQUIRE(fixture.client().close(attempt_name));
  const std::string transcript = fixture.transcript();
  const std::string log = fixture.gateway_log();
  REQUIRE(has(arguments, "--key-fd"));
  REQUIRE(has(transcript, "[redacted][redacted]"));
  REQUIRE(has(log, "open for scripted-1"));
  for (const auto& text : {arguments, environment, transcript, log}) {
    CHECK_FALSE(has(text, test_key));
    CHECK_FALSE(has(text, test_token));
  }
}

TEST_CASE("the end of the control socket ends the process and its streams") {
  gateway_fixture fixture(story_of({says({{"event_delay_ms", 300}})}));
  fixture.open(plenty);
  raw_client client(fixture.port());
  client.send(gateway_fixture::request(small_body(true)));
  REQUIRE(client.read_until("message_start"));
  const pid_t pid = fixture.client().pid();
  fixture.drop_client();
  CHECK(client.wait_closed(1000) >= 0);
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a gateway that dies is reported, and every later call fails at once") {
  gateway_fixture fixture(story_of({}));
  fixture.open(plenty);
  ::kill(fixture.client().pid(), SIGKILL);
  CHECK(fixture.gateway_is_gone(2000));
  CHECK_FALSE(fixture.client().close(attempt_name));
}
