#include "worker/gateway/request_difference.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

std::string said(const std::string& asked, const std::string& recorded, bool own = false) {
  return first_difference(asked, recorded, own).value_or("none");
}

}  // namespace

TEST_CASE("the first difference is told with its path and both values") {
  CHECK(said("{}", "{}") == "none");
  CHECK(said(R"({"a":1})", R"({"a":2})") == "a is 1, recorded was 2");
  CHECK(said(R"({"a":[{"b":"x"}]})", R"({"a":[{"b":"y"}]})") ==
        R"(a[0].b is "x", recorded was "y")");
  CHECK(said(R"({"a":[1,2]})", R"({"a":[1]})") == "a[1] is 2, recorded was nothing");
  CHECK(said(R"({"a":[1]})", R"({"a":[1,{"c":2}]})") == R"(a[1] is nothing, recorded was {"c":2})");
  CHECK(said(R"({"a":1,"b":2})", R"({"a":1})") == "b is 2, recorded was nothing");
  CHECK(said(R"({"a":1})", R"({"a":1,"b":null})") == "b is nothing, recorded was null");
  CHECK(said(R"({"a":"1"})", R"({"a":1})") == R"(a is "1", recorded was 1)");
}

TEST_CASE("long values are shortened to where they differ") {
  const std::string same(1'000, 'x');
  const auto told =
      said(R"({"a":")" + same + "here" + same + "\"}", R"({"a":")" + same + "there" + same + "\"}");
  CHECK(told.size() < 450);
  CHECK(told.find("…\"" + std::string(40, 'x') + "herexx") != std::string::npos);
  CHECK(told.find("…\"" + std::string(40, 'x') + "therex") != std::string::npos);
}

TEST_CASE("what is the same JSON in other bytes is told too, and what is none") {
  CHECK(said(R"({"a": 1})", R"({"a":1})") ==
        R"(the same JSON, written otherwise: from byte 5 on it is {"a": 1}, recorded was {"a":1})");
  CHECK(said("abc", "abd") == "from byte 2 on it is abc, recorded was abd");
  CHECK(said("a\xff", "") == "from byte 0 on it is a\\xff, recorded was ");
}

TEST_CASE("what the gateway puts in is no difference to a client's own words") {
  const std::string own = R"({"messages":[1]})";
  const std::string put =
      R"({"stream_options":{"include_usage":true},"max_completion_tokens":5,"messages":[1]})";
  CHECK(said(put, own, true) == "none");
  CHECK(said(put, own, false) != "none");
  CHECK(said(R"({"max_tokens":6,"messages":[1]})", R"({"max_tokens":5,"messages":[1]})", true) ==
        "max_tokens is 6, recorded was 5");
}

TEST_CASE("nesting takes no stack") {
  for (const std::size_t levels : {900, 1'000'000}) {
    const std::string begin = R"({"a":)" + std::string(levels, '[');
    const std::string end = std::string(levels, ']') + "}";
    const auto told = said(begin + "1" + end, begin + "2" + end);
    CHECK(told.starts_with(levels < 1'000 ? "a[0][0]" : "from byte 1000005 on it is [[["));
    CHECK(told.size() < 1'000);
  }
}
