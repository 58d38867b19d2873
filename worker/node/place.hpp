// place: where a worker's sandboxes run, as its Hello says it (fleet.proto): a boot of a machine, a
// pid namespace there, and the range of uids. A worker that starts ends all that a former one of
// the same place left behind; of any other place it can neither see nor end anything.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.hpp"

namespace germline::worker {

/// One word of at most 128 bytes.
result<std::string> place_of(std::uint32_t first_uid);

}  // namespace germline::worker
