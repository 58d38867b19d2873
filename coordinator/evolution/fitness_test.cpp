#include "coordinator/evolution/fitness.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

using namespace germline::evolution;

TEST_CASE("one score is its own estimate") {
  const auto one = estimate({2.5});
  CHECK(one.mean == 2.5);
  CHECK(one.low == 2.5);
  CHECK(one.high == 2.5);
}

TEST_CASE("the interval is Student's") {
  // t(0.975, 4) = 2.776445; the sample's standard deviation is sqrt(2.5).
  const auto five = estimate({1, 2, 3, 4, 5});
  CHECK(five.mean == doctest::Approx(3));
  const double half = 2.776445 * std::sqrt(2.5) / std::sqrt(5.0);
  CHECK(five.low == doctest::Approx(3 - half));
  CHECK(five.high == doctest::Approx(3 + half));
  const auto same = estimate({7, 7, 7});
  CHECK(same.low == 7);
  CHECK(same.high == 7);
}

TEST_CASE("scores far from zero lose nothing of their spread") {
  const auto far = estimate({1e9 + 1, 1e9 + 2, 1e9 + 3});
  CHECK(far.mean == doctest::Approx(1e9 + 2).epsilon(1e-15));
  CHECK(far.high - far.mean == doctest::Approx(4.302653 / std::sqrt(3.0)).epsilon(1e-6));
}

TEST_CASE("the interval has the true mean in about 95 of 100 samples") {
  std::mt19937 chance(20);  // NOLINT: the same samples each time
  std::normal_distribution<double> normal(10, 3);
  constexpr int samples = 20'000;
  int hits = 0;
  for (int i = 0; i < samples; ++i) {
    const auto four = estimate({normal(chance), normal(chance), normal(chance), normal(chance)});
    if (four.low <= 10 && 10 <= four.high) ++hits;
  }
  // Four standard errors of 0.95 over so many samples.
  CHECK(double(hits) / samples == doctest::Approx(0.95).epsilon(0.0065));
}
