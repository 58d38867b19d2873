// choosing_bench: what choosing a parent costs as the archive grows from 1,000 to 1,000,000
// generations: a choice, and what a birth and its score change, beside one pass over all
// generations, which is how the systems that the strategies come from choose. In process, no disk.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "coordinator/evolution/strategy.hpp"

namespace germline::bench {
namespace {

using namespace germline::evolution;
using microseconds = std::chrono::duration<double, std::micro>;

constexpr int choices = 2'000;
constexpr int passes = 20;
constexpr int cases = 4;

class growing_archive {
 public:
  explicit growing_archive(const std::string& strategy) : among(*parse_strategy(strategy), false) {}

  void bear(std::size_t parent) {
    const auto id = std::to_string(all.size());
    all.add({id, all.size() == 0 ? "" : std::to_string(parent), 1,
             1 + static_cast<int>(all.size() % 8)});
    // A child is near its parent: the usual landscape, in which few are far above the median.
    const double of_parent = all.size() == 1 ? 0 : all.at(parent).mean;
    const double score = of_parent + uniform(chance) - 0.55;
    measured_once once{score};
    once.descriptors = {{"x", uniform(chance)}, {"y", score}};
    for (int i = 0; i < cases; ++i) {
      once.cases.emplace_back(std::to_string(i), uniform(chance) < 0.5 ? 1 : 0);
    }
    all.measure(id, once);
  }
  /// Parents drawn uniformly, which gives a tree of logarithmic depth.
  void grow(std::size_t size) {
    while (all.size() < size) bear(all.size() == 0 ? 0 : chance.below(all.size()));
  }

  population among;
  archive& all = among.all();
  seeded_random chance{5};
};

template <class Work>
double time_us(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return microseconds(std::chrono::steady_clock::now() - start).count();
}

double at_share(std::vector<double>& values, double share) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// The same distribution as archive-sampling's by one pass: weights, their sum, a draw.
std::size_t pass(const archive& all, random_source& chance) {
  const double median = all.median();
  const double spread = all.spread();
  std::vector<double> sums(all.size());
  double sum = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double fit = 1 / (1 + std::exp(-10 * (all.at(i).mean - median) / spread));
    sum += fit * all.childless_weight(i);
    sums[i] = sum;
  }
  const auto at = std::ranges::upper_bound(sums, uniform(chance) * sum);
  return static_cast<std::size_t>(at - sums.begin());
}

void measure(const std::string& name, growing_archive& in) {
  std::vector<double> chosen, born;
  for (int i = 0; i < choices; ++i) {
    choice parent;
    chosen.push_back(time_us([&] { parent = in.among.choose(1 + i % 8, in.chance); }));
    born.push_back(time_us([&] { in.bear(parent.slot); }));
  }
  std::vector<double> whole;
  for (int i = 0; i < passes; ++i) {
    whole.push_back(time_us([&] { in.bear(pass(in.all, in.chance)); }));
  }
  const double median = at_share(chosen, 0.5);
  const double peer = at_share(whole, 0.5);
  std::printf("%-32s %10zu %10.2f %10.2f %12.2f %12.1f %10.3f\n", name.c_str(), in.all.size(),
              median, at_share(chosen, 0.99), at_share(born, 0.5), peer, median / peer);
}

}  // namespace
}  // namespace germline::bench

int main() {
  std::printf("%-32s %10s %10s %10s %12s %12s %10s\n", "strategy", "archive", "choice us", "p99 us",
              "birth us", "one pass us", "ratio");
  for (const std::size_t size : {1'000U, 10'000U, 100'000U, 1'000'000U}) {
    for (const auto* name : {"best", "random", "archive-sampling", "archive-sampling,form=absolute",
                             "clade-thompson,expand=1", "islands", "pareto"}) {
      germline::bench::growing_archive in(name);
      in.grow(size);
      germline::bench::measure(name, in);
    }
  }
}
