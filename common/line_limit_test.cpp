#include "common/line_limit.hpp"

#include <doctest/doctest.h>

TEST_CASE("of lines that strangers cause one a second is written, with how many were left out") {
  germline::line_limit limit;
  CHECK(limit.take(0) == "");
  for (int i = 0; i < 12'000; ++i) CHECK_FALSE(limit.take(i / 13));
  CHECK(limit.take(1'000) == " (and 12000 more)");
  CHECK_FALSE(limit.take(1'999));
  CHECK(limit.take(60'000) == " (and 1 more)");
  CHECK(limit.take(61'000) == "");
}
