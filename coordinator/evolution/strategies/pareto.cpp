// pareto: a candidate that is the best at something, by at how many cases it is:
//
//   P(i) ~ the number of cases at which i is among the best, of those that are not dominated
//
// A candidate is dominated where at each case at which it is among the best another one is that is
// not dominated; it is asked of each in the order of their means, from the worst on, of one mean
// from the youngest. L. A. Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform
// Reinforcement Learning", 2025, algorithm 2. A case's value is the mean over the evaluations;
// without cases that are looked at the score is the only one.
//
// Differs from GEPA in what bounds it: of those that are alike the best at a case the 32 with the
// greatest means are looked at, and of a run the first 1,000 names of cases.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {
namespace {

constexpr std::size_t cases_max = 1'000;
constexpr std::size_t alike_max = 32;

class pareto final : public selector {
 public:
  pareto() { number_of(""); }

  void on_added(const archive&, std::size_t slot) override { known_.resize(slot + 1); }

  void on_measured(const archive& of, std::size_t slot, const measured_once& outcome) override {
    if (!outcome.score) return;
    const double sign = of.minimizes() ? -1 : 1;
    bool has_case = false;
    for (const auto& [name, value] : outcome.cases) {
      has_case = note(slot, name, sign * value) || has_case;
    }
    if (!has_case) note(slot, "", sign * *outcome.score);
  }

  void on_changed(const archive& of, std::size_t slot) override {
    std::vector<std::pair<std::size_t, double>> emptied;  // with the best value there was
    auto& it = known_[slot];
    for (const auto& [at, value] : it.placed) {
      auto& best = fronts_[at];
      if (best.value != value) continue;
      best.alike.erase({-it.mean, slot});
      if (best.alike.empty()) emptied.emplace_back(at, value);
    }
    it.placed.clear();
    if (of.is_candidate(slot)) {
      it.mean = of.at(slot).mean;
      for (const auto& [at, mean] : it.cases) {
        it.placed.emplace_back(at, mean.value);
        put(fronts_[at], slot, mean.value);
      }
    }
    // Where what alone was the best is so no more, the next best are looked for among all.
    for (const auto& [at, was] : emptied) {
      if (!fronts_[at].alike.empty() && fronts_[at].value >= was) continue;
      fronts_[at].alike.clear();
      for (std::size_t i = 0; i < known_.size(); ++i) {
        for (const auto& [its, value] : known_[i].placed) {
          if (its == at) put(fronts_[at], i, value);
        }
      }
    }
  }

  choice choose(const archive&, int /*lineage*/, random_source& chance) const override {
    const auto counts = undominated();
    std::size_t sum = 0;
    for (const auto& each : counts) sum += each.cases;
    auto left = chance.below(sum);
    for (const auto& each : counts) {
      if (left < each.cases) {
        return {each.slot, static_cast<double>(each.cases) / static_cast<double>(sum)};
      }
      left -= each.cases;
    }
    return {counts.back().slot};  // is not reached
  }

 private:
  struct known {
    std::map<std::size_t, running_mean> cases;
    std::vector<std::pair<std::size_t, double>> placed;  // as it is in the fronts
    double mean = 0;                                     // with which it is there
  };
  using by_mean = std::pair<double, std::size_t>;  // minus the mean, the slot
  struct front {
    double value = 0;         // of those that are alike the best at this case
    std::set<by_mean> alike;  // empty: no candidate has the case
  };
  struct counted {
    std::size_t slot = 0;
    std::size_t cases = 0;
  };

  /// None: it is new, and there are as many as may be.
  std::optional<std::size_t> number_of(const std::string& name) {
    const auto at = numbers_.find(name);
    if (at != numbers_.end()) return at->second;
    if (numbers_.size() > cases_max) return std::nullopt;
    fronts_.emplace_back();
    return numbers_.emplace(name, numbers_.size()).first->second;
  }

  /// Whether the case is looked at.
  bool note(std::size_t slot, const std::string& name, double value) {
    const auto number = number_of(name);
    if (!number) return false;
    known_[slot].cases[*number].add(value);
    return true;
  }

  void put(front& into, std::size_t slot, double value) const {
    if (into.alike.empty() || value > into.value) {
      into.alike.clear();
      into.value = value;
    }
    if (value == into.value) into.alike.emplace(-known_[slot].mean, slot);
  }

  std::vector<counted> undominated() const {
    std::map<by_mean, std::vector<std::size_t>> best_at;  // cases, by whom
    std::vector<std::size_t> left(fronts_.size());        // by case
    for (std::size_t i = 0; i < fronts_.size(); ++i) {
      for (const auto& who : fronts_[i].alike) {
        if (left[i] == alike_max) break;
        best_at[who].push_back(i);
        ++left[i];
      }
    }
    std::vector<counted> out;
    for (auto who = best_at.rbegin(); who != best_at.rend(); ++who) {
      const auto& cases = who->second;
      if (std::ranges::all_of(cases, [&](std::size_t i) { return left[i] > 1; })) {
        for (const auto i : cases) --left[i];
      } else {
        out.push_back({who->first.second, cases.size()});
      }
    }
    return out;
  }

  std::unordered_map<std::string, std::size_t> numbers_;  // of the cases; "" is the score
  std::vector<front> fronts_;                             // by case
  std::vector<known> known_;                              // by slot
};

}  // namespace

result<maker> make_pareto(options&) {
  return maker([] { return std::make_unique<pareto>(); });
}

}  // namespace germline::evolution
