#include "bounded_output.hpp"

#include <doctest/doctest.h>

using namespace agent;

TEST_CASE("bounded output keeps all that fits") {
  bounded_output out(4, 4);
  out.append("abcd");
  out.append("efgh");
  CHECK(out.text() == "abcdefgh");
}

TEST_CASE("bounded output keeps head and tail and says how much was cut") {
  bounded_output out(4, 4);
  for (int i = 0; i < 1000; ++i) out.append("0123456789");
  CHECK(out.text() == "0123\n[... 9992 bytes cut ...]\n6789");
  CHECK(out.total_bytes() == 10000);
}
