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
  const model_price price{{1, 2, 3, 4, 5}};
  CHECK(cost_nanousd(price, {}) == 0);
  CHECK(cost_nanousd(price, {1, 1, 2, 1, 1}) == 1);
  CHECK(cost_nanousd(price, {500'000, 250'000, 0, 0, 0}) == 1);
  CHECK(cost_nanousd(price, {500'001, 250'000, 0, 0, 0}) == 2);
  CHECK(cost_nanousd({{3'000'000'000, 0, 0, 0, 0}}, {1000, 0, 0, 0, 0}) == 3'000'000);
}

TEST_CASE("a bound takes the dearest way in") {
  const model_price price{{3'000'000, 15'000'000, 3'750'000, 6'000'000, 300'000}};
  CHECK(bound_nanousd(price, 10, 10) == 10 * 6 + 10 * 15);
}

TEST_CASE("a prompt beyond the model's threshold costs its rates for long ones, on every token") {
  const model_price price{{1'000'000, 2'000'000, 3'000'000, 4'000'000, 1'000'000},
                          100,
                          {10'000'000, 20'000'000, 30'000'000, 40'000'000, 10'000'000}};
  CHECK(cost_nanousd(price, {100, 1, 0, 0, 0}) == 100 + 2);
  CHECK(cost_nanousd(price, {101, 1, 0, 0, 0}) == 1010 + 20);
  CHECK(cost_nanousd(price, {1, 1, 40, 0, 60}) == 10 + 20 + 40 * 30 + 600);  // all of the prompt
  CHECK(bound_nanousd(price, 100, 1) == 400 + 2);
  CHECK(bound_nanousd(price, 101, 1) == 4040 + 20);
}

TEST_CASE("the shipped price file is read, its rates for long prompts too") {
  const auto table = price_table::load(GERMLINE_PRICES);
  REQUIRE_MESSAGE(table.has_value(), (table ? "" : table.error().message()));
  const auto haiku = table->find("claude-haiku-5-5");
  REQUIRE(haiku);
  CHECK(haiku->long_prompt_tokens == 100'000);
  CHECK(haiku->long_prompt_rates.output == 2'500'000'000);
  // A newer model's name begins with an older one's.
  CHECK(table->find("claude-opus-5-5")->rates.input == 4'000'000'000);
  CHECK(table->find("claude-opus-5")->rates.input == 5'000'000'000);
  CHECK(table->find("claude-opus-5-20260724")->rates.input == 5'000'000'000);
  CHECK_FALSE(table->find("claude-opus-6"));
  const auto gpt = table->find("gpt-5-2025-08-07");
  REQUIRE(gpt);
  CHECK(gpt->rates.cache_read * 10 == gpt->rates.input);
  CHECK(gpt->max_output_tokens == 128'000);
  CHECK(table->find("gpt-4.1-mini")->max_output_tokens == 32'768);
  CHECK(table->find("gpt-5.4")->long_prompt_rates.output == 22'500'000'000);
  CHECK_FALSE(table->find("gpt-5-search-api"));  // the provider would search by itself
  CHECK_FALSE(table->find("gpt-4o-search-preview"));
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
  CHECK_FALSE(price_table::parse(file_with("m", "1, \"max_output_tokens\": 0")));
  const auto tier = price_table::parse(file_with("m", "1, \"long_prompt\": {\"input\": 1}"));
  REQUIRE_FALSE(tier);
  CHECK(tier.error().message().find("above_tokens") != std::string::npos);
}
