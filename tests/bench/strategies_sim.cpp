// strategies_sim: compares the strategies in simulation, on landscapes that are stated here, 20
// seeds each: how good the generation truly is that ranks first after 400 births by four lineages,
// which choose, bear and measure beside each other; a strategy that wants more measurements before
// it chooses has them on top. In process; nothing of it is a sandbox or an agent.
//
// Usage: strategies_sim [FILE]. Into the file goes a line of JSON for each run: landscape,
// strategy, seed, and that value after 0, 1, 2 ... births, for draw_curves.py.
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numbers>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/evolution/fitness.hpp"
#include "coordinator/evolution/strategy.hpp"

namespace germline::bench {
namespace {

using namespace germline::evolution;

constexpr int seeds = 20;
constexpr int births = 400;
constexpr int lanes = 4;

/// N(0, 1), by Box and Muller.
double normal(random_source& chance) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform(chance)));
  return radius * std::cos(2 * std::numbers::pi * uniform(chance));
}

using genome = std::array<double, 8>;

struct landscape {
  const char* name;
  double step = 0;   // of a mutation, in each number
  double noise = 0;  // of one measurement
  double pass = 0;   // of a case: at least so much, for strategies that count them
  double (*value)(const genome&);
};

/// One hill: every step uphill leads to the top, 0.
double hill(const genome& at) {
  double sum = 0;
  for (const double x : at) sum -= x * x;
  return sum;
}

/// Rastrigin's function, negative: a hill with a valley around each whole number; the top is 0.
double valleys(const genome& at) {
  double sum = 0;
  for (const double x : at) sum -= x * x + 10 * (1 - std::cos(2 * std::numbers::pi * x));
  return sum;
}

constexpr std::array landscapes{
    landscape{"hill", 0.25, 0, -0.25, hill},
    landscape{"hill, noise of 2", 0.25, 2, -0.25, hill},
    landscape{"valleys", 0.35, 0, -5, valleys},
};

class world {
 public:
  world(const landscape& land, const std::string& strategy, std::uint64_t seed)
      : land_(land),
        chance_(seed),
        chains_(strategy == "chain"),
        among_(*parse_strategy(strategy), false) {
    genome start;
    start.fill(2.5);
    bear(start, "", 0);
    measure(0);
    own_.fill(0);
  }

  /// What ranks first after 0, 1, 2 ... births, as it truly is.
  std::vector<double> run() {
    // Each lane's iteration, with the measurement of what it bears, takes from 1 to 2.
    using event = std::pair<double, int>;
    std::priority_queue<event, std::vector<event>, std::greater<>> next;
    std::array<std::size_t, lanes> parents{};  // or what is measured again
    std::array<bool, lanes> measures{};
    const auto begin = [&](double now, int lane) {
      const auto i = static_cast<std::size_t>(lane);
      const auto chosen = chains_ ? choice{own_[i]} : among_.choose(lane + 1, chance_);
      parents[i] = chosen.slot;
      measures[i] = chosen.measures;
      if (measures[i]) {
        next.emplace(now + (1 + uniform(chance_)) / 2, lane);
        return;
      }
      all_.begin(all_.at(parents[i]).id);
      next.emplace(now + 1 + uniform(chance_), lane);
    };
    for (int lane = 0; lane < lanes; ++lane) begin(0, lane);
    std::vector<double> first{land_.value(places_[all_.best()])};
    while (static_cast<int>(places_.size()) <= births) {
      const auto [now, lane] = next.top();
      next.pop();
      const auto parent = parents[static_cast<std::size_t>(lane)];
      if (measures[static_cast<std::size_t>(lane)]) {
        measure(parent);
        begin(now, lane);
        continue;
      }
      auto child = places_[parent];
      for (double& x : child) x += land_.step * normal(chance_);
      all_.end(all_.at(parent).id, false, false);
      own_[static_cast<std::size_t>(lane)] = bear(child, all_.at(parent).id, lane + 1);
      measure(own_[static_cast<std::size_t>(lane)]);
      first.push_back(land_.value(places_[all_.best()]));
      begin(now, lane);
    }
    return first;
  }

  /// How often, in all.
  int measured() const { return measured_; }

 private:
  std::size_t bear(const genome& at, const std::string& parent, int lineage) {
    all_.add({std::to_string(places_.size()), parent, 1, lineage});
    places_.push_back(at);
    return places_.size() - 1;
  }
  void measure(std::size_t slot) {
    const auto& at = places_[slot];
    measured_once once{land_.value(at) + land_.noise * normal(chance_)};
    // What it is like: where it is in two of the numbers. How good at parts: in each of them.
    once.descriptors = {{"x", at[0]}, {"y", at[1]}};
    for (std::size_t i = 0; i < at.size(); ++i) {
      genome alone{};
      alone[i] = at[i];
      once.cases.emplace_back(std::to_string(i), land_.value(alone));
    }
    all_.measure(std::to_string(slot), once);
    ++measured_;
  }

  const landscape& land_;
  seeded_random chance_;
  bool chains_;  // each lane goes on from what it bore itself
  population among_;
  archive& all_ = among_.all();
  std::vector<genome> places_;
  std::array<std::size_t, lanes> own_{};
  int measured_ = 0;
};

void write(std::ostream& out, const landscape& land, const std::string& strategy, int seed,
           const std::vector<double>& first) {
  out << R"({"landscape": ")" << land.name << R"(", "strategy": ")" << strategy << R"(", "seed": )"
      << seed << R"(, "first": [)";
  for (std::size_t i = 0; i < first.size(); ++i) out << (i > 0 ? ", " : "") << first[i];
  out << "]}\n";
}

}  // namespace
}  // namespace germline::bench

int main(int argc, char** argv) {
  using namespace germline::bench;
  std::ofstream curves;
  if (argc > 1) {
    curves.open(argv[1]);
    if (!curves) {
      std::fprintf(stderr, "%s cannot be written\n", argv[1]);
      return 2;
    }
  }
  std::printf(
      "true value of what ranks first after %d births by %d lineages; the top is 0; mean of "
      "%d seeds, 95 %% interval\n",
      births, lanes, seeds);
  for (const auto& land : landscapes) {
    std::printf("%s\n", land.name);
    std::vector<std::pair<std::string, std::string>> contenders;  // as it is told, and in full
    for (const auto* plain :
         {"chain", "seed", "random", "best", "archive-sampling", "islands", "pareto"}) {
      contenders.emplace_back(plain, plain);
    }
    const auto clades = "clade-thompson,pass=" + std::to_string(land.pass);
    contenders.emplace_back("clade-thompson", clades);
    contenders.emplace_back("clade-thompson,expand=1", clades + ",expand=1");
    for (const auto& [name, strategy] : contenders) {
      std::vector<double> reached;
      double measured = 0;
      for (int seed = 1; seed <= seeds; ++seed) {
        world simulated(land, strategy, static_cast<std::uint64_t>(seed));
        const auto first = simulated.run();
        measured += static_cast<double>(simulated.measured()) / seeds;
        if (curves.is_open()) write(curves, land, name, seed, first);
        reached.push_back(first.back());
      }
      const auto over = germline::evolution::estimate(reached);
      std::printf("  %-24s %8.2f  (%.2f to %.2f), %.0f measurements\n", name.c_str(), over.mean,
                  over.low, over.high, measured);
    }
  }
  if (curves.is_open() && (curves.close(), !curves)) {
    std::fprintf(stderr, "%s is not whole\n", argv[1]);
    return 1;
  }
}
