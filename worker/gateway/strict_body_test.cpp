#include "worker/gateway/strict_body.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

TEST_CASE("a member is put in or replaced, and every other byte stays") {
  CHECK(strict::with_member(R"( { "a" : 1 } )", "b", 2) == R"( {"b":2, "a" : 1 } )");
  CHECK(strict::with_member(R"({"a":[1,{"b":"}\""}],  "b" : {"c":[]} , "d":1})", "b", 2) ==
        R"({"a":[1,{"b":"}\""}],  "b" : 2 , "d":1})");
  CHECK(strict::with_member(R"({"x":-1.5e3,"b":null})", "b", true) == R"({"x":-1.5e3,"b":true})");
  CHECK(strict::with_member(R"({"\u0062":1})", "b", 2) == R"({"\u0062":2})");
  CHECK(strict::with_member(R"({"a":{"b":1}})", "b", 2) == R"({"b":2,"a":{"b":1}})");
  CHECK(strict::with_member("\xef\xbb\xbf{\"a\":\"\\\\\"}", "b", 2) ==
        "\xef\xbb\xbf{\"b\":2,\"a\":\"\\\\\"}");
}
