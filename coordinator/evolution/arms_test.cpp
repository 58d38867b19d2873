#include "coordinator/evolution/arms.hpp"

#include <doctest/doctest.h>

#include <boost/math/distributions/beta.hpp>
#include <cmath>
#include <limits>

#include "coordinator/evolution/strategy.hpp"

using namespace germline;
using namespace germline::evolution;

namespace {

constexpr double dollar = 1;

/// How often each of two is chosen, of which one gains by chance, and the other by a greater one.
std::vector<int> played(arm_rule rule, double worse, double better, int times) {
  seeded_random chance{3};
  std::vector<pull> pulls;
  std::vector<int> often(2);
  for (int i = 0; i < times; ++i) {
    const auto chosen = choose_arm(rule, 2, pulls, chance).chosen;
    ++often[chosen];
    const double gain = uniform(chance) < (chosen == 1 ? better : worse) ? 1 : 0;
    pulls.push_back({chosen, gain, dollar});
  }
  return often;
}

}  // namespace

TEST_CASE(
    "by ucb1 the index is the mean and what its pulls leave open, and unknown ones come first") {
  seeded_random chance{1};
  const auto none = choose_arm(arm_rule::ucb1, 3, {}, chance);
  CHECK(none.chosen == 0);
  CHECK(std::isinf(none.arms[2].index));
  // 2, 0 and 4 by the dollar: of the two gains half are no greater than 2, and all than 4.
  const std::vector<pull> pulls = {{0, 2, dollar}, {0, 0, dollar}, {2, 2, dollar / 2}};
  const auto first = choose_arm(arm_rule::ucb1, 3, pulls, chance);
  CHECK(first.chosen == 1);
  const auto two =
      choose_arm(arm_rule::ucb1, 3, {pulls[0], pulls[1], pulls[2], {1, 0, dollar}}, chance);
  CHECK(two.arms[0].pulls == 2);
  CHECK(two.arms[0].mean == doctest::Approx(0.25));
  CHECK(two.arms[0].index == doctest::Approx(0.25 + std::sqrt(2 * std::log(4.0) / 2)));
  CHECK(two.arms[1].index == doctest::Approx(std::sqrt(2 * std::log(4.0))));
  CHECK(two.arms[2].index == doctest::Approx(1 + std::sqrt(2 * std::log(4.0))));
  CHECK(two.chosen == 2);
}

TEST_CASE("thompson draws from the posterior of each") {
  seeded_random chance{2};
  const std::vector<pull> pulls = {{0, 1, dollar}, {0, 1, dollar}, {0, 0, dollar}, {1, 0, dollar}};
  constexpr int times = 20'000;
  double sum = 0;
  double squares = 0;
  int chosen = 0;
  for (int i = 0; i < times; ++i) {
    const auto choice = choose_arm(arm_rule::thompson, 2, pulls, chance);
    sum += choice.arms[0].index;
    squares += choice.arms[0].index * choice.arms[0].index;
    chosen += choice.chosen == 0;
  }
  const boost::math::beta_distribution<double> one(3, 2);
  const double mean = sum / times;
  // Four standard errors.
  CHECK(std::abs(mean - boost::math::mean(one)) <
        4 * std::sqrt(boost::math::variance(one) / times));
  CHECK(squares / times - mean * mean == doctest::Approx(boost::math::variance(one)).epsilon(0.05));
  // P(Beta(3, 2) > Beta(1, 2)), by the sum over the density of the other.
  const boost::math::beta_distribution<double> other(1, 2);
  double greater = 0;
  constexpr int steps = 10'000;
  for (int i = 0; i < steps; ++i) {
    const double x = (i + 0.5) / steps;
    greater += boost::math::pdf(one, x) * boost::math::cdf(other, x) / steps;
  }
  CHECK(std::abs(chosen / double(times) - greater) <
        4 * std::sqrt(greater * (1 - greater) / times));
}

TEST_CASE("the better arm is found, and the other is tried now and then") {
  for (const auto rule : {arm_rule::ucb1, arm_rule::thompson}) {
    const auto often = played(rule, 0.2, 0.6, 2'000);
    CHECK(often[1] > 1'700);
    CHECK(often[0] >= 10);
    // Auer's bound on the expected pulls of the worse: 8 ln n / gap^2 + 1 + pi^2 / 3.
    CHECK(often[0] < 8 * std::log(2'000.0) / (0.4 * 0.4) + 1 + 3.29);
  }
}

TEST_CASE("what costs twice is worth half, and what costs nothing is not worth everything") {
  seeded_random chance{4};
  const auto costs = choose_arm(arm_rule::ucb1, 2, {{0, 1, dollar}, {1, 1, 2 * dollar}}, chance);
  CHECK(costs.arms[0].mean == 1);
  CHECK(costs.arms[1].mean == doctest::Approx(0.5));
  const auto free = choose_arm(arm_rule::ucb1, 2, {{0, 1, 0}, {1, 1, dollar / 1'000}}, chance);
  CHECK(free.arms[0].mean == free.arms[1].mean);
  // One great leap does not make all other gains alike.
  const auto leap =
      choose_arm(arm_rule::ucb1, 2,
                 {{0, 1e9, dollar}, {0, 1, dollar}, {1, 0.5, dollar}, {1, 0.5, dollar}}, chance);
  CHECK(leap.arms[0].mean == doctest::Approx((1 + 0.75) / 2));
  CHECK(leap.arms[1].mean == doctest::Approx(0.5));
  // What is no number is no gain.
  const double huge = std::numeric_limits<double>::max();
  const auto odd = choose_arm(arm_rule::thompson, 2,
                              {{0, huge, 0}, {0, std::nan(""), 1}, {1, 1, dollar}}, chance);
  CHECK(odd.arms[0].mean == 0);
  CHECK(odd.arms[1].mean == 1);
  const auto worse = choose_arm(arm_rule::ucb1, 1, {{0, -5, dollar}}, chance);
  CHECK(worse.arms[0].mean == 0);
  CHECK(worse.arms[0].pulls == 1);
}

TEST_CASE("an arm that is stuck is chosen where all are, and not before") {
  seeded_random chance{5};
  const std::vector<pull> pulls = {{0, 1, dollar}, {1, 0, dollar}};
  CHECK(choose_arm(arm_rule::ucb1, 3, pulls, chance).chosen == 2);
  CHECK(choose_arm(arm_rule::ucb1, 3, pulls, chance, {false, false, true}).chosen == 0);
  CHECK(choose_arm(arm_rule::ucb1, 3, pulls, chance, {true, false, true}).chosen == 1);
  CHECK(choose_arm(arm_rule::ucb1, 3, pulls, chance, {true, true, true}).chosen == 2);
}

TEST_CASE("a rule that is none is refused with those that are") {
  CHECK(*parse_arm_rule("") == arm_rule::ucb1);
  CHECK(*parse_arm_rule("thompson") == arm_rule::thompson);
  CHECK(parse_arm_rule("best").error().message() ==
        "models are chosen by ucb1 or thompson, not 'best'");
  for (const auto rule : {arm_rule::ucb1, arm_rule::thompson}) {
    CHECK(*parse_arm_rule(to_string(rule)) == rule);
  }
}
