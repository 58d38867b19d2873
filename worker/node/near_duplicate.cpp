#include "worker/node/near_duplicate.hpp"

#include <cmath>

#include "common/text/change_sketch.hpp"

namespace germline::worker {
namespace {

std::string percent(double part) {
  return std::to_string(static_cast<int>(std::floor(100 * part))) + " %";
}

}  // namespace

std::optional<refusal> why_near_duplicate(const v1::Lease& lease, const std::string& sketch) {
  if (lease.near_duplicate() <= 0) return std::nullopt;
  const auto changed = change_sketch::read(sketch);
  if (!changed) return std::nullopt;
  const v1::SiblingChange* nearest = nullptr;
  double likeness = 0;
  for (const auto& sibling : lease.siblings()) {
    const auto its = change_sketch::read(sibling.change_sketch());
    const double found = its ? changed->likeness(*its) : 0;
    if (found <= likeness) continue;
    likeness = found;
    nearest = &sibling;
  }
  if (nearest == nullptr || likeness < lease.near_duplicate()) return std::nullopt;
  return refusal{"near_duplicate", "the change is that of " + nearest->generation_id() + " by " +
                                       percent(likeness) + ", and the run refuses " +
                                       percent(lease.near_duplicate()) + " or more; try another"};
}

}  // namespace germline::worker
