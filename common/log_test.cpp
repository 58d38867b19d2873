#include "common/log.hpp"

#include <doctest/doctest.h>

using germline::printable;

TEST_CASE("text of a sandbox cannot steer the reader's terminal") {
  CHECK(printable("plain\ttext ü") == "plain\ttext ü");
  CHECK(printable("\x1b[2J") == "\\x1b[2J");
  CHECK(printable("a\nb") == "a\\x0ab");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\xc2\\x9b31m");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
}
