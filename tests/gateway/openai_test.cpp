// The dialects of OpenAI, through the real gateway: what goes out, what comes back, what it costs.
#include <doctest/doctest.h>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string chat_path = "/v1/chat/completions";
const std::string responses_path = "/v1/responses";
const std::string both = "dialects = [\"chat_completions\", \"responses\"]\n";

const std::string delta =
    "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n";
const std::string usage_chunk =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,"
    "\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n\n";
const std::string done = "data: [DONE]\n\n";

const std::string created =
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n";
const std::string completed =
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{"
    "\"input_tokens\":10,\"output_tokens\":4,\"input_tokens_details\":{\"cached_tokens\":7}}}}\n\n";

std::string chat_body(const std::string& more = "") {
  return R"({"model": "scripted-1","messages":[{"role":"user","content":"h\u00e4 ä"}])" + more +
         "}";
}
std::string responses_body(const std::string& more = "") {
  return R"({"model": "scripted-1","input":"h\u00e4 ä")" + more + "}";
}

std::string as_openai(const std::string& body, const std::string& path) {
  return "POST " + path + " HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + test_token +
         "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string get(const std::string& path, const std::string& headers) {
  return "GET " + path + " HTTP/1.1\r\nhost: x\r\n" + headers + "\r\n";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// One stream of `events`, asked for on a new gateway.
struct streamed {
  http_answer answer;
  worker::gateway_usage usage;
  canned_upstream::request sent;
};
streamed stream_once(const std::string& path, const std::string& body, const std::string& events,
                     std::size_t piece, bool whole = true) {
  canned_upstream upstream({stream_answer(events, piece, whole)});
  gateway_fixture fixture(upstream.port(), both);
  fixture.open(plenty);
  streamed out;
  out.answer = fixture.ask(as_openai(body, path));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  out.usage = *usage;
  REQUIRE(upstream.requests().size() == 1);
  out.sent = upstream.requests()[0];
  return out;
}

void check_settled(const worker::gateway_usage& usage) {
  CHECK(usage.requests == 1);
  CHECK(usage.input_tokens == 3);  // cached tokens are counted within the prompt's
  CHECK(usage.cache_read_tokens == 7);
  CHECK(usage.output_tokens == 4);
  CHECK(usage.cost_nanousd == 10 * 1000 + 4 * 2000);
  CHECK(usage.charged_by_bound == 0);
}

}  // namespace

TEST_CASE("chat: a body passes byte for byte, with the gateway's key as a bearer") {
  const std::string reply = R"({"choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":4,)"
                            R"("prompt_tokens_details":{"cached_tokens":7}}})";
  canned_upstream upstream({json_answer(reply)});
  gateway_fixture fixture(upstream.port(), both);
  fixture.open(plenty);
  const auto body = chat_body(R"(,"max_tokens":100)");
  const auto answer = fixture.ask(as_openai(body, chat_path));
  CHECK(answer.status == 200);
  CHECK(answer.body == reply);
  REQUIRE(upstream.requests().size() == 1);
  const auto sent = upstream.requests()[0];
  CHECK(sent.body == body);
  CHECK(has(sent.head, "POST /v1/chat/completions "));
  CHECK(has(sent.head, "authorization: Bearer " + test_key + "\r\n"));
  CHECK_FALSE(has(sent.head, "x-api-key"));
  CHECK_FALSE(has(sent.head, test_token));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  check_settled(*usage);
}

TEST_CASE("chat: usage that only the gateway asked for is counted and not shown") {
  const std::string events = delta + usage_chunk + done;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    CAPTURE(piece);
    const auto got = stream_once(chat_path, chat_body(R"(,"stream":true)"), events, piece);
    CHECK(got.answer.status == 200);
    CHECK(got.answer.body == delta + done);
    check_settled(got.usage);
    CHECK(json::parse(got.sent.body)["stream_options"]["include_usage"] == true);
    CHECK(json::parse(got.sent.body)["max_completion_tokens"] == 64'000);
    CHECK(has(got.sent.body, chat_body(R"(,"stream":true)").substr(1)));
  }
  const auto asked = stream_once(
      chat_path, chat_body(R"(,"stream":true,"stream_options":{"include_usage":true})"), events, 7);
  CHECK(asked.answer.body == events);
  check_settled(asked.usage);
}

TEST_CASE("chat: a stream that is cut before its usage is charged by its bound, and told so") {
  const auto got =
      stream_once(chat_path, chat_body(R"(,"stream":true,"max_tokens":100)"), delta, 7, false);
  CHECK(got.answer.body.starts_with(delta));
  const auto error =
      json::parse(got.answer.body.substr(got.answer.body.find("data: {\"error") + 6));
  CHECK(error["error"]["type"] == "server_error");
  CHECK(got.usage.charged_by_bound == 1);
  CHECK(got.usage.output_tokens == 100);
}

TEST_CASE("responses: a body passes with store and the cap put in, and is settled") {
  const std::string reply = R"({"output":[],"usage":{"input_tokens":10,"output_tokens":4,)"
                            R"("input_tokens_details":{"cached_tokens":7}}})";
  canned_upstream upstream({json_answer(reply)});
  gateway_fixture fixture(upstream.port(), both);
  fixture.open(plenty);
  const auto answer = fixture.ask(as_openai(responses_body(), responses_path));
  CHECK(answer.status == 200);
  CHECK(answer.body == reply);
  REQUIRE(upstream.requests().size() == 1);
  CHECK(upstream.requests()[0].body ==
        R"({"max_output_tokens":64000,"store":false,)" + responses_body().substr(1));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  check_settled(*usage);
}

TEST_CASE("responses: a stream passes byte for byte and is settled by its last event") {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    const auto body = responses_body(R"(,"stream":true,"store":false,"max_output_tokens":50,)"
                                     R"("include":["reasoning.encrypted_content"])");
    const auto got = stream_once(responses_path, body, created + completed, piece);
    CHECK(got.answer.body == created + completed);
    CHECK(got.sent.body == body);
    check_settled(got.usage);
  }
  const auto cut =
      stream_once(responses_path, responses_body(R"(,"stream":true,"max_output_tokens":50)"),
                  created, 1000, false);
  CHECK(has(cut.answer.body, "event: error\ndata: {"));
  CHECK(cut.usage.charged_by_bound == 1);
  CHECK(cut.usage.output_tokens == 50);
}

TEST_CASE("what is refused never goes out, and is told in the form of OpenAI") {
  canned_upstream upstream({});
  gateway_fixture fixture(upstream.port(), both + "translate = false\n");
  auto limits = plenty;
  limits.budget_nanousd = 1000;
  fixture.open(limits);
  const auto error = [&](const std::string& body, const std::string& path) -> json {
    const auto answer = fixture.ask(as_openai(body, path));
    CHECK(answer.status == 400);
    CHECK_FALSE(has(answer.head, "etry-"));
    const auto told = json::parse(answer.body)["error"];
    CHECK(told["type"] == "invalid_request_error");
    CHECK(told.contains("param"));
    return told["message"];
  };
  CHECK(has(error(chat_body(R"(,"web_search_options":{})"), chat_path), "'web_search_options'"));
  CHECK(has(error(chat_body(R"(,"n":1,"\u006e":2)"), chat_path), "twice"));
  CHECK(has(error(responses_body(R"(,"tools":[{"type":"mcp"}])"), responses_path), "'mcp'"));
  CHECK(has(error(responses_body(R"(,"store":true)"), responses_path), "'store'"));
  CHECK(has(error(R"({"model":"other","input":"x"})", responses_path), "'scripted-1'"));
  CHECK(has(error(chat_body(), chat_path), "budget"));
  auto wrong = as_openai(chat_body(), chat_path);
  wrong.replace(wrong.find(test_token), 5, "wrong");
  const auto answer = fixture.ask(wrong);
  CHECK(answer.status == 401);
  CHECK(json::parse(answer.body)["error"]["code"] == "invalid_api_key");
  const auto unspoken = fixture.ask(gateway_fixture::request(small_body(false)));
  CHECK(unspoken.status == 404);
  CHECK(json::parse(unspoken.body)["type"] == "error");
  CHECK(has(unspoken.body, "does not speak 'messages'"));
  const auto account = fixture.client().close(attempt_name);
  REQUIRE(account);
  CHECK(account->obstacle.kind == worker::obstacle_kind::dialect);
  CHECK(has(account->obstacle.why, "does not speak 'messages'"));
  CHECK(upstream.requests().empty());
}

TEST_CASE("every error on a path of OpenAI has its form") {
  canned_upstream upstream({});
  gateway_fixture fixture(upstream.port(), both);
  fixture.open(plenty);
  const auto told = [&](const std::string& bytes, int status) {
    CAPTURE(bytes.substr(0, 100));
    const auto answer = fixture.ask(bytes);
    CHECK(answer.status == status);
    const auto error = json::parse(answer.body)["error"];
    CHECK(error.contains("param"));
    return std::string(error["message"]);
  };
  // Codex asks for it; a conversation is made shorter by the agent itself here.
  CHECK(has(told(as_openai("{}", "/v1/responses/compact"), 404), "/v1/responses/compact"));
  told(as_openai("{}", "/v1/chat/completions?x=1"), 404);
  told(as_openai("{}", "/v1/embeddings"), 404);
  told(get("/v1/responses/resp_1", ""), 404);
  for (const auto& path : {chat_path, responses_path}) {
    const std::string head = "POST " + path + " HTTP/1.1\r\nhost: x\r\n";
    told(head + "content-length: 2\r\n\r\n{}", 401);
    told(head + "content-length: 40000000\r\n\r\n{", 413);
    told(head + "x: " + std::string(40'000, 'x') + "\r\n\r\n", 400);
    told(head + "no header\r\n\r\n", 400);
    told("POST " + path + " HTTP/1.0\r\nhost: x\r\n\r\n", 400);
  }
  CHECK(upstream.requests().empty());
}

TEST_CASE("the rate is a 429 with a time to wait, in the form of OpenAI") {
  canned_upstream upstream({json_answer("{}")});
  gateway_fixture fixture(upstream.port(), both);
  auto limits = plenty;
  limits.max_requests_per_minute = 1;
  fixture.open(limits);
  CHECK(fixture.ask(as_openai(chat_body(), chat_path)).status == 200);
  const auto limited = fixture.ask(as_openai(chat_body(), chat_path));
  CHECK(limited.status == 429);
  CHECK(has(limited.head, "retry-after: "));
  CHECK(json::parse(limited.body)["error"]["code"] == "rate_limit_exceeded");
}

TEST_CASE("a field that the configuration allows passes byte for byte, of its dialect alone") {
  canned_upstream upstream({json_answer("{}"), json_answer("{}")});
  gateway_fixture fixture(upstream.port(),
                          std::string(both) + "[allow]\nchat_completions = [\"min_p\"]\n");
  fixture.open(plenty);
  const auto body = chat_body(R"(,"max_completion_tokens":50,"min_p": 0.10)");
  CHECK(fixture.ask(as_openai(body, chat_path)).status == 200);
  REQUIRE(upstream.requests().size() == 1);
  CHECK(has(upstream.requests()[0].body, R"("min_p": 0.10)"));
  CHECK(fixture.ask(as_openai(chat_body(R"(,"min_q":1)"), chat_path)).status == 400);
  CHECK(fixture.ask(as_openai(responses_body(R"(,"min_p":1)"), responses_path)).status == 400);
  CHECK(upstream.requests().size() == 1);
}

TEST_CASE("who left the cap out is told what it got, where that is too much") {
  canned_upstream upstream({});
  gateway_fixture fixture(upstream.port(), both);
  auto limits = plenty;
  limits.budget_nanousd = 3'000'000;
  fixture.open(limits);
  const auto refused = [&](const std::string& more) {
    const auto answer = fixture.ask(as_openai(chat_body(more), chat_path));
    CHECK(answer.status == 400);
    return std::string(json::parse(answer.body)["error"]["message"]);
  };
  const auto left_out = refused("");
  CHECK(has(left_out, "it had no cap of output, and got one of "));
  CHECK(has(left_out, "send a smaller one"));
  CHECK_FALSE(has(refused(R"(,"max_completion_tokens":20000)"), "no cap"));
  const auto account = fixture.client().close(attempt_name);
  REQUIRE(account);
  CHECK(upstream.requests().empty());
}

TEST_CASE("the models are the attempt's own, in the form that the client reads") {
  canned_upstream upstream({});
  gateway_fixture fixture(upstream.port(), both);
  fixture.open(plenty);
  const std::string token = "authorization: Bearer " + test_token + "\r\n";
  CHECK(fixture.ask(get("/v1/models", "")).status == 401);
  const auto list = json::parse(fixture.ask(get("/v1/models?client_version=1", token)).body);
  CHECK(list["object"] == "list");
  CHECK(list["data"][0]["id"] == "scripted-1");
  const auto other = fixture.ask(get("/v1/models", token + "anthropic-version: 2023-06-01\r\n"));
  CHECK(json::parse(other.body)["data"][0]["type"] == "model");
  CHECK(json::parse(fixture.ask(get("/v1/models/scripted-1", token)).body)["object"] == "model");
  CHECK(fixture.ask(get("/v1/models/gpt-9", token)).status == 404);
}
