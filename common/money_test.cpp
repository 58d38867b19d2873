#include "common/money.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

namespace germline {

TEST_CASE("amounts in dollars are read exactly") {
  CHECK(*parse_usd("$5") == 5'000'000'000);
  CHECK(*parse_usd("0.50") == 500'000'000);
  CHECK(*parse_usd("0.1") == 100'000'000);
  CHECK(*parse_usd("$0.000000001") == 1);
  CHECK(*parse_usd("9223372035.999999999") == 9'223'372'035'999'999'999);
}

TEST_CASE("what is no amount is refused and says what would be right") {
  for (const char* text : {"", "$", ".5", "5.", "-1", "1e3", "5 ", "$$5", "1.0000000001", "five",
                           "9223372037", "99999999999", "1.2.3", "0x5"}) {
    CAPTURE(text);
    const auto amount = parse_usd(text);
    REQUIRE(!amount);
    CHECK(amount.error().code() == error_code::invalid_argument);
    CHECK(amount.error().message().find("0.50") != std::string::npos);
  }
}

TEST_CASE("amounts are written exactly and can be read back") {
  CHECK(format_usd(0) == "$0.00");
  CHECK(format_usd(5'000'000'000) == "$5.00");
  CHECK(format_usd(1) == "$0.000000001");
  CHECK(format_usd(1'230'000'000) == "$1.23");
  CHECK(format_usd(-1'500'000'000) == "-$1.50");
  CHECK(format_usd(std::numeric_limits<std::int64_t>::min()) == "-$9223372036.854775808");
  for (const std::int64_t amount : {1LL, 999'999'999LL, 1'000'000'000LL, 123'456'789'012LL}) {
    CHECK(*parse_usd(format_usd(amount)) == amount);
  }
}

}  // namespace germline
