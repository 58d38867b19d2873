// near_duplicate: whether an iteration changed its parent as another generation did before it,
// which the run's policy may refuse before anything is built. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "germline/v1/fleet.pb.h"
#include "worker/node/building.hpp"

namespace germline::worker {

/// Why the change is refused, or nothing. `sketch` is change_sketch::bytes; what is none, here or
/// in the lease, is like nothing.
std::optional<refusal> why_near_duplicate(const v1::Lease& lease, const std::string& sketch);

}  // namespace germline::worker
