#include "common/result.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace germline;

namespace {

result<int> half(int value) {
  if (value % 2 != 0) return error(error_code::invalid_argument, "odd");
  return value / 2;
}

result<int> quarter(int value) {
  GERMLINE_TRY_ASSIGN(const auto once, half(value));
  GERMLINE_TRY_ASSIGN(const auto twice, half(once));
  return twice;
}

}  // namespace

TEST_CASE("an error passes through with its code, and contexts are put before it") {
  CHECK(*quarter(8) == 2);
  const auto failed = quarter(6);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code() == error_code::invalid_argument);
  CHECK(failed.error().within("dividing").message() == "dividing: odd");
}

TEST_CASE("errno maps to a code that says what to do") {
  CHECK(errno_error("write", ENOSPC).code() == error_code::resource_exhausted);
  CHECK(errno_error("open", ENOENT).message() == "open: No such file or directory");
}
