// arms: which of several models the next iteration uses: a multi-armed bandit whose reward is
// improvement per dollar, by ranks. Pure.
//   ucb1      the greatest mean + sqrt(2 ln n / pulls); one that was not pulled yet comes first.
//             P. Auer, N. Cesa-Bianchi, P. Fischer, Machine Learning 47 (2002), fig. 1.
//   thompson  the greatest draw from Beta(1 + rewards, 1 + pulls - rewards).
//             S. Agrawal, N. Goyal, COLT 2012, where rewards in [0, 1] stand for themselves.
// Rewards and pulls are of the newest iterations alone, since a model that was of use early need
// not be later (A. Garivier, E. Moulines, ALT 2011, the sliding window).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/random.hpp"
#include "common/result.hpp"

namespace germline::evolution {

inline constexpr int arms_window = 1'000;  // iterations of the run

/// One iteration, as far as it is known.
struct pull {
  std::size_t arm = 0;
  double gain = 0;     // by how much its birth is better than its parent; 0: it is not
  double dollars = 0;  // that all its attempts cost
};

struct arm {
  int pulls = 0;     // those under way among them, without a reward yet
  double mean = 0;   // of the rewards, from 0 to 1
  double index = 0;  // what is compared: ucb1's bound, or thompson's draw; infinity: not pulled yet
};

enum class arm_rule { ucb1, thompson };

/// `invalid_argument`: there is no such rule, with those that there are. Empty is ucb1.
result<arm_rule> parse_arm_rule(std::string_view text);
std::string_view to_string(arm_rule rule);

struct arm_choice {
  std::size_t chosen = 0;
  std::vector<arm> arms;
};

/// A reward is which part of the gains by the dollar of `pulls` are no greater; 0 without a gain.
/// Less than a tenth of a cent counts as that. By ranks, since one great leap would make all other
/// gains alike. Of arms that are alike the first is chosen; none that is `stuck` while another is
/// not. REQUIRES at least one arm.
arm_choice choose_arm(arm_rule rule, std::size_t arms, const std::vector<pull>& pulls,
                      random_source& chance, const std::vector<bool>& stuck = {});

}  // namespace germline::evolution
