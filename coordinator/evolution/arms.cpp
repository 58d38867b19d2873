#include "coordinator/evolution/arms.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <limits>

#include "coordinator/evolution/strategy.hpp"

namespace germline::evolution {
namespace {

constexpr double least_dollars = 0.001;

/// 0 where it is none, or no number.
double by_the_dollar(const pull& of) {
  const double worth = of.gain / std::max(of.dollars, least_dollars);
  return worth > 0 && std::isfinite(worth) ? worth : 0;
}

/// Of those that are some, from the least on.
std::vector<double> gains_of(const std::vector<pull>& pulls) {
  std::vector<double> gains;
  for (const auto& each : pulls) {
    if (const double worth = by_the_dollar(each); worth > 0) gains.push_back(worth);
  }
  std::ranges::sort(gains);
  return gains;
}

/// Which part of `gains` is no greater.
double rank_of(double worth, const std::vector<double>& gains) {
  if (worth <= 0) return 0;
  const auto above = std::ranges::upper_bound(gains, worth);
  return static_cast<double>(above - gains.begin()) / static_cast<double>(gains.size());
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
                      random_source& chance, const std::vector<bool>& stuck) {
  arm_choice out;
  out.arms.resize(arms);
  const auto gains = gains_of(pulls);
  for (const auto& each : pulls) {
    auto& its = out.arms.at(each.arm);
    ++its.pulls;
    its.mean += rank_of(by_the_dollar(each), gains);
  }
  const bool all_stuck = !stuck.empty() && std::ranges::find(stuck, false) == stuck.end();
  double greatest = -1;
  for (std::size_t i = 0; i < arms; ++i) {
    auto& its = out.arms[i];
    if (its.pulls > 0) its.mean /= its.pulls;
    its.index = rule == arm_rule::ucb1 ? bound_of(its, pulls.size()) : draw_of(its, chance);
    const bool is_out = !stuck.empty() && stuck.at(i) && !all_stuck;
    if (is_out || its.index <= greatest) continue;
    greatest = its.index;
    out.chosen = i;
  }
  return out;
}

}  // namespace germline::evolution
