// A client of one dialect before an upstream that speaks only the other, through the real gateway:
// what goes out, what comes back, what it costs, and that nothing passes that else would not.
#include <doctest/doctest.h>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string chat_path = "/v1/chat/completions";
const std::string speaks_chat = "dialects = [\"chat_completions\"]\n";
const std::string speaks_messages = "dialects = [\"messages\"]\n";

const std::string chat_reply =
    R"({"id":"c1","model":"mm","choices":[{"message":{"role":"assistant","content":"hi"},)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":4,)"
    R"("prompt_tokens_details":{"cached_tokens":7}}})";
const std::string chat_events =
    "data: {\"id\":\"c1\",\"model\":\"mm\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,"
    "\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n\ndata: [DONE]\n\n";
const std::string messages_reply =
    R"({"id":"m1","model":"mm","content":[{"type":"text","text":"hi"}],)"
    R"("stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4,)"
    R"("cache_read_input_tokens":7}})";
const std::string messages_events =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":"
    "\"mm\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
    "{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const std::string problem = R"({"error":{"type":"some_error","message":"no"}})";

std::string chat_body(const std::string& more = "") {
  return R"({"model":"scripted-1","messages":[{"role":"user","content":"hä"}])" + more + "}";
}
std::string chat_request(const std::string& more = "") {
  return gateway_fixture::request(chat_body(more), "anthropic-beta: x\r\n", chat_path);
}
std::string messages_request(const std::string& more) {
  return gateway_fixture::request(
      R"({"model":"scripted-1","max_tokens":100,"messages":[{"role":"user","content":"x"}])" +
      more + "}");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void check_settled(const worker::gateway_usage& usage, int requests = 1) {
  CHECK(usage.requests == requests);
  CHECK(usage.input_tokens == 3);
  CHECK(usage.cache_read_tokens == 7);
  CHECK(usage.output_tokens == 4);
  CHECK(usage.cost_nanousd == 10 * 1000 + 4 * 2000);
  CHECK(usage.charged_by_bound == 0);
}

/// One request to a new gateway before one upstream.
struct asked {
  asked(const std::string& request, const std::string& speaks, std::vector<canned_answer> answers) {
    canned_upstream upstream(std::move(answers));
    gateway_fixture fixture(upstream.port(), speaks);
    fixture.open(plenty);
    answer = fixture.ask(request);
    const auto closed = fixture.client().close(attempt_name);
    REQUIRE(closed);
    usage = *closed;
    sent = upstream.requests();
    transcript = fixture.transcript();
    REQUIRE_FALSE(sent.empty());
  }
  json body() const { return json::parse(answer.body); }

  http_answer answer;
  worker::gateway_usage usage;
  std::vector<canned_upstream::request> sent;
  std::string transcript;
};

std::string table(const std::string& name, unsigned port, const std::string& more) {
  return "[[upstream]]\nname = \"" + name + "\"\nurl = \"http://127.0.0.1:" + std::to_string(port) +
         "\"\n" + more;
}

/// An upstream that speaks Messages beside one that speaks Chat Completions.
struct pair {
  pair(std::vector<canned_answer> of_messages, std::vector<canned_answer> of_chat,
       const std::string& more_of_messages = "")
      : messages(std::move(of_messages)),
        chat(std::move(of_chat)),
        fixture(table("m", messages.port(), speaks_messages + more_of_messages) +
                    table("c", chat.port(), speaks_chat),
                {}) {
    fixture.open(plenty);
  }
  worker::gateway_usage closed() {
    const auto usage = fixture.client().close(attempt_name);
    REQUIRE(usage);
    return *usage;
  }

  canned_upstream messages;
  canned_upstream chat;
  gateway_fixture fixture;
};

}  // namespace

TEST_CASE("a client of Messages before Chat Completions: a whole answer") {
  const asked got(gateway_fixture::request(small_body(false)), speaks_chat,
                  {json_answer(chat_reply)});
  CHECK(got.answer.status == 200);
  CHECK(got.body()["type"] == "message");
  CHECK(got.body()["content"] == json::parse(R"([{"type":"text","text":"hi"}])"));
  CHECK(got.body()["usage"]["cache_read_input_tokens"] == 7);
  REQUIRE(got.sent.size() == 1);
  CHECK(has(got.sent[0].head, "POST /v1/chat/completions "));
  CHECK(has(got.sent[0].head, "authorization: Bearer " + test_key + "\r\n"));
  CHECK_FALSE(has(got.sent[0].head, "anthropic"));
  CHECK_FALSE(has(got.sent[0].head, test_token));
  CHECK(json::parse(got.sent[0].body) == json::parse(R"({"model":"scripted-1",
      "max_completion_tokens":100,"messages":[{"role":"user","content":"h\u00e4 \u00e4"}]})"));
  check_settled(got.usage);
  // What the agent said and read, and what was spoken for it.
  const auto line = json::parse(got.transcript.substr(0, got.transcript.find('\n')));
  CHECK(line["path"] == "/v1/messages");
  CHECK(line["translated"] == "chat_completions");
  CHECK(line["request"] == small_body(false));
  CHECK(line["response"] == got.answer.body);
  CHECK(line["outcome"] == "settled");
}

TEST_CASE("a client of Messages before Chat Completions: a stream") {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{9}, std::size_t{10'000}}) {
    CAPTURE(piece);
    const asked got(gateway_fixture::request(small_body(true)), speaks_chat,
                    {stream_answer(chat_events, piece)});
    CHECK(got.answer.status == 200);
    CHECK(got.answer.body.starts_with("event: message_start\n"));
    CHECK(has(got.answer.body, R"("text":"hi")"));
    CHECK(got.answer.body.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    CHECK(json::parse(got.sent[0].body)["stream_options"]["include_usage"] == true);
    check_settled(got.usage);
  }
}

TEST_CASE("a client of Chat Completions before Messages: a whole answer") {
  const asked got(chat_request(), speaks_messages, {json_answer(messages_reply)});
  CHECK(got.answer.status == 200);
  CHECK(got.body()["choices"][0]["message"]["content"] == "hi");
  CHECK(got.body()["usage"]["prompt_tokens"] == 10);
  CHECK(has(got.sent[0].head, "POST /v1/messages "));
  CHECK(has(got.sent[0].head, "x-api-key: " + test_key + "\r\n"));
  CHECK(has(got.sent[0].head, "anthropic-version: 2023-06-01\r\n"));
  CHECK_FALSE(has(got.sent[0].head, "anthropic-beta"));
  CHECK(json::parse(got.sent[0].body)["max_tokens"] == 64'000);
  check_settled(got.usage);
}

TEST_CASE("a client of Chat Completions before Messages: a stream, with its usage if asked for") {
  for (const bool asks : {false, true}) {
    const std::string options = asks ? R"(,"stream_options":{"include_usage":true})" : "";
    const asked got(chat_request(R"(,"stream":true)" + options), speaks_messages,
                    {stream_answer(messages_events, 7)});
    CHECK(got.answer.body.ends_with("data: [DONE]\n\n"));
    CHECK(has(got.answer.body, R"("content":"hi")"));
    CHECK(has(got.answer.body, R"("prompt_tokens":10)") == asks);
    check_settled(got.usage);
  }
}

TEST_CASE("an upstream's error has the form of the client's dialect, and costs nothing") {
  const auto message = json_answer(R"({"error":{"message":"too long"}})", "400 Bad Request");
  const asked of_chat(gateway_fixture::request(small_body(true)), speaks_chat, {message});
  CHECK(of_chat.answer.status == 400);
  CHECK(of_chat.body() == json::parse(R"({"type":"error","error":
      {"type":"invalid_request_error","message":"too long"}})"));
  CHECK(of_chat.usage.cost_nanousd == 0);
  const asked of_messages(chat_request(), speaks_messages, {message});
  CHECK(of_messages.answer.status == 400);
  CHECK(of_messages.body()["error"]["message"] == "too long");
  CHECK(of_messages.body()["error"].contains("param"));
  const asked key(gateway_fixture::request(small_body(false)), speaks_chat,
                  {json_answer(problem, "401 Unauthorized")});
  CHECK(key.answer.status == 400);
  CHECK(has(key.answer.body, "credentials"));
  const asked mute(gateway_fixture::request(small_body(false)), speaks_chat,
                   {json_answer("<html>", "404 Not Found")});
  CHECK(mute.body()["error"]["message"] == "the upstream answers HTTP 404");
}

TEST_CASE("a translated stream that is cut is charged by its bound, and told once") {
  const auto half = chat_events.substr(0, chat_events.find("data: {\"choices\":[],"));
  const asked got(gateway_fixture::request(small_body(true)), speaks_chat,
                  {stream_answer(half, 7, false)});
  CHECK(has(got.answer.body, R"("text":"hi")"));
  const auto error = got.answer.body.find("event: error\n");
  REQUIRE(error != std::string::npos);
  CHECK(got.answer.body.find("event: error\n", error + 1) == std::string::npos);
  CHECK_FALSE(has(got.answer.body, "message_stop"));
  CHECK(got.usage.charged_by_bound == 1);
  CHECK(got.usage.output_tokens == 100);
  const asked told(
      chat_request(R"(,"stream":true,"max_tokens":50)"), speaks_messages,
      {stream_answer("data: {\"type\":\"error\",\"error\":{\"message\":\"busy\"}}\n\n", 7)});
  CHECK(told.answer.body.find("\"error\"") == told.answer.body.rfind("\"error\""));
  CHECK(has(told.answer.body, "busy"));
  CHECK(told.usage.output_tokens == 50);
}

TEST_CASE("an answer that cannot be read is a 502, and charged by what it tells") {
  const asked none(gateway_fixture::request(small_body(false)), speaks_chat, {json_answer("[]")});
  CHECK(none.answer.status == 502);
  CHECK(none.body()["error"]["type"] == "api_error");
  CHECK(none.usage.charged_by_bound == 1);
  const asked odd(gateway_fixture::request(small_body(false)), speaks_chat,
                  {json_answer(R"({"choices":[],"usage":{"prompt_tokens":10,)"
                               R"("completion_tokens":4,"prompt_tokens_details":)"
                               R"({"cached_tokens":7}}})")});
  CHECK(odd.answer.status == 502);
  check_settled(odd.usage);
  const asked told(chat_request(), speaks_messages,
                   {json_answer(R"({"error":{"message":"no credit"}})")});
  CHECK(told.answer.status == 502);
  CHECK(has(told.answer.body, "no credit"));
}

TEST_CASE("the gateway's key is shown in no translated answer") {
  auto leaks = chat_reply;
  leaks.replace(leaks.find("\"hi\""), 4, "\"" + test_key + "\"");
  const asked whole(gateway_fixture::request(small_body(false)), speaks_chat, {json_answer(leaks)});
  CHECK(has(whole.answer.body, "[redacted]"));
  CHECK_FALSE(has(whole.answer.body + whole.transcript, test_key));
  // Written otherwise, it would be the key again once it is read.
  auto events = chat_events;
  events.replace(events.find("\"hi\""), 4, "\"\\u0073" + test_key.substr(1) + "\"");
  const asked stream(gateway_fixture::request(small_body(true)), speaks_chat,
                     {stream_answer(events, 5)});
  CHECK(has(stream.answer.body, "[redacted]"));
  CHECK_FALSE(has(stream.answer.body, test_key));
  const asked failed(gateway_fixture::request(small_body(false)), speaks_chat,
                     {json_answer(R"({"error":{"message":")" + test_key + "\"}}", "400 No")});
  CHECK(has(failed.answer.body, "[redacted]"));
}

TEST_CASE("what is refused is refused for translated requests too, and never goes out") {
  const auto refused = [](const std::string& request, const std::string& speaks,
                          const std::string& why, std::int64_t budget = 1'000'000'000'000) {
    CAPTURE(why);
    canned_upstream upstream({});
    gateway_fixture fixture(upstream.port(), speaks);
    auto limits = plenty;
    limits.budget_nanousd = budget;
    fixture.open(limits);
    const auto answer = fixture.ask(request);
    CHECK(answer.status == 400);
    CHECK(has(answer.body, why));
    CHECK(has(answer.body, "invalid_request_error"));
    CHECK(upstream.requests().empty());
    const auto usage = fixture.client().close(attempt_name);
    REQUIRE(usage);
    CHECK(usage->cost_nanousd == 0);
  };
  refused(messages_request(R"(,"mcp_servers":[])"), speaks_chat, "'mcp_servers'");
  refused(messages_request(R"(,"tools":[{"type":"web_search_20250305","name":"x"}])"), speaks_chat,
          "'web_search_20250305'");
  refused(messages_request(R"(,"tools":[{"type":"bash_20250124","name":"bash"}])"), speaks_chat,
          "Chat Completions");
  refused(messages_request(R"(,"system":[{"type":"image","source":{"type":"url","url":"x"}}])"),
          speaks_chat, "'image'");
  refused(messages_request(R"(,"model":"other")"), speaks_chat, "twice");
  refused(messages_request(""), speaks_chat, "budget", 1000);
  refused(chat_request(R"(,"web_search_options":{})"), speaks_messages, "'web_search_options'");
  refused(chat_request(R"(,"temperature":1.5)"), speaks_messages, "'temperature'");
  refused(chat_request(R"(,"n":2)"), speaks_messages, "'n'");
  refused(chat_request(), speaks_messages, "budget", 1000);
}

TEST_CASE("a request that can never be held with its translation is refused, else it may wait") {
  canned_upstream upstream({json_answer(chat_reply)});
  gateway_fixture fixture(upstream.port(), std::string(speaks_chat) +
                                               "[limits]\nmax_body_bytes = 100000\n"
                                               "max_held_bytes = 100000\n");
  fixture.open(plenty);
  const auto of_bytes = [](std::size_t count) {
    return R"({"model":"scripted-1","max_tokens":100,"messages":[{"role":"user","content":")" +
           std::string(count, 'x') + R"("}]})";
  };
  const auto never = fixture.post(of_bytes(60'000));
  CHECK(never.status == 400);
  CHECK(has(never.body, "send a shorter one"));
  raw_client holder(fixture.port());
  holder.send("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token +
              "\r\ncontent-length: 50000\r\nexpect: 100-continue\r\n\r\n");
  REQUIRE(holder.read_until("100 Continue"));
  const auto later = fixture.post(of_bytes(40'000));
  CHECK(later.status == 429);
  CHECK(has(later.head, "retry-after: 1\r\n"));
  CHECK(upstream.requests().empty());
}

TEST_CASE("tokens are counted by the gateway where no upstream can") {
  canned_upstream upstream({});
  gateway_fixture fixture(upstream.port(), speaks_chat);
  fixture.open(plenty);
  const auto count = [&](const std::string& body) {
    return fixture.ask(gateway_fixture::request(body, "", "/v1/messages/count_tokens"));
  };
  const auto answer = count(R"({"model":"scripted-1","messages":[{"role":"user","content":"x"}]})");
  CHECK(answer.status == 200);
  const std::int64_t tokens = json::parse(answer.body)["input_tokens"];
  CHECK(tokens > 0);
  CHECK(tokens < 100);
  CHECK(count(R"({"model":"other","messages":[{"role":"user","content":"x"}]})").status == 400);
  CHECK(upstream.requests().empty());
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->requests == 1);
  CHECK(usage->cost_nanousd == 0);
  CHECK(usage->charged_by_bound == 0);
}

TEST_CASE("a stream whose last line has no newline is whole, translated or not") {
  const std::string events =
      R"(data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]})"
      "\n\n"
      R"(data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}})"
      "\n\ndata: [DONE]";
  canned_upstream upstream({stream_answer(events, 1000), stream_answer(events, 7)});
  gateway_fixture fixture(upstream.port(), speaks_chat);
  fixture.open(plenty);
  const auto translated = fixture.post(small_body(true)).body;
  CHECK(has(translated, "event: message_stop"));
  CHECK_FALSE(has(translated, "event: error"));
  const auto direct = fixture.ask(chat_request(R"(,"stream":true)")).body;
  CHECK(has(direct, "data: [DONE]"));
  CHECK_FALSE(has(direct, "cut off"));
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->charged_by_bound == 0);
  CHECK(usage->output_tokens == 8);
}

TEST_CASE("who speaks the client's dialect is asked first, whatever the priorities are") {
  pair both({json_answer(messages_reply)}, {json_answer(chat_reply)}, "priority = 9\n");
  CHECK(both.fixture.post(small_body(false)).body == messages_reply);
  CHECK(both.messages.requests()[0].body == small_body(false));
  CHECK(both.fixture.ask(chat_request()).body == chat_reply);
  CHECK(both.messages.requests().size() == 1);
  CHECK(both.chat.requests().size() == 1);
}

TEST_CASE("a request goes on to an upstream of another dialect while nothing has been answered") {
  pair down({json_answer(problem, "529 Overloaded")}, {json_answer(chat_reply)});
  const auto answer = down.fixture.post(small_body(false));
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["content"][0]["text"] == "hi");
  check_settled(down.closed(), 2);
  pair other({stream_answer(messages_events, 9)},
             {json_answer(problem, "503 Service Unavailable")});
  const auto stream = other.fixture.ask(chat_request(R"(,"stream":true)"));
  CHECK(stream.status == 200);
  CHECK(stream.body.ends_with("data: [DONE]\n\n"));
  check_settled(other.closed(), 2);
  const auto transcript = other.fixture.transcript();
  CHECK(has(transcript, R"("upstream":"m")"));
  CHECK(has(transcript, R"("translated":"messages")"));
}

TEST_CASE("a request that may have been taken, or was begun to be answered, is not translated") {
  pair lost({no_answer(), no_answer(), no_answer()}, {json_answer(chat_reply)});
  CHECK(lost.fixture.post(small_body(false)).status == 502);
  CHECK(lost.chat.requests().empty());
  CHECK(lost.closed().charged_by_bound == 3);
  pair begun({stream_answer(messages_events, 50, false)}, {json_answer(chat_reply)});
  CHECK(begun.fixture.post(small_body(true)).status == 200);
  CHECK(begun.chat.requests().empty());
}

TEST_CASE("what only the client's own dialect can say goes to who speaks it, or nowhere") {
  pair both({json_answer(problem, "529 Overloaded"), json_answer(problem, "529 Overloaded"),
             json_answer(problem, "529 Overloaded")},
            {json_answer(chat_reply)});
  const auto answer =
      both.fixture.ask(messages_request(R"(,"tools":[{"type":"bash_20250124","name":"bash"}])"));
  CHECK(answer.status == 529);
  CHECK(answer.body == problem);
  CHECK(both.chat.requests().empty());
}

TEST_CASE("translation can be switched off, and there is none to or from Responses") {
  canned_upstream upstream({});
  gateway_fixture off(upstream.port(), speaks_chat + "translate = false\n");
  off.open(plenty);
  const auto answer = off.post(small_body(false));
  CHECK(answer.status == 404);
  CHECK(has(answer.body, "does not speak 'messages'"));
  gateway_fixture on(upstream.port(), speaks_chat);
  on.open(plenty);
  CHECK(
      on.ask(gateway_fixture::request(R"({"model":"scripted-1","input":"x"})", "", "/v1/responses"))
          .status == 404);
  gateway_fixture responses(upstream.port(), "dialects = [\"responses\"]\n");
  responses.open(plenty);
  CHECK(responses.post(small_body(false)).status == 404);
  CHECK(upstream.requests().empty());
}
