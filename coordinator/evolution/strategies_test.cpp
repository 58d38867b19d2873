// The strategies that keep something of the archive: against their formulas, and what they keep
// against what a second one keeps that is told all anew.
#include <doctest/doctest.h>

#include <boost/math/distributions/beta.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/evolution/strategy.hpp"
#include "coordinator/evolution/tally_groups.hpp"

using namespace germline;
using namespace germline::evolution;

namespace {

constexpr int draws = 20'000;

/// Whether a share of so many draws can be such a probability: within four standard errors.
bool agrees(double share, double probability, int of = draws) {
  return std::abs(share - probability) <=
         4 * std::sqrt(probability * (1 - probability) / of) + 1e-9;
}

/// Shares by slot. What a choice says of itself must be what the weights say.
std::map<std::size_t, double> shares_of(const population& of, int lineage = 1) {
  seeded_random chance(3);
  std::map<std::size_t, double> shares;
  for (int i = 0; i < draws; ++i) {
    const auto chosen = of.choose(lineage, chance);
    REQUIRE_FALSE(chosen.measures);
    shares[chosen.slot] += 1.0 / draws;
  }
  return shares;
}

void check_weights(const population& of, std::map<std::size_t, double> weights, int lineage = 1) {
  double sum = 0;
  for (const auto& each : weights) sum += each.second;
  for (auto& each : weights) each.second /= sum;
  seeded_random chance(4);
  for (int i = 0; i < 200; ++i) {
    const auto chosen = of.choose(lineage, chance);
    REQUIRE(chosen.probability);
    CHECK(*chosen.probability == doctest::Approx(weights[chosen.slot]));
  }
  const auto shares = shares_of(of, lineage);
  for (const auto& [slot, share] : shares) {
    INFO(slot);
    CHECK(agrees(share, weights[slot]));
  }
  for (const auto& [slot, weight] : weights) CHECK((weight == 0) == !shares.contains(slot));
}

population make(const std::string& text, bool minimizes = false) {
  const auto by = parse_strategy(text);
  REQUIRE(by);
  return {*by, minimizes};
}

struct told {
  std::string id, parent;
  double score = 0;
  int lineage = 1;
  std::vector<named_value> descriptors = {}, cases = {};
};

void tell(archive& to, const told& one) {
  to.add({one.id, one.parent, 1, one.lineage});
  to.measure(one.id, {one.score, one.descriptors, one.cases});
}

std::vector<named_value> passes(int won, int lost) {
  std::vector<named_value> cases;
  for (int i = 0; i < won + lost; ++i) cases.emplace_back("c" + std::to_string(i), i < won ? 1 : 0);
  return cases;
}

/// By integration: with which probability the draw of each tally is the greatest.
std::vector<double> greatest(const std::vector<tally_of_slot>& tallies) {
  std::vector<boost::math::beta_distribution<>> of;
  for (const auto& each : tallies) of.emplace_back(1.0 + double(each.won), 1.0 + double(each.lost));
  std::vector<double> out(tallies.size());
  constexpr int steps = 20'000;
  for (int i = 0; i < steps; ++i) {
    const double x = (i + 0.5) / steps;
    for (std::size_t k = 0; k < of.size(); ++k) {
      double share = pdf(of[k], x) / steps;
      for (std::size_t j = 0; j < of.size(); ++j) share *= j == k ? 1 : cdf(of[j], x);
      out[k] += share;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("the greatest draw of each group is that of all its slots, bounded or not") {
  // Three of one tally, one alike good with more evidence, one that hardly can be, one without any.
  const std::vector<tally_of_slot> tallies{{3, 1}, {3, 1}, {3, 1}, {30, 10}, {2, 40}, {0, 0}};
  tally_groups groups;
  groups.set(5, tally_of_slot{9, 9});
  for (std::size_t i = 0; i < tallies.size(); ++i) groups.set(i, tallies[i]);
  groups.set(6, tally_of_slot{100, 0});
  groups.set(6, std::nullopt);
  const auto wanted = greatest(tallies);
  seeded_random chance(11);
  std::vector<int> hits(tallies.size() + 1);
  for (int i = 0; i < draws; ++i) ++hits[groups.draw(chance)];
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    INFO(i);
    CHECK(agrees(double(hits[i]) / draws, wanted[i]));
  }
  CHECK(hits.back() == 0);
}

TEST_CASE("clade-thompson: a parent by the cases of all that descends from it") {
  auto all = make("clade-thompson");
  // The seed's own 1 of 4, its children's 4 of 4 and 1 of 4, a grandchild's 3 of 4 under the worse.
  tell(all.all(), {"seed", "", 0, 0, {}, passes(1, 3)});
  tell(all.all(), {"good", "seed", 0, 1, {}, passes(4, 0)});
  tell(all.all(), {"bad", "seed", 0, 2, {}, passes(1, 3)});
  tell(all.all(), {"late", "bad", 0, 2, {}, passes(3, 1)});
  const auto wanted = greatest({{9, 7}, {4, 0}, {4, 4}, {3, 1}});
  auto shares = shares_of(all);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    INFO(i);
    CHECK(agrees(shares[i], wanted[i]));
  }
  // What is killed is chosen no more, and what it was measured stays known of those before it.
  all.all().bar("good");
  const auto left = greatest({{9, 7}, {4, 4}, {3, 1}});
  shares = shares_of(all);
  CHECK(agrees(shares[0], left[0]));
  CHECK_FALSE(shares.contains(1));
  CHECK(agrees(shares[2], left[1]));
}

TEST_CASE("clade-thompson: without cases the score is one, and less is better where minimized") {
  auto all = make("clade-thompson,pass=2.5", true);
  tell(all.all(), {"seed", "", 3});
  tell(all.all(), {"child", "seed", 2.5});
  for (int i = 0; i < 9; ++i) all.all().measure("child", {2.0});
  const auto wanted = greatest({{10, 1}, {10, 0}});
  auto shares = shares_of(all);
  CHECK(agrees(shares[0], wanted[0]));
  CHECK(agrees(shares[1], wanted[1]));
}

TEST_CASE("clade-thompson measures until N^0.6 is as much as what was born and is on its way") {
  auto all = make("clade-thompson");
  seeded_random chance(5);
  tell(all.all(), {"seed", "", 1});
  CHECK_FALSE(all.choose(1, chance).measures);
  all.all().begin("seed");
  CHECK_FALSE(all.choose(2, chance).measures);  // 1 >= 1 - 1 + 1
  all.all().begin("seed");
  CHECK(all.choose(3, chance).measures);
  all.all().end("seed", true, false);
  all.all().end("seed", false, false);
  tell(all.all(), {"one", "seed", 1});
  tell(all.all(), {"two", "seed", 0});
  // 3^0.6 = 1.93 < 2: by its own cases alone.
  const auto wanted = greatest({{1, 0}, {1, 0}, {0, 1}});
  std::map<std::size_t, double> shares;
  for (int i = 0; i < draws; ++i) {
    const auto chosen = all.choose(1, chance);
    REQUIRE(chosen.measures);
    shares[chosen.slot] += 1.0 / draws;
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(agrees(shares[i], wanted[i]));
  // One that fails is one, too: else none would ever be enough.
  all.all().measure("two", {std::nullopt});
  CHECK_FALSE(all.choose(1, chance).measures);  // 4^0.6 = 2.3
}

TEST_CASE("islands: the best of each niche of the own island, and some of the next one's") {
  auto all = make("islands,islands=2,bins=2,migration=0.2");
  auto& of = all.all();
  const auto at = [](double x) { return std::vector<named_value>{{"length", x}}; };
  tell(of, {"seed", "", 1, 0, at(0)});
  tell(of, {"a", "seed", 3, 1, at(0)});    // of the first island: better in the seed's niche
  tell(of, {"b", "seed", 0.5, 1, at(9)});  // worse, and of another
  tell(of, {"c", "a", 2, 3, at(1)});       // the third lineage is of the first island again
  tell(of, {"d", "a", 0, 2, at(10)});      // of the second island, wherever its parent is
  check_weights(all, {{1, 0.4}, {2, 0.4}, {0, 0.1}, {4, 0.1}}, 1);
  check_weights(all, {{1, 0.4}, {2, 0.4}, {0, 0.1}, {4, 0.1}}, 3);
  check_weights(all, {{0, 0.4}, {4, 0.4}, {1, 0.1}, {2, 0.1}}, 2);
  of.bar("a");
  check_weights(all, {{3, 0.4}, {2, 0.4}, {0, 0.1}, {4, 0.1}}, 1);
  // Measured again and worse: the niche has another elite.
  of.measure("c", {-9.0, at(1)});
  check_weights(all, {{0, 0.4 + 0.1}, {2, 0.4}, {4, 0.1}}, 1);
  // Nothing lives on the second one: it is passed over.
  of.bar("seed");
  of.bar("d");
  check_weights(all, {{3, 0.5}, {2, 0.5}}, 1);
  check_weights(all, {{3, 0.5}, {2, 0.5}}, 2);
}

TEST_CASE("islands: without descriptors an island is one niche, of which the best is chosen") {
  auto all = make("islands,islands=1,migration=0");
  tell(all.all(), {"seed", "", 5});
  tell(all.all(), {"a", "seed", 7});
  tell(all.all(), {"b", "seed", 6});
  check_weights(all, {{1, 1}});
}

TEST_CASE("islands: a range grows past two values that are next to each other") {
  auto all = make("islands,islands=1,bins=4,migration=0");
  const auto at = [](double x) { return std::vector<named_value>{{"x", x}}; };
  tell(all.all(), {"seed", "", 1, 0, at(std::nextafter(1, 0))});
  tell(all.all(), {"a", "seed", 2, 1, at(1)});
  tell(all.all(), {"b", "seed", 3, 1, at(1.5)});
  tell(all.all(), {"c", "seed", 4, 1, at(-1e100)});
  check_weights(all, {{2, 1}, {3, 1}});  // the lowest niche, and the one of all the others
}

TEST_CASE("pareto: who has no case that is looked at is judged by its score") {
  auto all = make("pareto");
  std::vector<named_value> many;
  for (int i = 0; i < 1'000; ++i) many.emplace_back("first " + std::to_string(i), 1);
  all.all().add({"seed", "", 2});
  all.all().measure("seed", {1.0, {}, many});
  all.all().measure("seed", {std::nullopt});  // it is no candidate
  tell(all.all(), {"a", "seed", 2, 1, {}, {{"late", 1}}});
  tell(all.all(), {"b", "seed", 3});
  check_weights(all, {{2, 1}});
}

TEST_CASE("pareto: by at how many cases it is the best, of those that are not dominated") {
  auto all = make("pareto");
  auto& of = all.all();
  const auto of_cases = [](std::vector<double> values) {
    std::vector<named_value> cases;
    for (std::size_t i = 0; i < values.size(); ++i) {
      cases.emplace_back(std::to_string(i), values[i]);
    }
    return cases;
  };
  tell(of, {"seed", "", 4, 0, {}, of_cases({1, 1, 1, 1})});
  check_weights(all, {{0, 1}});
  tell(of, {"a", "seed", 6, 1, {}, of_cases({2, 2, 2, 0})});
  tell(of, {"b", "seed", 5, 1, {}, of_cases({2, 1, 0, 2})});
  // The seed is the best at nothing; b at 0 and 3; a at 0, 1 and 2.
  check_weights(all, {{1, 3}, {2, 2}});
  // c is alike the best at 1 and 2: a is better in the mean and is so, too. Then c is dominated.
  tell(of, {"c", "seed", 4.5, 1, {}, of_cases({0, 2, 2, 0.5})});
  check_weights(all, {{1, 3}, {2, 2}});
  of.bar("a");
  check_weights(all, {{2, 2}, {3, 2}});
  of.bar("b");
  of.bar("c");
  check_weights(all, {{0, 1}});
}

TEST_CASE("pareto: less is better where minimized; without cases the score is the only one") {
  auto all = make("pareto", true);
  tell(all.all(), {"seed", "", 5});
  tell(all.all(), {"a", "seed", 3});
  tell(all.all(), {"b", "seed", 4});
  check_weights(all, {{1, 1}});
}

TEST_CASE("the same chance chooses the same where all is told again in another order") {
  for (const std::string text : {"islands,islands=3,bins=4", "pareto", "clade-thompson,expand=1",
                                 "archive-sampling", "best", "random"}) {
    INFO(text);
    auto live = make(text), whole = make(text);
    seeded_random chance(8);
    std::vector<std::string> ids;
    std::vector<std::pair<std::string, measured_once>> scores;
    std::set<std::string> barred;
    const auto measure = [&](const std::string& who) {
      measured_once once;
      if (chance.below(12) > 0) {
        once = {static_cast<double>(chance.below(6)),
                {{"x", uniform(chance) * static_cast<double>(scores.size() + 1)},
                 {"y" + std::to_string(chance.below(2)), uniform(chance)}},
                {{"p", static_cast<double>(chance.below(3))},
                 {"q", static_cast<double>(chance.below(3))}}};
      }
      live.all().measure(who, once);
      scores.emplace_back(who, once);
    };
    std::vector<archive::birth> births;
    std::vector<std::string> parents;
    for (int i = 0; i < 120; ++i) {
      const auto parent = i == 0 ? std::string() : ids[chance.below(ids.size())];
      births.push_back({"gen_" + std::to_string(i), parent, 1, i == 0 ? 0 : 1 + i % 5});
      live.all().add(births.back());
      ids.push_back(births.back().id);
      if (i % 7 != 6) measure(ids.back());
      if (!parent.empty()) {
        live.all().begin(parent);
        live.all().end(parent, false, false);
        parents.push_back(parent);
      }
      if (chance.below(3) == 0) measure(ids[chance.below(ids.size())]);
      if (chance.below(15) == 0) {
        barred.insert(ids[chance.below(ids.size())]);
        for (const auto& each : barred) live.all().bar(each);
      }
    }
    for (const auto& each : births) whole.all().add(each);
    for (const auto& each : barred) whole.all().bar(each);
    for (const auto& each : parents) {
      whole.all().begin(each);
      whole.all().end(each, false, false);
    }
    for (const auto& [who, once] : scores) whole.all().measure(who, once);
    for (int draw = 0; draw < 2'000; ++draw) {
      seeded_random one(static_cast<std::uint64_t>(draw)), other(static_cast<std::uint64_t>(draw));
      const auto first = live.choose(1 + draw % 5, one);
      const auto second = whole.choose(1 + draw % 5, other);
      REQUIRE(first.slot == second.slot);
      REQUIRE(first.probability == second.probability);
    }
  }
}
