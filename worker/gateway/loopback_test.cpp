#include "worker/gateway/loopback.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

TEST_CASE("addresses of loopback are taken, and written as they were") {
  for (const char* text : {"127.0.0.1:8080", "127.0.0.1:0", "127.5.6.7:65535", "[::1]:8080"}) {
    CAPTURE(text);
    const auto parsed = parse_loopback(text);
    REQUIRE(parsed);
    CHECK(parsed->text() == text);
  }
}

TEST_CASE("no other address is taken, and the message says what would be") {
  for (const char* text : {"", "8080", ":8080", "0.0.0.0:8080", "localhost:8080", "10.0.0.1:8080",
                           "128.0.0.1:8080", "[::]:8080", "[::2]:8080", "::1:8080", "127.1:8080",
                           "127.0.0.1", "unix:/tmp/socket", "[::ffff:127.0.0.1]:8080"}) {
    CAPTURE(text);
    const auto parsed = parse_loopback(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == error_code::invalid_argument);
    CHECK(parsed.error().message().find("such as 127.0.0.1:8080") != std::string::npos);
  }
  for (const char* text :
       {"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "[::1]:http"}) {
    CAPTURE(text);
    const auto parsed = parse_loopback(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message().find("from 0 (any that is free) to 65535") != std::string::npos);
  }
}

TEST_CASE("port 0 is one that is free; one that is taken is named") {
  const auto any = parse_loopback("127.0.0.1:0");
  REQUIRE(any);
  const auto first = listen_on_loopback(*any);
  REQUIRE(first);
  CHECK(first->at.text() != "127.0.0.1:0");
  const auto second = listen_on_loopback(first->at);
  REQUIRE_FALSE(second);
  CHECK(second.error().message().find(first->at.text()) != std::string::npos);
}
