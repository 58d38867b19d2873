#include "worker/validation/score.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

namespace {

std::string why_not(const std::string& report) {
  const auto parsed = parse_score(report);
  return parsed ? "read" : parsed.error().message();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string with_cases(int count) {
  std::string report = R"({"score": 1, "cases": {)";
  for (int i = 0; i < count; ++i) {
    report += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\": 0";
  }
  return report + "}}";
}

}  // namespace

TEST_CASE("a score is read with all that goes with it") {
  const auto parsed = parse_score(
      R"({"score": -1.5e3, "metrics": {"b": 2, "a": 1}, "descriptors": {"size": 10}, "cases": {"x": 0.5}})"
      "\n");
  REQUIRE(parsed);
  CHECK(parsed->score == -1500);
  CHECK(parsed->metrics == named_numbers{{"a", 1}, {"b", 2}});
  CHECK(parsed->descriptors == named_numbers{{"size", 10}});
  CHECK(parsed->cases == named_numbers{{"x", 0.5}});
  const auto alone = parse_score(R"({"score": 7})");
  REQUIRE(alone);
  CHECK(alone->score == 7);
  CHECK(alone->metrics.empty());
  CHECK(parse_score(with_cases(1'000)));
}

TEST_CASE("what is no score is refused with what is wrong") {
  CHECK(has(why_not(""), "is empty"));
  CHECK(has(why_not("1.5"), "is no object"));
  CHECK(has(why_not("{}"), "has no 'score'"));
  CHECK(has(why_not(R"({"score": 1} {"score": 2})"), "is no JSON"));
  CHECK(has(why_not(R"({"score": 1, "score": 2})"), "a name twice"));
  CHECK(has(why_not(R"({"score": 1, "cases": {"a": 1, "a": 2}})"), "a name twice"));
  CHECK(has(why_not(R"({"score": NaN})"), "is no JSON"));
  CHECK(has(why_not(R"({"score": 1e999})"), "is no JSON"));
  CHECK(has(why_not(R"({"score": "1"})"), "'score' that is no number of at most 1e100"));
  CHECK(has(why_not(R"({"score": -1.1e100})"), "'score' that is no number of at most 1e100"));
  CHECK(has(why_not(R"({"score": true})"), "'score' that is no number of at most 1e100"));
  CHECK(has(why_not(R"({"score": 1, "sorce": 1})"), "has 'sorce'"));
  CHECK(has(why_not(R"({"score": 1, "metrics": 1})"), "'metrics' that is no object"));
  CHECK(has(why_not(R"({"score": 1, "metrics": {"a": null}})"), "'a' in 'metrics'"));
  CHECK(has(why_not(R"({"score": 1, "metrics": {"": 1}})"), "1 to 128 bytes"));
  CHECK(has(why_not(R"({"score": 1, "cases": [1]})"), "an array"));
  CHECK(has(why_not(with_cases(1'001)), "more than 1000 'cases'"));
  CHECK(has(why_not("{\"score\": 1, \"metrics\": {\"\xff\": 1}}"), "is no JSON"));
  CHECK(has(why_not(std::string(score_bytes_max + 1, ' ')), "more than 1 MiB"));
  CHECK(has(why_not(std::string(score_bytes_max, '[')), "is no JSON"));
}
