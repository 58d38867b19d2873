#include "coordinator/evolution/inspirations.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

using namespace germline;
using namespace germline::evolution;

namespace {

/// Names are given by their place; each is measured once, and its score is what is said.
struct population_of_one {
  explicit population_of_one(bool minimizes = false) : all(minimizes) {}
  void bear(const std::string& id, const std::string& parent, double score) {
    all.add({id, parent, 1, 1});
    all.measure(id, {score});
  }
  std::vector<std::string> picked(const std::string& parent, int count) {
    std::vector<std::string> names;
    for (const auto& each : pick_inspirations(all, *all.find(parent), count, chance)) {
      names.push_back(all.at(each.slot).id);
    }
    return names;
  }
  std::string base_of(const std::string& parent, const std::string& wanted) {
    for (const auto& each : pick_inspirations(all, *all.find(parent), 8, chance)) {
      if (all.at(each.slot).id == wanted) return all.at(each.base).id;
    }
    return "not picked";
  }

  archive all;
  seeded_random chance{5};
};

}  // namespace

TEST_CASE("a generation is inspired by nothing that it comes from, nor by itself") {
  population_of_one of;
  of.bear("seed", "", 1);
  of.bear("a", "seed", 2);
  of.bear("b", "a", 3);
  of.bear("c", "a", 4);
  of.bear("d", "b", 5);
  CHECK(of.picked("d", 8) == std::vector<std::string>{"c"});
  CHECK(of.picked("seed", 0).empty());
  auto all = of.picked("seed", 8);  // its descendants are others
  std::ranges::sort(all);
  CHECK(all == std::vector<std::string>{"a", "b", "c", "d"});
  population_of_one alone;
  alone.bear("seed", "", 1);
  CHECK(alone.picked("seed", 8).empty());
}

TEST_CASE("each is told with the newest generation that both come from") {
  population_of_one of;
  of.bear("seed", "", 1);
  of.bear("a", "seed", 2);
  of.bear("b", "a", 3);
  of.bear("c", "a", 4);
  of.bear("d", "c", 5);
  of.bear("e", "seed", 6);
  CHECK(of.base_of("b", "c") == "a");
  CHECK(of.base_of("b", "d") == "a");
  CHECK(of.base_of("b", "e") == "seed");
  CHECK(of.base_of("c", "d") == "c");  // a descendant stands on it
  CHECK(of.base_of("d", "e") == "seed");
}

TEST_CASE("the greater half are the best, and the others are any, each with the same chance") {
  for (const bool minimizes : {false, true}) {
    population_of_one of(minimizes);
    of.bear("seed", "", 0);
    for (int i = 1; i <= 50; ++i) {
      of.bear("g" + std::to_string(i), "seed", minimizes ? -i : i);
    }
    of.bear("parent", "seed", minimizes ? -100 : 100);  // that it is the best itself takes no place
    std::map<std::string, int> drawn;
    constexpr int times = 4'000;
    for (int i = 0; i < times; ++i) {
      const auto names = of.picked("parent", 3);
      REQUIRE(names.size() == 3);
      CHECK(names[0] == "g50");
      CHECK(names[1] == "g49");
      ++drawn[names[2]];
    }
    CHECK(drawn.size() == 48);
    CHECK_FALSE(drawn.contains("seed"));
    // Each of 48: four standard errors of a binomial around 83.3.
    for (const auto& [name, count] : drawn) {
      CHECK(count > 83.3 - 4 * 9.03);
      CHECK(count < 83.3 + 4 * 9.03);
    }
  }
}

TEST_CASE("what is killed, or not measured yet, inspires nobody; nor is any told twice") {
  population_of_one of;
  of.bear("seed", "", 0);
  of.bear("killed", "seed", 9);
  of.bear("good", "seed", 5);
  of.all.add({"new", "seed", 1, 1});
  of.bear("parent", "seed", 1);
  of.all.bar("killed");
  for (int i = 0; i < 100; ++i) CHECK(of.picked("parent", 8) == std::vector<std::string>{"good"});
}

TEST_CASE("a parent whose own line is the best of all is shown the best of the others") {
  population_of_one of;
  of.bear("seed", "", 0);
  of.bear("other", "seed", 1);
  std::string last = "seed";
  for (int i = 0; i < 200; ++i) {
    of.bear("line" + std::to_string(i), last, 10 + i);
    last = "line" + std::to_string(i);
  }
  CHECK(of.picked(last, 1) == std::vector<std::string>{"other"});
}
