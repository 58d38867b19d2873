#include "failure_summary.hpp"

#include <doctest/doctest.h>

#include "contains.hpp"

using namespace agent;

TEST_CASE("failure summary names the failed tests of CTest's output") {
  CHECK(failure_summary("96% tests passed, 2 tests failed out of 49\n\n"
                        "The following tests FAILED:\n"
                        "\t  4 - memory (old) is kept (Failed)\n"
                        "\t 34 - shell kills a command (Timeout)\n"
                        "Errors while running CTest\n") ==
        "memory (old) is kept; shell kills a command");
}

TEST_CASE("failure summary names the first few of many") {
  std::string output = "The following tests FAILED:\n";
  for (int i = 1; i <= 30; ++i) output += "\t " + std::to_string(i) + " - case (Failed)\n";
  const auto text = failure_summary(output);
  CHECK(text == "case; case; case; case; case; and 25 more");
}

TEST_CASE("failure summary takes a compiler's first error") {
  CHECK(failure_summary("[1/2] Building\na.cpp:1:2: error: no such thing\nb.cpp:1:2: error: x\n") ==
        "a.cpp:1:2: error: no such thing");
}

TEST_CASE("failure summary of other output is empty") {
  CHECK(failure_summary("").empty());
  CHECK(failure_summary("[exit 1]").empty());
  CHECK(failure_summary("The following tests FAILED:").empty());
  CHECK(failure_summary("The following tests FAILED:\n\t 3\n 4 - ").empty());
}
