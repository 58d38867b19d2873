// best: always the best generation so far, by the lower bound of its mean at 95 %, so that one
// lucky score of a few is not copied for ever. Greedy: all lineages go on from the same one.
#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {

result<maker> make_best(options&) {
  return stateless([](const archive& of, random_source&) { return choice{of.best(), 1.0}; });
}

}  // namespace germline::evolution
