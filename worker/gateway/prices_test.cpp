#include "worker/gateway/prices.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <optional>

using namespace germline::worker;

namespace {

std::string file_with(const std::string& model, const std::string& input) {
  return R"({"schema": 1, "models": [{"model": ")" + model + R"(", "input": )" + input +
         R"(, "output": 15000000000, "cache_write": 3750000000, "cache_write_1h": 6000000000,
         "cache_read": 300000000}]})";
}

constexpr std::int64_t some_day_ms = 1'790'000'000'000;

/// None: it has no price then.
std::optional<model_price> price_of(const price_table& table, const char* model,
                                    std::int64_t utc_ms = some_day_ms) {
  const auto prices = table.find(model);
  const auto* price = prices.at(utc_ms);
  return price ? std::optional(*price) : std::nullopt;
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
  const auto haiku = price_of(*table, "claude-haiku-5-5");
  REQUIRE(haiku);
  CHECK(haiku->long_prompt_tokens == 100'000);
  CHECK(haiku->long_prompt_rates.output == 2'500'000'000);
  // A newer model's name begins with an older one's.
  CHECK(price_of(*table, "claude-opus-5-5")->rates.input == 4'000'000'000);
  CHECK(price_of(*table, "claude-opus-5")->rates.input == 5'000'000'000);
  CHECK(price_of(*table, "claude-opus-5-20260724")->rates.input == 5'000'000'000);
  CHECK_FALSE(price_of(*table, "claude-opus-6"));
  const auto gpt = price_of(*table, "gpt-5-2025-08-07");
  REQUIRE(gpt);
  CHECK(gpt->rates.cache_read * 10 == gpt->rates.input);
  CHECK(gpt->max_output_tokens == 128'000);
  CHECK(price_of(*table, "gpt-4.1-mini")->max_output_tokens == 32'768);
  CHECK(price_of(*table, "gpt-5.4")->long_prompt_rates.output == 22'500'000'000);
  CHECK_FALSE(price_of(*table, "gpt-5-search-api"));  // the provider would search by itself
  CHECK_FALSE(price_of(*table, "gpt-4o-search-preview"));
}

TEST_CASE("patterns match by name or by beginning") {
  const auto table = price_table::parse(file_with("some-model-*", "3000000000"));
  REQUIRE(table);
  CHECK(price_of(*table, "some-model-4"));
  CHECK_FALSE(price_of(*table, "some-model"));
  CHECK_FALSE(price_of(*table, "another"));
  const auto exact = price_table::parse(file_with("some-model", "3000000000"));
  REQUIRE(exact);
  CHECK(price_of(*exact, "some-model"));
  CHECK_FALSE(price_of(*exact, "some-model-4"));
}

TEST_CASE("a model's own row is before any pattern, and a longer pattern before a shorter one") {
  const auto row = [](const std::string& model, const std::string& input) {
    const auto file = file_with(model, input);
    const auto begin = file.find('[') + 1;
    return file.substr(begin, file.rfind(']') - begin);
  };
  const std::string rows[] = {row("m*", "1"), row("m-1*", "2"), row("m-1", "3"), row("m-12*", "4")};
  std::size_t order[] = {0, 1, 2, 3};
  do {
    std::string all;
    for (const auto at : order) all += (all.empty() ? "" : ",") + rows[at];
    const auto table = price_table::parse(R"({"schema": 1, "models": [)" + all + "]}");
    REQUIRE(table);
    CHECK(price_of(*table, "m-1")->rates.input == 3);
    CHECK(price_of(*table, "m-1-large")->rates.input == 2);
    CHECK(price_of(*table, "m-12")->rates.input == 4);
    CHECK(price_of(*table, "m-2")->rates.input == 1);
    CHECK_FALSE(price_of(*table, "n"));
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST_CASE("what is there twice in a price file is named") {
  const auto why = [](const std::string& text) {
    const auto table = price_table::parse(text);
    return table ? std::string() : table.error().message();
  };
  const auto file = file_with("m", "1");
  const auto begin = file.find('[') + 1;
  const auto row = file.substr(begin, file.rfind(']') - begin);
  CHECK(why(R"({"schema": 1, "models": [)" + row + "," + row + "]}") ==
        "model 2 (m) is there already as model 1; leave one row of the two, or give one the day "
        "that it begins, \"from\"");
  CHECK(why(file_with("m", R"(1, "input": 2)")) ==
        "model 1 (m): the key 'input' is there twice; leave one of them");
  CHECK(why(R"({"schema": 1, "models": [)" + row + R"(,{"model": "n", "model": "o"}]})") ==
        "model 2 (n): the key 'model' is there twice; leave one of them");
  CHECK(why(file_with("m", R"(1, "long_prompt": {"above_tokens": 5, "above_tokens": 6})")) ==
        "model 1 (m): long_prompt: the key 'above_tokens' is there twice; leave one of them");
  CHECK(why(R"({"models": [], "schema": 1, "models": []})") ==
        "the key 'models' is there twice; leave one of them");
}

TEST_CASE("a price file that is none says what it is") {
  const auto folder = price_table::load("/tmp");
  REQUIRE_FALSE(folder);
  CHECK(folder.error().message().find("/tmp is a folder, and no file") != std::string::npos);
  const auto missing = price_table::load("no-such-prices.json");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == germline::error_code::not_found);
  CHECK(missing.error().message().find("a relative path begins at the folder") !=
        std::string::npos);
  const auto broken = price_table::parse("{\n\"schema\": 1,,}");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message().find("no JSON: parse error at line 2") != std::string::npos);
  const auto empty = price_table::parse(R"({"schema": 1, "models": []})");
  REQUIRE_FALSE(empty);
  CHECK(empty.error().message().find("is an empty list") != std::string::npos);
  const auto more = price_table::parse(R"({"schema": 1, "models": [], "model": []})");
  REQUIRE_FALSE(more);
  CHECK(more.error().message().find("unknown key 'model'") != std::string::npos);
}

TEST_CASE("a bad price file is refused with the place and the reason") {
  CHECK_FALSE(price_table::parse("{"));
  CHECK_FALSE(price_table::parse(file_with("*", "1")));
  CHECK_FALSE(price_table::parse(file_with("a*b", "1")));
  CHECK_FALSE(price_table::parse(file_with("a ", "1")));
  CHECK_FALSE(price_table::parse(file_with("a\\n", "1")));
  const auto fraction = price_table::parse(file_with("m", "0.000003"));
  REQUIRE_FALSE(fraction);
  CHECK(fraction.error().message().find("'input' must be nano-dollars") != std::string::npos);
  CHECK(fraction.error().message().ends_with(", and is 3e-06"));
  CHECK_FALSE(price_table::parse(file_with("m", "-1")));
  CHECK_FALSE(price_table::parse(file_with("m", "1, \"ouput\": 1")));
  CHECK_FALSE(price_table::parse(file_with("m", "1, \"max_output_tokens\": 0")));
  const auto tier = price_table::parse(file_with("m", "1, \"long_prompt\": {\"input\": 1}"));
  REQUIRE_FALSE(tier);
  CHECK(tier.error().message().find("above_tokens") != std::string::npos);
}

TEST_CASE("a price is in effect from its day on, until the next one of its model") {
  const auto row = [](const char* model, const char* from, const char* input) {
    auto file = file_with(model, input);
    const auto begin = file.find('[') + 1;
    auto text = file.substr(begin, file.rfind(']') - begin);
    if (*from != '\0') text.insert(1, std::string("\"from\": \"") + from + "\", ");
    return text;
  };
  const auto read = [&](std::initializer_list<std::string> rows) {
    std::string all;
    for (const auto& one : rows) all += (all.empty() ? "" : ",") + one;
    return price_table::parse(R"({"schema": 1, "models": [)" + all + "]}");
  };
  constexpr std::int64_t december_ms = 1'796'083'200'000;  // 2026-12-01 in UTC
  const auto table =
      read({row("m-1", "2026-12-01", "3"), row("m-1", "", "2"), row("m-1", "2027-02-28", "4"),
            row("m-*", "", "1"), row("m-2", "2026-12-01", "5"), row("n", "2026-12-01", "6")});
  REQUIRE_MESSAGE(table.has_value(), (table ? "" : table.error().message()));
  CHECK(price_of(*table, "m-1", 0)->rates.input == 2);
  CHECK(price_of(*table, "m-1", december_ms - 1)->rates.input == 2);
  CHECK(price_of(*table, "m-1", december_ms)->rates.input == 3);
  CHECK(price_of(*table, "m-1", december_ms + 200LL * 86'400'000)->rates.input == 4);
  CHECK(price_of(*table, "m-2", december_ms - 1)->rates.input == 1);  // by the pattern until then
  CHECK(price_of(*table, "m-2", december_ms)->rates.input == 5);
  CHECK_FALSE(price_of(*table, "n", december_ms - 1));
  CHECK(table->find("n").begins_utc_ms() == december_ms);
  CHECK(table->find("o").empty());
  for (const char* wrong : {"2026-02-30", "2026-13-01", "2026-1-1", "1.12.2026", "tomorrow", "0"}) {
    const auto bad = read({row("m", wrong, "1")});
    REQUIRE_FALSE(bad);
    CHECK(bad.error().message().find("'from' must be the first day") != std::string::npos);
  }
  CHECK_FALSE(read({row("m", "2026-12-01", "1"), row("m", "2026-12-01", "2")}));
}
