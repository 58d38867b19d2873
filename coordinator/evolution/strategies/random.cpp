// random: any candidate, each with the same probability. Drift without selection: what a strategy
// that selects is to be better than.
#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {

result<maker> make_random(options&) {
  return stateless([](const archive& of, random_source& chance) {
    return choice{of.by_rank(chance.below(of.candidates())),
                  1.0 / static_cast<double>(of.candidates())};
  });
}

}  // namespace germline::evolution
