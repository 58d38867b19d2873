// clade-thompson: the candidate whose descendants do best, not itself, by Thompson sampling:
//
//   parent = argmax over candidates i of a draw from Beta(1 + won(C(i)), 1 + lost(C(i)))
//
// where C(i) is i with all that descends from it, and won and lost count the cases of all its
// evaluations: won is a case whose value is at least `pass` (at most, where scores are minimized);
// an evaluation without cases is one case, its score. W. Wang et al., "Huxley-Goedel Machine:
// Human-Level Coding Agent Development by an Approximation of the Optimal Self-Improving Machine",
// 2025.
//
// From it comes also when to measure instead. A parent is chosen where
//
//   N ^ expand >= generations - 1 + iterations under way
//
// with N the cases that there are, else a candidate is measured once more: argmax of a draw from
// Beta(1 + won(i), 1 + lost(i)), of its own cases alone. expand=1 all but never measures again.
//
// Differs from the paper in that an evaluation without a score is neither won nor lost; it counts
// in N, so that evaluations which only fail end too. The cool-down is left out. Its published code
// counts the cases of children anew at each call; here each counts once.
#include <cmath>

#include "coordinator/evolution/strategies/strategies.hpp"
#include "coordinator/evolution/tally_groups.hpp"

namespace germline::evolution {
namespace {

class clade_thompson final : public selector {
 public:
  clade_thompson(double expand, double pass) : expand_(expand), pass_(pass) {}

  void on_added(const archive&, std::size_t slot) override {
    own_.resize(slot + 1);
    clade_.resize(slot + 1);
  }

  void on_measured(const archive& of, std::size_t slot, const measured_once& outcome) override {
    if (!outcome.score) {
      ++cases_;
      return;
    }
    tally_of_slot more;
    const auto count = [&](double value) {
      const bool won = of.minimizes() ? value <= pass_ : value >= pass_;
      ++(won ? more.won : more.lost);
    };
    for (const auto& each : outcome.cases) count(each.second);
    if (outcome.cases.empty()) count(*outcome.score);
    cases_ += more.won + more.lost;
    add(own_[slot], more);
    for (auto at = std::optional(slot); at; at = of.at(*at).parent) {
      add(clade_[*at], more);
      place(of, *at);
    }
  }

  void on_changed(const archive& of, std::size_t slot) override { place(of, slot); }

  choice choose(const archive& of, int /*lineage*/, random_source& chance) const override {
    const auto born = static_cast<double>(of.size() - 1 + of.under_way());
    if (std::pow(static_cast<double>(cases_), expand_) >= born) return {by_clade_.draw(chance)};
    return {by_own_.draw(chance), std::nullopt, true};
  }

 private:
  static void add(tally_of_slot& to, const tally_of_slot& more) {
    to.won += more.won;
    to.lost += more.lost;
  }

  void place(const archive& of, std::size_t slot) {
    const bool takes_part = of.is_candidate(slot);
    by_own_.set(slot, takes_part ? std::optional(own_[slot]) : std::nullopt);
    by_clade_.set(slot, takes_part ? std::optional(clade_[slot]) : std::nullopt);
  }

  double expand_;
  double pass_;
  std::int64_t cases_ = 0;
  std::vector<tally_of_slot> own_, clade_;  // by slot
  tally_groups by_own_, by_clade_;          // of the candidates
};

}  // namespace

result<maker> make_clade_thompson(options& given) {
  GERMLINE_TRY_ASSIGN(const auto expand, number_option(given, "expand", "0.6", 0.25, 1));
  GERMLINE_TRY_ASSIGN(const auto pass, number_option(given, "pass", "0.5", -1e100, 1e100));
  return maker([=] { return std::make_unique<clade_thompson>(expand, pass); });
}

}  // namespace germline::evolution
