// seed: every iteration starts from the seed. Nothing accumulates, so it is random search by the
// seed's own way of changing itself: the other thing that a strategy is to be better than.
#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {

result<maker> make_seed(options&) {
  return stateless([](const archive&, random_source&) { return choice{0, 1.0}; });
}

}  // namespace germline::evolution
