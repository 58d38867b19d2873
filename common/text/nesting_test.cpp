#include "common/text/nesting.hpp"

#include <doctest/doctest.h>

using namespace germline;

TEST_CASE("brackets within each other are counted, those in strings are not") {
  CHECK(json_nesting("") == 0);
  CHECK(json_nesting("7") == 0);
  CHECK(json_nesting("{}") == 1);
  CHECK(json_nesting(R"({"a":[1,{"b":2}],"c":[[[]]]})") == 4);
  CHECK(json_nesting(R"({"a":"[[[[\"[["})") == 1);
  CHECK(json_nesting("]]]][[") == 2);
  CHECK(json_nesting("\"\\") == 0);
}
