#include "worker/gateway/prices.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

std::string file_with(const std::string& model, const std::string& input) {
  return R"({"schema": 1, "models": [{"model": ")" + model + R"(", "input": )" + input +
         R"(, "output": 15000000000, "cache_write": 3750000000, "cache_write_1h": 6000000000,
         "cache_read": 300000000}]})";
}

}  // namespace

TEST_CASE("a cost is rounded up once") {
  const model_price price{1, 2, 3, 4, 5};
  CHECK(cost_nanousd(price, {}) == 0);
  CHECK(cost_nanousd(price, {1, 1, 2, 1, 1}) == 1);
  CHECK(cost_nanousd(price, {500'000, 250'000, 0, 0, 0}) == 1);
  CHECK(cost_nanousd(price, {500'001, 250'000, 0, 0, 0}) == 2);
  CHECK(cost_nanousd({3'000'000'000, 0, 0, 0, 0}, {1000, 0, 0, 0, 0}) == 3'000'000);
}

TEST_CASE("a bound takes the dearest way in") {
  const model_price price{3'000'000, 15'000'000, 3'750'000, 6'000'000, 300'000};
  CHECK(bound_nanousd(price, 10, 10) == 10 * 6 + 10 * 15);
}

TEST_CASE("patterns match by name or by beginning") {
  const auto table = price_table::parse(file_with("some-model-*", "3000000000"));
  REQUIRE(table);
  CHECK(table->find("some-model-4"));
  CHECK_FALSE(table->find("some-model"));
  CHECK_FALSE(table->find("another"));
  const auto exact = price_table::parse(file_with("some-model", "3000000000"));
  REQUIRE(exact);
  CHECK(exact->find("some-model"));
  CHECK_FALSE(exact->find("some-model-4"));
}

TEST_CASE("a bad price file is refused with the place and the reason") {
  CHECK_FALSE(price_table::parse("{"));
  CHECK_FALSE(price_table::parse(file_with("*", "1")));
  CHECK_FALSE(price_table::parse(file_with("a*b", "1")));
  const auto fraction = price_table::parse(file_with("m", "0.000003"));
  REQUIRE_FALSE(fraction);
  CHECK(fraction.error().message().find("'input' must be nano-dollars") != std::string::npos);
  CHECK_FALSE(price_table::parse(file_with("m", "-1")));
  CHECK_FALSE(price_table::parse(file_with("m", "1, \"ouput\": 1")));
}
