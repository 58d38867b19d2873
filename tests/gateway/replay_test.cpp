// A transcript as a provider: what the real gateway recorded, asked for again through another one.
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"
#include "worker/gateway/transcript_reader.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string chat_path = "/v1/chat/completions";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A request with so many messages; of the last the text ends with `last`.
std::string conversation(int messages, const std::string& last, bool stream = false) {
  json body = {{"model", "scripted-1"}, {"max_tokens", 100}, {"stream", stream}};
  for (int i = 1; i <= messages; ++i) {
    const std::string text =
        std::string(300, 'm') + std::to_string(i) + (i == messages ? last : "");
    body["messages"].push_back({{"role", i % 2 == 1 ? "user" : "assistant"}, {"content", text}});
  }
  return body.dump();
}

std::string upstream_of(const std::string& replayed, const std::string& lines = "") {
  return "[upstream]\nreplay = \"" + replayed + "\"\n" + lines;
}

std::string says(const std::string& text) {
  return json({{"id", "m"},
               {"content", {{{"type", "text"}, {"text", text}}}},
               {"usage", {{"input_tokens", 11}, {"output_tokens", 5}}}})
      .dump();
}

const std::string events =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
    "{\"input_tokens\":3,\"output_tokens\":1}}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0}\n\n"
    "event: message_delta\ndata: "
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
    "\"usage\":{\"output_tokens\":4}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const std::string chat_events =
    "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,"
    "\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n\ndata: [DONE]\n\n";

/// Three requests, the second a stream, recorded from a provider that is gone then.
struct recording {
  recording() {
    canned_upstream provider(
        {json_answer(says("one")), stream_answer(events, 7), json_answer(says("three"))});
    fixture.emplace(provider.port(), "");
    fixture->open(plenty);
    for (const auto& body : asked) answers.push_back(fixture->post(body));
    const auto closed = fixture->client().close(attempt_name);
    REQUIRE(closed);
    usage = *closed;
  }
  std::string file() const { return fixture->transcript_file(); }

  const std::vector<std::string> asked{conversation(1, "a"), conversation(3, "b", true),
                                       conversation(5, "c")};
  std::optional<gateway_fixture> fixture;
  std::vector<http_answer> answers;
  worker::gateway_usage usage;
};

/// The transcript of the attempt, which is whole only once the attempt is closed.
std::string whole_transcript_of(gateway_fixture& fixture) {
  REQUIRE(fixture.client().close(attempt_name));
  return fixture.transcript_file();
}

void check_same(const http_answer& now, const http_answer& before) {
  CHECK(now.status == before.status);
  CHECK(now.body == before.body);
  CHECK(has(now.head, "chunked") == has(before.head, "chunked"));
  CHECK(has(now.head, "x-germline-replay: 1"));
  CHECK_FALSE(has(before.head, "x-germline-replay"));
}

}  // namespace

TEST_CASE("a strict replay answers and meters as the provider did, a stream event by event") {
  const recording before;
  CHECK(before.answers[1].body == events);
  gateway_fixture again(upstream_of(before.file()), {});
  again.open(plenty);
  for (std::size_t i = 0; i < 3; ++i) check_same(again.post(before.asked[i]), before.answers[i]);
  const auto one_more = again.post(before.asked[2]);
  CHECK(one_more.status == 400);
  CHECK(has(one_more.body, "request 4 is one more than were recorded"));
  const auto usage = again.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->cost_nanousd == before.usage.cost_nanousd);
  CHECK(usage->input_tokens == before.usage.input_tokens);
  CHECK(usage->output_tokens == before.usage.output_tokens);
  CHECK(usage->charged_by_bound == 0);
  // A replay is recorded as well, and may be replayed.
  CHECK(has(again.transcript(), "\"upstream\":\"upstream\""));
}

TEST_CASE("a strict replay tells what differs, in the client's dialect, and ends there") {
  const recording before;
  gateway_fixture again(upstream_of(before.file(), "mode = \"strict\"\n"), {});
  again.open(plenty);
  check_same(again.post(before.asked[0]), before.answers[0]);
  const auto other = again.post(conversation(3, "other", true));
  CHECK(other.status == 400);
  const auto told = json::parse(other.body);
  CHECK(told["error"]["type"] == "invalid_request_error");
  const auto message = told["error"]["message"].get<std::string>();
  CHECK(has(message, "request 2 differs: messages[2].content is …\"mmm"));
  CHECK(has(message, "mmm3other\", recorded was "));
  CHECK(has(message, "mmm3b\""));
  const auto late = again.post(before.asked[1]);
  CHECK(late.status == 400);
  CHECK(has(late.body, "the replay is over: request 2 differs"));
  REQUIRE(again.client().close(attempt_name));  // each request is accounted for then
  const auto problems = again.problems();
  REQUIRE(problems.size() == 3);
  CHECK(has(problems[1], "request 2 differs"));
}

TEST_CASE("a lenient replay answers what is alike, and tells where nothing is") {
  const recording before;
  gateway_fixture again(upstream_of(before.file(), "mode = \"lenient\"\n"), {});
  again.open(plenty);
  check_same(again.post(conversation(5, "another end")), before.answers[2]);
  const auto none = again.post(conversation(7, ""));
  CHECK(none.status == 400);
  CHECK(has(none.body, "none has the path /v1/messages and 7 messages"));
  check_same(again.post(conversation(3, "", true)), before.answers[1]);
}

TEST_CASE("what was exported is replayed as well, and of a folder what begins so") {
  const recording before;
  const auto folder = before.fixture->folder() + "/exported";
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/a.jsonl") << before.fixture->transcript();
  gateway_fixture again(upstream_of(folder), {});
  again.open(plenty);
  for (std::size_t i = 0; i < 3; ++i) check_same(again.post(before.asked[i]), before.answers[i]);
}

TEST_CASE("a recorded failure is the answer, and not asked again") {
  const auto overloaded = json_answer(R"({"error":{"message":"full"}})", "529 Overloaded");
  canned_upstream provider({overloaded, overloaded, overloaded, json_answer(says("one"))});
  gateway_fixture before(provider.port(), "");
  before.open(plenty);
  const auto body = conversation(1, "");
  CHECK(before.post(body).status == 529);
  CHECK(before.post(body).status == 200);
  gateway_fixture again(upstream_of(whole_transcript_of(before)), {});
  again.open(plenty);
  CHECK(again.post(body).status == 529);
  CHECK(again.post(body).status == 200);
}

TEST_CASE("a stream of Chat Completions is metered though its client did not ask for the usage") {
  canned_upstream provider({stream_answer(chat_events, 9)});
  gateway_fixture before(provider.port(), "dialects = [\"chat_completions\"]\n");
  before.open(plenty);
  const auto request = gateway_fixture::request(
      R"({"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"x"}]})", "",
      chat_path);
  const auto answer = before.ask(request);
  CHECK_FALSE(has(answer.body, "prompt_tokens"));
  const auto used = before.client().close(attempt_name);
  gateway_fixture again(upstream_of(before.transcript_file()), {});
  again.open(plenty);
  check_same(again.ask(request), answer);
  const auto usage = again.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->charged_by_bound == 0);
  CHECK(usage->cost_nanousd == used->cost_nanousd);
}

TEST_CASE("a stream that was cut off is cut off at the same place, and told so once") {
  canned_upstream provider({stream_answer(events.substr(0, 200), 9, false)});
  gateway_fixture before(provider.port(), "");
  before.open(plenty);
  const auto answer = before.post(conversation(1, "", true));
  CHECK(has(answer.body, "event: error"));
  gateway_fixture again(upstream_of(whole_transcript_of(before)), {});
  again.open(plenty);
  check_same(again.post(conversation(1, "", true)), answer);
}

TEST_CASE("what was translated when it was recorded is replayed in the client's dialect") {
  canned_upstream provider({json_answer(says("one"))});
  gateway_fixture before(provider.port(), "dialects = [\"messages\"]\n");
  before.open(plenty);
  const auto request = gateway_fixture::request(
      R"({"model":"scripted-1","messages":[{"role":"user","content":"x"}]})", "", chat_path);
  const auto answer = before.ask(request);
  CHECK(answer.status == 200);
  gateway_fixture again(upstream_of(whole_transcript_of(before)), {});
  again.open(plenty);
  check_same(again.ask(request), answer);
}

TEST_CASE("a conversation is stored once, and secrets are not in it") {
  std::vector<canned_answer> answers(30, json_answer(says(test_key + " of the provider")));
  canned_upstream provider(answers);
  gateway_fixture fixture(provider.port(), "");
  fixture.open(plenty);
  std::size_t asked = 0;
  for (int turn = 0; turn < 30; ++turn) {
    auto body = conversation(2 * turn + 1, " " + test_key + " and " + test_token);
    asked += body.size();
    CHECK(fixture.post(body).status == 200);
  }
  REQUIRE(fixture.client().close(attempt_name));
  CHECK(read_file(fixture.transcript_file()).size() < asked / 8);
  const auto all = fixture.transcript();
  CHECK(has(all, "[redacted] and [redacted]"));
  for (const auto& text : {all, read_file(fixture.transcript_file()), fixture.gateway_log()}) {
    CHECK_FALSE(has(text, test_key));
    CHECK_FALSE(has(text, test_token));
  }
}

TEST_CASE("a replay costs what was recorded, whatever became of the request") {
  struct recorded {
    std::string outcome;
    int status;
    std::string response;
    bool cut;
    std::int64_t charged;  // requests charged by their bound
    std::int64_t input;    // tokens settled
    int answered;
  };
  const auto large = says(std::string(1'000, 'l'));
  for (const auto& one : {recorded{"settled", 200, says("x"), false, 0, 70, 200},
                          recorded{"settled", 200, large.substr(0, 900), true, 0, 70, 502},
                          recorded{"settled", 0, "", false, 0, 70, 502},
                          recorded{"settled", 200, events.substr(0, 200), true, 0, 70, 200},
                          recorded{"charged_by_bound", 504, "{}", false, 1, 0, 504},
                          recorded{"charged_by_bound", 502, "{}", false, 1, 0, 502},
                          recorded{"charged_by_bound", 200, says("x"), false, 1, 0, 200},
                          recorded{"charged_by_bound", 200, events.substr(0, 200), true, 1, 0, 200},
                          recorded{"not_billed", 529, "{}", false, 0, 0, 529}}) {
    CAPTURE(one.outcome);
    CAPTURE(one.status);
    CAPTURE(one.response.substr(0, 40));
    canned_upstream provider({json_answer(says("x"))});
    gateway_fixture before(provider.port(), "");
    before.open(plenty);
    const auto body = conversation(1, "", one.response.starts_with("event:"));
    CHECK(before.post(body).status == 200);
    REQUIRE(before.client().close(attempt_name));  // the transcript is whole then
    auto line = json::parse(before.transcript());
    line["outcome"] = one.outcome;
    line["status"] = one.status;
    line["response"] = one.response;
    if (one.cut) line["response_cut"] = true;
    line["stream"] = one.response.starts_with("event:");
    line["usage"]["input_tokens"] = one.outcome == "settled" ? 70 : 0;
    line["usage"]["output_tokens"] = one.outcome == "settled" ? 3 : 0;
    const auto file = before.folder() + "/recorded.jsonl";
    std::ofstream(file) << line.dump() << "\n";
    gateway_fixture again(upstream_of(file), {});
    again.open(plenty);
    CHECK(again.post(body).status == one.answered);
    const auto usage = again.client().close(attempt_name);
    REQUIRE(usage);
    CHECK(usage->charged_by_bound == one.charged);
    if (one.charged == 0) CHECK(usage->input_tokens == one.input);
    CHECK((usage->cost_nanousd > 0) == (one.outcome != "not_billed"));
  }
}

TEST_CASE("of a stream that ends early no part of the token that began to come is kept") {
  const auto begun = test_token.substr(0, test_token.size() / 2);
  auto held = stream_answer(events.substr(0, 150) + begun, 300, false);
  held.keeps_open = true;
  canned_upstream provider({held, held});  // it waits for a second request
  gateway_fixture fixture(provider.port(), "");
  fixture.open(plenty);
  raw_client client(fixture.port());
  client.send(gateway_fixture::request(conversation(1, "", true)));
  REQUIRE(client.read_until(begun));
  client.close();
  const auto has_entry = [&] { return has(read_file(fixture.transcript_file()), "\"path\""); };
  for (int i = 0; i < 200 && !has_entry(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  REQUIRE(fixture.client().close(attempt_name));
  const auto all = fixture.transcript();
  CAPTURE(all);
  CHECK(has(all, "message_start"));
  CHECK(has(all, "response_cut"));
  CHECK_FALSE(has(all, begun));
}

TEST_CASE("of a stream that the upstream cuts in the middle of the token no part of it is kept") {
  const auto begun = test_token.substr(0, test_token.size() / 2);
  canned_upstream provider({stream_answer(events.substr(0, 150) + begun, 300, false)});
  gateway_fixture fixture(provider.port(), "");
  fixture.open(plenty);
  CHECK(has(fixture.post(conversation(1, "", true)).body, begun));
  REQUIRE(fixture.client().close(attempt_name));
  const auto all = fixture.transcript();
  CHECK(has(all, "event: error"));
  CHECK_FALSE(has(all, begun));
}

TEST_CASE("a key that is too short to be one is no secret, in a recording as in its replay") {
  canned_upstream provider({json_answer(says("one"))});
  gateway_fixture before("[upstream]\nurl = \"http://127.0.0.1:" + std::to_string(provider.port()) +
                             "\"\nkey_env = \"LOCAL_KEY\"\n",
                         {{"LOCAL_KEY", "EMPTY"}});
  before.open(plenty);
  const auto body = conversation(1, " is EMPTY");
  CHECK(before.post(body).status == 200);
  REQUIRE(before.client().close(attempt_name));
  gateway_fixture again(upstream_of(before.transcript_file()), {});
  again.open(plenty);
  CHECK(again.post(body).status == 200);
}
