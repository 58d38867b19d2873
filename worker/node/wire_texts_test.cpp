#include "worker/node/wire_texts.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

TEST_CASE("texts out of a sandbox are made valid, wherever they stand") {
  v1::AttemptResult result;
  result.set_details("a\xff");
  result.add_tests()->set_name("b\xfe");
  result.add_protected_tests("c\xfd");
  CHECK(make_sendable(result));
  CHECK(result.details() == "a\\xff");
  CHECK(result.tests(0).name() == "b\\xfe");
  CHECK(result.protected_tests(0) == "c\\xfd");
}

TEST_CASE("a result that would end the stream goes without its tests, or not at all") {
  v1::AttemptResult result;
  result.set_ending(v1::ENDING_REJECTED);
  for (int i = 0; i < 1'000; ++i) {
    auto& test = *result.add_tests();
    test.set_name(std::string(508, '\xff'));  // four times as long where it is valid
    test.set_message(std::string(1'024, '\xff'));
  }
  CHECK(make_sendable(result));
  CHECK(result.tests_size() == 0);
  CHECK(result.ending() == v1::ENDING_REJECTED);
  result.add_protected_tests(std::string(4 << 20, 'x'));
  CHECK_FALSE(make_sendable(result));
}
