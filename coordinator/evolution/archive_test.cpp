#include "coordinator/evolution/archive.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

using namespace germline;
using namespace germline::evolution;

namespace {

std::string id(std::size_t i) {
  return "gen_" + std::to_string(i);
}

/// A generation with one evaluation, that gave `score`.
void add_scored(archive& to, std::size_t i, const std::string& parent, double score) {
  to.add({id(i), parent, 1});
  to.measure(id(i), {score});
}

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  const auto n = values.size();
  return std::midpoint(values[(n - 1) / 2], values[n / 2]);
}

}  // namespace

TEST_CASE("a generation is a candidate once all its evaluations gave a score") {
  archive all(false);
  all.add({"seed", "", 2});
  CHECK(all.unmeasured() == 1);
  CHECK(all.candidates() == 0);
  all.measure("seed", {1.0});
  CHECK(all.candidates() == 0);
  all.measure("seed", {3.0});
  CHECK(all.unmeasured() == 0);
  REQUIRE(all.candidates() == 1);
  CHECK(all.at(all.best()).mean == 2);

  // It may choose where it makes its evaluator fail.
  all.add({"half", "seed", 2});
  all.measure("half", {9.0});
  all.measure("half", {std::nullopt});
  CHECK(all.unmeasured() == 0);
  CHECK(all.candidates() == 1);
  CHECK(all.at(0).children == 1);
}

TEST_CASE("of a minimized fitness the smallest is the best") {
  archive all(true);
  add_scored(all, 0, "", 5);
  add_scored(all, 1, id(0), 2);
  add_scored(all, 2, id(0), 7);
  CHECK(all.best() == 1);
  CHECK(all.by_rank(0) == 2);
  CHECK(all.median() == -5);
}

TEST_CASE("the best is the one that is good for sure; of the same the eldest") {
  archive all(false);
  all.add({"steady", "", 2});
  all.add({"lucky", "", 2});
  for (const double score : {4.9, 5.1}) all.measure("steady", {score});
  for (const double score : {1.0, 10.0}) all.measure("lucky", {score});
  CHECK(all.at(all.best()).id == "steady");
  all.add({"as_steady", "", 2});
  for (const double score : {5.1, 4.9}) all.measure("as_steady", {score});
  CHECK(all.at(all.best()).id == "steady");
}

TEST_CASE("what is killed, and what fails by itself again and again, is no candidate") {
  archive all(false);
  add_scored(all, 0, "", 1);
  add_scored(all, 1, id(0), 2);
  add_scored(all, 2, id(0), 3);
  all.bar(id(2));
  CHECK(all.best() == 1);
  for (int i = 0; i < 3; ++i) {
    CHECK(all.is_candidate(1));
    all.begin(id(1));
    all.end(id(1), true, true);
  }
  CHECK_FALSE(all.is_candidate(1));

  // A failure that is not its own says nothing of it, and the seed is what everything comes from.
  for (int i = 0; i < 9; ++i) {
    all.begin(id(0));
    all.end(id(0), true, true);
  }
  CHECK(all.is_candidate(0));
  add_scored(all, 3, id(0), 4);
  for (int i = 0; i < 9; ++i) all.end(id(3), true, false);
  CHECK(all.is_candidate(3));
  all.end(id(3), false, false);
  for (int i = 0; i < 9; ++i) all.end(id(3), true, true);
  CHECK(all.is_candidate(3));  // it has carried one
}

TEST_CASE("rank, median and spread are those of the sorted means, through any changes") {
  seeded_random chance(11);
  archive all(false);
  std::map<std::size_t, double> left;
  for (std::size_t i = 0; i < 300; ++i) {
    // Few different values, so that many are the same.
    const auto score = static_cast<double>(chance.below(i % 3 == 0 ? 5 : 1'000));
    add_scored(all, i, i == 0 ? "" : id(chance.below(i)), score);
    left[i] = score;
    if (chance.below(4) == 0) {
      const auto gone = chance.below(i + 1);
      all.bar(id(gone));
      left.erase(gone);
    }
    REQUIRE(all.candidates() == left.size());
    if (left.empty()) continue;
    std::vector<double> means, distances;
    for (const auto& [slot, mean] : left) means.push_back(mean);
    const double middle = median_of(means);
    for (const double mean : means) distances.push_back(std::abs(mean - middle));
    REQUIRE(all.median() == middle);
    REQUIRE(all.spread() == median_of(distances));
    REQUIRE(all.at(all.best()).mean == *std::ranges::max_element(means));
    REQUIRE(all.at(all.by_rank(0)).mean == *std::ranges::min_element(means));
  }
}

TEST_CASE("drawn by children: in proportion to 1 / (1 + children and those under way)") {
  archive all(false);
  add_scored(all, 0, "", 1);
  for (std::size_t i = 1; i <= 3; ++i) add_scored(all, i, id(0), 1);
  all.begin(id(1));
  all.bar(id(3));
  // 1/4, 1/2, 1, and the killed one none.
  seeded_random chance(12);
  constexpr int draws = 70'000;
  std::vector<int> hits(4);
  for (int i = 0; i < draws; ++i) ++hits[all.draw_by_children(chance)];
  CHECK(hits[3] == 0);
  for (int i = 0; i < 3; ++i) {
    const double expected = std::vector{1.0, 2.0, 4.0}[std::size_t(i)] / 7;
    // Four standard errors.
    const double off = 4 * std::sqrt(expected * (1 - expected) / draws);
    CHECK(std::abs(double(hits[std::size_t(i)]) / draws - expected) < off);
  }
}

TEST_CASE("a weight tree draws what its weights say, however it grew") {
  seeded_random chance(13);
  weight_tree tree;
  std::vector<std::uint64_t> weights(57);
  for (int i = 0; i < 400; ++i) {
    const auto slot = chance.below(weights.size());
    weights[slot] = chance.below(3) == 0 ? 0 : chance.below(1'000);
    tree.set(slot, weights[slot]);
    std::uint64_t sum = 0;
    for (const auto each : weights) sum += each;
    REQUIRE(tree.total() == sum);
    if (sum > 0) REQUIRE(weights[tree.draw(chance)] > 0);
  }
  std::vector<double> hits(weights.size());
  constexpr int draws = 200'000;
  for (int i = 0; i < draws; ++i) ++hits[tree.draw(chance)];
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double expected = double(weights[i]) / double(tree.total());
    const double off = 5 * std::sqrt(expected * (1 - expected) / draws);
    CHECK(std::abs(hits[i] / draws - expected) <= off);
  }
}
