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
archive archive_of(const std::vector<generation>& wanted) {
  archive made(false);
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
  return made;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// Draws often, and compares with what the formula says, within four standard errors. So must the
/// probability that each choice says of itself.
void check_against(const std::string& text, const archive& of, std::vector<double> weights) {
  const auto made = parse_strategy(text);
  REQUIRE(made);
  double sum = 0;
  for (const double each : weights) sum += each;
  for (double& each : weights) each /= sum;
  seeded_random chance(7);
  constexpr int draws = 40'000;
  std::vector<int> hits(weights.size());
  for (int i = 0; i < draws; ++i) {
    const auto chosen = made->choose(of, chance);
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
  CHECK(parse_strategy("chain")->choose == nullptr);
  CHECK(parse_strategy("best")->text == "best");
  CHECK(parse_strategy("archive-sampling")->text == "archive-sampling,form=median");
  CHECK(parse_strategy("archive-sampling,form=absolute")->text == "archive-sampling,form=absolute");
}

TEST_CASE("what is no strategy is told, with what there is") {
  CHECK(why_not("bst") ==
        "there is no strategy 'bst': there are chain, archive-sampling, best,"
        " random and seed");
  CHECK(why_not("best,form=median") == "strategy best has no option 'form'; it has none");
  CHECK(why_not("chain,x=1") == "strategy chain has no options");
  CHECK(why_not("archive-sampling,fom=median") ==
        "strategy archive-sampling has no option 'fom'; it has form");
  CHECK(why_not("archive-sampling,form=mean") ==
        "strategy archive-sampling: form is 'mean'; it can be median or absolute");
  for (const std::string text : {"archive-sampling,", "archive-sampling,form",
                                 "archive-sampling,form=", "archive-sampling,=median"}) {
    CHECK(why_not(text).find("an option is written KEY=VALUE") != std::string::npos);
  }
  CHECK(why_not("archive-sampling,form=median,form=median") ==
        "strategy archive-sampling has 'form' twice");
}

TEST_CASE("best, random and seed choose what they say") {
  const auto of = archive_of({{0.1, 0}, {0.9, 3}, {0.5, 0}});
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
  check_against("archive-sampling,form=absolute", archive_of(wanted), weights);
}

TEST_CASE("archive-sampling, median: sigmoid(10 (mean - median) / MAD) / (1 + children)") {
  // The median is 12, the distances from it 4, 2, 0, 1, 90: MAD = 2.
  const std::vector<generation> wanted{{8, 0}, {10, 1}, {12, 0}, {13, 4}, {102, 30}};
  std::vector<double> weights;
  for (const auto& each : wanted) {
    weights.push_back(sigmoid(10 * (each.score - 12) / 2) / (1 + each.children));
  }
  check_against("archive-sampling", archive_of(wanted), weights);
}

TEST_CASE("archive-sampling, median: where most scores are the same, their side counts") {
  const std::vector<generation> wanted{{1, 0}, {3, 1}, {3, 0}, {3, 0}, {9, 1}};
  check_against("archive-sampling", archive_of(wanted), {0, 0.25, 0.5, 0.5, 0.5});
  check_against("archive-sampling", archive_of({{4, 0}}), {1});
}

TEST_CASE("the same chance makes the same choices") {
  const auto of = archive_of({{0.1, 0}, {0.9, 3}, {0.5, 0}, {0.4, 0}});
  const auto made = parse_strategy("archive-sampling");
  std::vector<std::size_t> first, second;
  for (auto* into : {&first, &second}) {
    seeded_random chance(99);
    for (int i = 0; i < 200; ++i) into->push_back(made->choose(of, chance).slot);
  }
  CHECK(first == second);
}
