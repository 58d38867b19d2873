#include "coordinator/evolution/arms.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <limits>

#include "coordinator/evolution/strategy.hpp"

namespace germline::evolution {
namespace {

constexpr std::int64_t least_cost_nanousd = 1'000'000;

double by_the_dollar(const pull& of) {
  return std::max(0.0, of.gain) /
         (static_cast<double>(std::max(of.cost_nanousd, least_cost_nanousd)) / 1e9);
}

double bound_of(const arm& its, std::size_t all) {
  if (its.pulls == 0) return std::numeric_limits<double>::infinity();
  return its.mean + std::sqrt(2 * std::log(static_cast<double>(all)) / its.pulls);
}

double draw_of(const arm& its, random_source& chance) {
  const double rewards = its.mean * its.pulls;
  return boost::math::ibeta_inv(1 + rewards, 1 + its.pulls - rewards, uniform(chance));
}

}  // namespace

result<arm_rule> parse_arm_rule(std::string_view text) {
  if (text.empty() || text == "ucb1") return arm_rule::ucb1;
  if (text == "thompson") return arm_rule::thompson;
  return error(error_code::invalid_argument,
               "models are chosen by ucb1 or thompson, not '" + std::string(text) + "'");
}

std::string_view to_string(arm_rule rule) {
  return rule == arm_rule::ucb1 ? "ucb1" : "thompson";
}

arm_choice choose_arm(arm_rule rule, std::size_t arms, const std::vector<pull>& pulls,
                      random_source& chance) {
  arm_choice out;
  out.arms.resize(arms);
  double greatest = 0;
  for (const auto& each : pulls) greatest = std::max(greatest, by_the_dollar(each));
  for (const auto& each : pulls) {
    auto& its = out.arms.at(each.arm);
    ++its.pulls;
    if (greatest > 0) its.mean += by_the_dollar(each) / greatest;
  }
  for (auto& its : out.arms) {
    if (its.pulls > 0) its.mean = std::min(1.0, its.mean / its.pulls);
    its.index = rule == arm_rule::ucb1 ? bound_of(its, pulls.size()) : draw_of(its, chance);
  }
  const auto best = std::ranges::max_element(out.arms, {}, &arm::index);
  out.chosen = static_cast<std::size_t>(best - out.arms.begin());
  return out;
}

}  // namespace germline::evolution
