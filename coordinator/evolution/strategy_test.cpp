#include "coordinator/evolution/strategy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

using namespace germline;
using namespace germline::evolution;

namespace {

struct generation {
  double score = 0;
  int children = 0;
};

/// Candidates with such scores, and with children that are not measured yet.
population population_of(const std::string& text, const std::vector<generation>& wanted) {
  const auto by = parse_strategy(text);
  REQUIRE(by);
  population all(*by, false);
  auto& made = all.all();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto id = "gen_" + std::to_string(i);
    made.add({id, "", 1});
    made.measure(id, {wanted[i].score});
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    for (int k = 0; k < wanted[i].children; ++k) {
      const auto parent = "gen_" + std::to_string(i);
      made.add({parent + "_" + std::to_string(k), parent, 1});
    }
  }
  return all;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// Draws often, and compares with what the formula says, within four standard errors. So must the
/// probability that each choice says of itself.
void check_against(const std::string& text, const std::vector<generation>& wanted,
                   std::vector<double> weights) {
  const auto of = population_of(text, wanted);
  double sum = 0;
  for (const double each : weights) sum += each;
  for (double& each : weights) each /= sum;
  seeded_random chance(7);
  constexpr int draws = 40'000;
  std::vector<int> hits(weights.size());
  for (int i = 0; i < draws; ++i) {
    const auto chosen = of.choose(1, chance);
    REQUIRE(chosen.slot < hits.size());
    ++hits[chosen.slot];
    REQUIRE(chosen.probability);
    REQUIRE(*chosen.probability == doctest::Approx(weights[chosen.slot]).epsilon(1e-6));
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double off = 4 * std::sqrt(weights[i] * (1 - weights[i]) / draws);
    INFO(text, ", ", i);
    CHECK(std::abs(double(hits[i]) / draws - weights[i]) <= off);
  }
}

std::string why_not(const std::string& text) {
  const auto made = parse_strategy(text);
  REQUIRE_FALSE(made);
  CHECK(made.error().code() == error_code::invalid_argument);
  return made.error().message();
}

}  // namespace

TEST_CASE("a strategy is named, with its options; it says all of them") {
  CHECK(parse_strategy("")->text == "chain");
  CHECK(parse_strategy("chain")->make == nullptr);
  CHECK(parse_strategy("best")->text == "best");
  CHECK(parse_strategy("archive-sampling")->text == "archive-sampling,form=median");
  CHECK(parse_strategy("archive-sampling,form=absolute")->text == "archive-sampling,form=absolute");
  CHECK(parse_strategy("islands,migration=0.25")->text ==
        "islands,bins=10,islands=4,migration=0.25");
  CHECK(parse_strategy("clade-thompson")->text == "clade-thompson,expand=0.6,pass=0.5");
  CHECK(parse_strategy("clade-thompson")->measures);
  CHECK_FALSE(parse_strategy("islands")->measures);
}

TEST_CASE("what is no strategy is told, with what there is") {
  CHECK(why_not("bst") ==
        "there is no strategy 'bst': there are chain, archive-sampling, best, clade-thompson,"
        " islands, pareto, random and seed");
  CHECK(why_not("best,form=median") == "strategy best has no option 'form'; it has none");
  CHECK(why_not("chain,x=1") == "strategy chain has no options");
  CHECK(why_not("archive-sampling,fom=median") ==
        "strategy archive-sampling has no option 'fom'; it has form");
  CHECK(why_not("archive-sampling,form=mean") ==
        "strategy archive-sampling: form is 'mean'; it can be median or absolute");
  CHECK(why_not("islands,niches=3") ==
        "strategy islands has no option 'niches'; it has bins, islands, migration");
  CHECK(why_not("islands,bins=2.5") ==
        "strategy islands: bins is '2.5'; it can be a whole number from 1 to 1000");
  for (const std::string text : {"0", "65", "x", "1x", "-1", "nan"}) {
    CHECK(why_not("islands,islands=" + text) ==
          "strategy islands: islands is '" + text + "'; it can be a whole number from 1 to 64");
  }
  CHECK(why_not("clade-thompson,expand=0") ==
        "strategy clade-thompson: expand is '0'; it can be a number from 0.25 to 1");
  for (const std::string text : {"archive-sampling,", "archive-sampling,form",
                                 "archive-sampling,form=", "archive-sampling,=median"}) {
    CHECK(why_not(text).find("an option is written KEY=VALUE") != std::string::npos);
  }
  CHECK(why_not("archive-sampling,form=median,form=median") ==
        "strategy archive-sampling has 'form' twice");
}

TEST_CASE("best, random and seed choose what they say") {
  const std::vector<generation> of{{0.1, 0}, {0.9, 3}, {0.5, 0}};
  check_against("best", of, {0, 1, 0});
  check_against("random", of, {1, 1, 1});
  check_against("seed", of, {1, 0, 0});
}

TEST_CASE("archive-sampling, absolute: sigmoid(10 (mean - 0.5)) / (1 + children)") {
  const std::vector<generation> wanted{{0.0, 0}, {0.3, 1}, {0.5, 0}, {0.6, 2}, {0.95, 9}};
  std::vector<double> weights;
  for (const auto& each : wanted) {
    weights.push_back(sigmoid(10 * (each.score - 0.5)) / (1 + each.children));
  }
  check_against("archive-sampling,form=absolute", wanted, weights);
}

TEST_CASE("archive-sampling, median: sigmoid(10 (mean - median) / MAD) / (1 + children)") {
  // The median is 12, the distances from it 4, 2, 0, 1, 90: MAD = 2.
  const std::vector<generation> wanted{{8, 0}, {10, 1}, {12, 0}, {13, 4}, {102, 30}};
  std::vector<double> weights;
  for (const auto& each : wanted) {
    weights.push_back(sigmoid(10 * (each.score - 12) / 2) / (1 + each.children));
  }
  check_against("archive-sampling", wanted, weights);
}

TEST_CASE("archive-sampling, median: where most scores are the same, their side counts") {
  const std::vector<generation> wanted{{1, 0}, {3, 1}, {3, 0}, {3, 0}, {9, 1}};
  check_against("archive-sampling", wanted, {0, 0.25, 0.5, 0.5, 0.5});
  check_against("archive-sampling", {{4, 0}}, {1});
}

TEST_CASE("the same chance makes the same choices") {
  const auto of = population_of("archive-sampling", {{0.1, 0}, {0.9, 3}, {0.5, 0}, {0.4, 0}});
  std::vector<std::size_t> first, second;
  for (auto* into : {&first, &second}) {
    seeded_random chance(99);
    for (int i = 0; i < 200; ++i) into->push_back(of.choose(1, chance).slot);
  }
  CHECK(first == second);
}
