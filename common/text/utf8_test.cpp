#include "common/text/utf8.hpp"

#include <doctest/doctest.h>

using namespace germline;

TEST_CASE("valid text stays, and what is no UTF-8 is written in digits") {
  CHECK(valid_utf8("a\n\xc3\xa9\xf0\x9f\x98\x80") == "a\n\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(valid_utf8("bad \xff\xfe") == R"(bad \xff\xfe)");
  CHECK(valid_utf8("\xc0\xaf") == R"(\xc0\xaf)");          // overlong
  CHECK(valid_utf8("\xe0\x80\xaf") == R"(\xe0\x80\xaf)");  // overlong
  CHECK(valid_utf8("\xed\xa0\x80") == R"(\xed\xa0\x80)");  // a surrogate
  CHECK(valid_utf8("\xf4\x90\x80\x80").size() == 16);      // beyond U+10FFFF
  CHECK(valid_utf8("\xc3") == R"(\xc3)");                  // cut off
  CHECK(valid_utf8("").empty());
}

TEST_CASE("a cut leaves whole characters") {
  CHECK(valid_utf8("a\xc3\xa9z", 2) == "a");
  CHECK(valid_utf8("a\xc3\xa9z", 3) == "a\xc3\xa9");
  CHECK(valid_utf8("a\xff", 4) == "a");
}
