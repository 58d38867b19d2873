#include "common/amount.hpp"

#include <doctest/doctest.h>

#include <cstdint>

namespace germline {

TEST_CASE("what may be spent is an amount, one of each day, or none") {
  CHECK(parse_spending_limit(unit::money, "$100")->most == 100'000'000'000);
  CHECK_FALSE(parse_spending_limit(unit::money, "$100")->per_day);
  CHECK(parse_spending_limit(unit::money, "20.5/day")->most == 20'500'000'000);
  CHECK(parse_spending_limit(unit::money, "20.5/day")->per_day);
  CHECK_FALSE(parse_spending_limit(unit::money, "$0")->is_none);
  CHECK(parse_spending_limit(unit::money, "none")->is_none);
  for (const char* text :
       {"", "/day", "$1/week", "$1 /day", "none/day", "-1", "$1/day/day", "00", "0200/day"}) {
    CAPTURE(text);
    const auto limit = parse_spending_limit(unit::money, text);
    REQUIRE(!limit);
    CHECK(limit.error().message().find("$20/day") != std::string::npos);
  }
}

TEST_CASE("of tokens and requests it is a number, with a letter for its magnitude") {
  const auto read = [](const char* text) { return parse_spending_limit(unit::tokens, text); };
  CHECK(read("50M")->most == 50'000'000);
  CHECK_FALSE(read("50M")->per_day);
  CHECK(read("1.5B/day")->most == 1'500'000'000);
  CHECK(read("1.5B/day")->per_day);
  CHECK(read("0")->most == 0);
  CHECK(read("none")->is_none);
  for (const char* text : {"", "/day", "50m", "1M/week", "$5", "-1", "1.5", "1.0001k", "M", "1e3",
                           "1 M", "1MM", "1000001B", "99999999999999999999", ".5M", "5.M"}) {
    CAPTURE(text);
    const auto limit = read(text);
    REQUIRE(!limit);
    CHECK(limit.error().code() == error_code::invalid_argument);
    CHECK(limit.error().message().find("\"1B/day\"") != std::string::npos);
  }
}

TEST_CASE("what is mistaken for the other, or has a wrong letter, is told so") {
  const auto why = [](unit of, const char* text) {
    const auto limit = parse_spending_limit(of, text);
    REQUIRE(!limit);
    return limit.error().message();
  };
  const auto ends = [](const std::string& text, const char* with) {
    CHECK_MESSAGE(text.ends_with(with), text);
  };
  ends(why(unit::money, "50M"), "is told with --tokens or --requests");
  ends(why(unit::money, "50m/day"), "is told with --tokens or --requests");
  ends(why(unit::tokens, "$5"), "that is money, which is told without --tokens");
  CHECK(why(unit::tokens, "50m").find("millions have a large M") != std::string::npos);
  CHECK(why(unit::tokens, "2K").find("thousands have a small k") != std::string::npos);
  CHECK(why(unit::requests, "1.5").find("it is not whole") != std::string::npos);
  CHECK(why(unit::money, "nope").find("digits and one point only") != std::string::npos);
}

TEST_CASE("numbers are written exactly and can be read back") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(2'000) == "2k");
  CHECK(format_count(1'234'567) == "1234567");
  CHECK(format_count(1'500'000) == "1500k");
  CHECK(format_count(3'000'000'000) == "3B");
  for (const std::int64_t count : {1LL, 999LL, 50'000'000LL, 123'456'789'012LL}) {
    CHECK(*parse_count(format_count(count)) == count);
  }
  CHECK(format_amount(unit::money, 1'500'000'000) == "$1.50");
  CHECK(format_amount(unit::tokens, 50'000'000) == "50M tokens");
  CHECK(format_amount(unit::requests, 1) == "1 request");
}

}  // namespace germline
