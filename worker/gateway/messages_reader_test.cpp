#include "worker/gateway/messages_reader.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

const std::string start =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{"
    "\"input_tokens\":10,\"output_tokens\":1,\"cache_creation_input_tokens\":5,"
    "\"cache_creation\":{\"ephemeral_1h_input_tokens\":2},\"cache_read_input_tokens\":7}}}\r\n\n";
const std::string content =
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"message_delta\\\"\"}}\n\n";
const std::string end =
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
    "\"usage\":{\"output_tokens\":42}}\n\ndata: {\"type\":\"message_stop\"}\n\n";

void feed(messages_reader& reader, std::string bytes) {
  const std::string as_it_was = bytes;
  reader.feed(bytes);
  CHECK(bytes == as_it_was);
}

std::string delta_of(const char* usage) {
  return std::string(
             R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)") +
         usage + "}\n\n";
}

}  // namespace

TEST_CASE("a stream's usage is found however it is cut into pieces") {
  const std::string stream = start + content + end;
  for (std::size_t piece = 1; piece < stream.size(); piece += 13) {
    messages_reader reader(true);
    for (std::size_t at = 0; at < stream.size(); at += piece)
      feed(reader, stream.substr(at, piece));
    const auto counts = reader.finish();
    REQUIRE(counts);
    CHECK(*counts == token_counts{10, 42, 5, 2, 7});
  }
}

TEST_CASE("a stream that ends early has no final usage") {
  messages_reader reader(true);
  feed(reader, start + content);
  CHECK_FALSE(reader.finish());
  messages_reader lies(true);
  feed(lies,
       "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":-1}}}\n" + end);
  CHECK_FALSE(lies.finish());
}

TEST_CASE("a usage that does not tell both counts is none") {
  for (const char* usage : {"{}", R"({"input_tokens":10})", R"({"output_tokens":3})",
                            R"({"input_tokens":null,"output_tokens":null})"}) {
    CAPTURE(usage);
    messages_reader whole(false);
    std::string body = std::string(R"({"usage":)") + usage + "}";
    whole.feed(body);
    CHECK_FALSE(whole.finish());
    messages_reader stream(true);
    feed(stream,
         std::string(R"(data: {"type":"message_start","message":{"usage":)") + usage +
             "}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}," +
             R"("usage":{}})" + "\n\n");
    CHECK_FALSE(stream.finish());
  }
  messages_reader both(false);
  std::string body = R"({"usage":{"input_tokens":10,"output_tokens":3}})";
  both.feed(body);
  CHECK(both.finish());
}

TEST_CASE("an upstream that nests without end does not end the gateway") {
  const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  messages_reader reader(true);
  feed(reader, "data: {\"type\":\"message_start\",\"message\":{\"usage\":" + deep + "}}\n\n");
  feed(reader, "data: {\"type\":\"message_delta\",\"delta\":" + deep + "}\n\n" + end);
  feed(reader, "data: {\"type\":" + deep + ",\"x\":\"message_stop\",\"\":\"message_\"}\n\n");
  CHECK_FALSE(reader.finish());
}

TEST_CASE("a body's usage is found, and a body without one has none") {
  messages_reader reader(false);
  feed(reader, R"({"content":[],"usage":{"input_to)");
  feed(reader, R"(kens":3,"output_tokens":4}})");
  const auto counts = reader.finish();
  REQUIRE(counts);
  CHECK(*counts == token_counts{3, 4, 0, 0, 0});
  messages_reader other(false);
  feed(other, "{}");
  CHECK_FALSE(other.finish());
}

TEST_CASE("a stream is settled at its last event, by the largest usage that it told") {
  const auto delta = [](int tokens) {
    return "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
           "\"output_tokens\":" +
           std::to_string(tokens) + "}}\n\n";
  };
  const std::string stop = "data: {\"type\":\"message_stop\"}\n\n";
  messages_reader reader(true);
  feed(reader, start + delta(2) + delta(42) + delta(3));
  CHECK_FALSE(reader.settles());
  feed(reader, stop);
  CHECK(reader.settles());
  CHECK(reader.finish()->output == 42);
  feed(reader, delta(50));
  CHECK(reader.finish()->output == 50);
}

TEST_CASE("a correction of the input leaves the output charged, and takes nothing back") {
  const std::string began =
      R"(data: {"type":"message_start","message":{"usage":{"input_tokens":1000,"output_tokens":0}}})"
      "\n\n";
  messages_reader less(true);
  feed(less, began + delta_of(R"({"input_tokens":400,"output_tokens":500})"));
  CHECK(less.finish() == token_counts{1000, 500, 0, 0, 0});
  messages_reader moved(true);
  feed(moved, began + delta_of(R"({"input_tokens":400,"cache_read_input_tokens":600,)"
                               R"("output_tokens":500})"));
  CHECK(moved.finish() == token_counts{400, 500, 0, 0, 600});
}

TEST_CASE("a stream's last line counts without its newline") {
  messages_reader reader(true);
  std::string stream = start + delta_of(R"({"output_tokens":9})");
  stream.resize(stream.size() - 2);
  feed(reader, stream);
  CHECK_FALSE(reader.finish());  // more might come
  reader.end();
  const auto counts = reader.finish();
  REQUIRE(counts);
  CHECK(counts->output == 9);
}
