// archive-sampling: any candidate, by its fitness and by how few children it has:
//
//   P(i) ~ sigmoid(L * x(i)) * 1 / (1 + children(i))
//
//   form=absolute  x = mean - 0.5, L = 10; for scores from 0 to 1. J. Zhang et al., "Darwin Goedel
//                  Machine: Open-Ended Evolution of Self-Improving Agents", 2025.
//   form=median    x = (mean - median) / MAD, L = 10; for scores of any scale. R. T. Lange et al.,
//                  "ShinkaEvolve: Towards Open-Ended And Sample-Efficient Program Evolution", 2025.
//
// Differs from both in that a child under way counts as a child: lineages that choose at the same
// time do not all choose the same. With MAD = 0 what is above the median has 1, what is on it 1/2,
// what is below 0.
//
// Drawn by rejection: a candidate by its children, kept with the probability of its sigmoid over
// the greatest one. As there are no more children than generations, some one in 8 draws is kept in
// form=median; in form=absolute, for scores in their range, one in 150.
#include <cmath>
#include <limits>

#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {
namespace {

constexpr double steepness = 10;
constexpr int draws_max = 100'000;  // then all are gone through

struct shape {
  double middle = 0.5;
  double unit = 1;  // 0: only the side of the middle counts

  double sigmoid(double mean) const {
    const double off = mean - middle;
    if (unit == 0) return off > 0 ? 1.0 : off < 0 ? 0.0 : 0.5;
    return 1 / (1 + std::exp(-steepness * off / unit));
  }
};

double weight(const archive& of, const shape& by, std::size_t slot) {
  return by.sigmoid(of.at(slot).mean) * of.childless_weight(slot);
}

double whole_weight(const archive& of, const shape& by) {
  double sum = 0;
  for (std::size_t i = 0; i < of.candidates(); ++i) sum += weight(of, by, of.by_rank(i));
  return sum;
}

/// By going through them from the best on.
std::size_t walk(const archive& of, const shape& by, random_source& chance) {
  double left = uniform(chance) * whole_weight(of, by);
  for (std::size_t i = of.candidates(); i-- > 1;) {
    const auto slot = of.by_rank(i);
    left -= weight(of, by, slot);
    if (left < 0) return slot;
  }
  return of.by_rank(0);
}

std::size_t draw(const archive& of, const shape& by, random_source& chance) {
  const double most = by.sigmoid(of.at(of.by_rank(of.candidates() - 1)).mean);
  for (int i = 0; i < draws_max; ++i) {
    const auto slot = of.draw_by_children(chance);
    if (uniform(chance) * most < by.sigmoid(of.at(slot).mean)) return slot;
  }
  return walk(of, by, chance);
}

}  // namespace

result<maker> make_archive_sampling(options& given) {
  auto& form = given.try_emplace("form", "median").first->second;
  if (form != "median" && form != "absolute") {
    return invalid("form is '" + form + "'; it can be median or absolute");
  }
  return stateless([absolute = form == "absolute"](const archive& of, random_source& chance) {
    shape by;
    if (!absolute) by = {of.median(), of.spread()};
    choice chosen{draw(of, by, chance)};
    if (of.candidates() <= exact_candidates_max) {
      chosen.probability = weight(of, by, chosen.slot) / whole_weight(of, by);
    }
    return chosen;
  });
}

}  // namespace germline::evolution
