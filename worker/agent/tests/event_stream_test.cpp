#include "event_stream.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace agent;

namespace {

const std::string stream_start =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"usage":{"input_tokens":5}}})"
    "\n\n";
const std::string stream_call =
    R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}})"
    "\n\n";
const std::string stream_end =
    R"(data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}})"
    "\n\n"
    R"(data: {"type":"message_stop"})"
    "\n\n";

std::string input_piece(const std::string& escaped) {
  return R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",)"
         R"("partial_json":")" +
         escaped + "\"}}\r\n\r\n";
}

}  // namespace

TEST_CASE("event stream joins the pieces of a call's input") {
  const auto message = assemble_message(stream_start + stream_call + input_piece(R"({\"a\":)") +
                                        input_piece("1}") + stream_end);
  REQUIRE(message);
  const json& done = *message;
  CHECK(done["stop_reason"].string_or() == "tool_use");
  CHECK(done["usage"]["output_tokens"].integer_or() == 9);
  CHECK(done["content"].items()[0]["input"]["a"].integer_or() == 1);
}

TEST_CASE("event stream marks an input that was cut off") {
  const auto message =
      assemble_message(stream_start + stream_call + input_piece(R"({\"a\":)") + stream_end);
  REQUIRE(message);
  const json& done = *message;
  CHECK(done["content"].items()[0]["input_cut_off"].bool_or());
}

TEST_CASE("event stream that breaks off is an error") {
  CHECK_FALSE(assemble_message(stream_start + stream_call));
  CHECK_FALSE(assemble_message(""));
}

TEST_CASE("event stream with an error event is an error") {
  const std::string overloaded =
      R"(data: {"type":"error","error":{"type":"overloaded_error","message":"busy"}})"
      "\n\n";
  const auto message = assemble_message(stream_start + overloaded + stream_end);
  REQUIRE_FALSE(message);
  CHECK(message.why().find("overloaded_error") != std::string::npos);
}
