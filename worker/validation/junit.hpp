// junit: reads JUnit XML from a hostile sandbox, in the dialects of doctest, ctest, pytest and
// Maven. A document type declaration is refused, so there are no entities; size, depth and the
// number of tests are bounded. Pure; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

enum class test_status { passed, failed, error, skipped };

std::string_view to_string(test_status status) noexcept;

struct test_case {
  // "suite.name"; the class name where there is one, else the suite's, else none. Valid UTF-8: a
  // byte that is not is written as \xNN, so that a recorded name compares with one just read.
  std::string name;
  test_status status = test_status::passed;
  std::string message;  // bounded to 2 KiB
};

struct junit_limits {
  std::size_t bytes = 4 << 20;
  std::size_t depth = 32;
  std::size_t tests = 100'000;
};

struct test_report {
  std::vector<test_case> tests;  // a name that occurs twice is one test with the worse status
};

/// invalid_argument when the report is unreadable: not XML, not JUnit, or beyond a bound.
result<test_report> parse_junit(std::string_view xml, const junit_limits& limits = {});

}  // namespace germline::worker
