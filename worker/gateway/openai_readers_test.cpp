#include <doctest/doctest.h>

#include "worker/gateway/chat_reader.hpp"
#include "worker/gateway/responses_reader.hpp"

using namespace germline::worker;

namespace {

const std::string hello =
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\": {}\"}}],\"usage\":null}\n\n";
const std::string keepalive = ": still here\n\n";
const std::string usage_chunk =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":42,"
    "\"prompt_tokens_details\":{\"cached_tokens\":7},"
    "\"completion_tokens_details\":{\"reasoning_tokens\":40}}}\r\n\r\n";
const std::string finish =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\": \"stop\"}],\"usage\":null}\n\n";
const std::string done = "data: [DONE]\n\n";

/// What the client sees of `stream`, fed in pieces of that size.
std::string seen(answer_reader& reader, const std::string& stream, std::size_t piece) {
  std::string out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    std::string bytes = stream.substr(at, piece);
    reader.feed(bytes);
    out += bytes;
  }
  return out + reader.rest();
}

}  // namespace

TEST_CASE("chat: the usage chunk is counted and taken out, however the stream is cut") {
  const std::string stream = hello + keepalive + usage_chunk + done;
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    chat_reader reader(true, true);
    CHECK(seen(reader, stream, piece) == hello + keepalive + done);
    CHECK(reader.ended());
    const auto counts = reader.finish();
    REQUIRE(counts);
    CHECK(*counts == token_counts{3, 42, 0, 0, 7});
  }
}

TEST_CASE("chat: a client that asked for the usage sees it") {
  chat_reader reader(true, false);
  CHECK(seen(reader, hello + usage_chunk + done, 9) == hello + usage_chunk + done);
  CHECK(reader.finish());
}

TEST_CASE("chat: a usage that comes first is not the usage of a stream that is cut") {
  for (const std::string& before :
       {usage_chunk + hello, hello + usage_chunk,
        "data: {\"choices\":[{\"finish_reason\":\"\",\"delta\":{}}]}\n\n" + usage_chunk + hello,
        "data: {\"choices\":[{\"finish_reason\":null,\"delta\":{\"content\":"
        "\"\\\"finish_reason\\\":\\\"stop\\\"\"}}]}\n\n" +
            usage_chunk}) {
    CAPTURE(before);
    chat_reader cut(true, true);
    seen(cut, before, 50);
    CHECK_FALSE(cut.finish());
    chat_reader whole(true, true);
    seen(whole, before + done, 50);
    CHECK(whole.finish());
  }
  chat_reader finished(true, true);
  seen(finished, hello + finish + usage_chunk, 50);  // some never say that they are done
  CHECK(finished.finish());
}

TEST_CASE("chat: usage so far is not the usage") {
  const std::string running =
      "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}\n\n";
  chat_reader cut(true, true);
  CHECK(seen(cut, running, 50) == running);
  CHECK_FALSE(cut.finish());
  chat_reader whole(true, true);
  seen(whole, running + done, 50);
  CHECK(whole.finish()->output == 1);
}

TEST_CASE("chat: a stream is settled at its end, by the largest usage that it told") {
  const auto told = [](int prompt, int completion) {
    return "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":" + std::to_string(prompt) +
           ",\"completion_tokens\":" + std::to_string(completion) + "}}\n\n";
  };
  chat_reader reader(true, false);
  seen(reader, told(10, 1) + told(10, 42) + told(10, 2), 50);
  CHECK_FALSE(reader.settles());
  seen(reader, done, 50);
  CHECK(reader.settles());
  CHECK(*reader.finish() == token_counts{10, 42, 0, 0, 0});
  seen(reader, told(10, 50), 50);
  CHECK(reader.finish()->output == 50);
}

TEST_CASE("chat: a stream that ends early, or lies, has no usage") {
  chat_reader cut(true, true);
  CHECK(seen(cut, hello + "data: {\"cho", 5) == hello + "data: {\"cho");
  CHECK_FALSE(cut.finish());
  for (
      const std::string usage :
      {R"({"prompt_tokens":1})", R"({"completion_tokens":1})",
       R"({"prompt_tokens":-1,"completion_tokens":1})",
       R"({"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}})"}) {
    CAPTURE(usage);
    chat_reader lies(true, true);
    seen(lies, "data: {\"choices\":[],\"usage\":" + usage + "}\n\n" + done, 1000);
    CHECK_FALSE(lies.finish());
  }
}

TEST_CASE("chat: a long event is passed on and not held back") {
  chat_reader reader(true, true);
  const std::string event = "data: \"" + std::string(3 << 20, 'x') + "\"\n\n";
  CHECK(seen(reader, event + usage_chunk + done, 100'000) == event + done);
  CHECK(reader.finish());
}

TEST_CASE("chat: a body's usage is found") {
  chat_reader reader(false, false);
  seen(reader, R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})", 7);
  CHECK(*reader.finish() == token_counts{3, 4, 0, 0, 0});
  chat_reader other(false, false);
  seen(other, "{\"usage\":null}", 7);
  CHECK_FALSE(other.finish());
}

TEST_CASE("responses: the last event's usage is found, in each way to end") {
  const std::string delta =
      "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
      "\"delta\":\"\\\"response.completed\\\"\"}\n\n";
  for (const std::string end : {"completed", "incomplete", "failed"}) {
    const std::string last = "event: response." + end + "\ndata: {\"type\":\"response." + end +
                             "\",\"response\":{\"output\":\"" + std::string(2 << 20, 'x') +
                             "\",\"usage\":{\"input_tokens\":10,\"output_tokens\":42,"
                             "\"input_tokens_details\":{\"cached_tokens\":7}}}}\n\n";
    responses_reader reader(true);
    CHECK(seen(reader, delta + last, 70'001) == delta + last);
    CHECK(reader.ended());
    CHECK(*reader.finish() == token_counts{3, 42, 0, 0, 7});
  }
  responses_reader cut(true);
  seen(cut, delta, 5);
  CHECK_FALSE(cut.ended());
  CHECK_FALSE(cut.finish());
  responses_reader failed(true);
  seen(failed, "data: {\"type\":\"response.failed\",\"response\":{\"usage\":null}}\n\n", 5);
  CHECK(failed.ended());
  CHECK_FALSE(failed.finish());
}

TEST_CASE("responses: an upstream that nests without end does not end the gateway") {
  const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  responses_reader reader(true);
  seen(reader, "data: {\"x\":\"response.completed\",\"type\":" + deep + "}\n\n", 70'001);
  CHECK_FALSE(reader.ended());
}

TEST_CASE("responses: a body's usage is found") {
  responses_reader reader(false);
  seen(reader, R"({"output":[],"usage":{"input_tokens":3,"output_tokens":4}})", 7);
  CHECK(*reader.finish() == token_counts{3, 4, 0, 0, 0});
}
