// uid_range: who uses the uids from a number on, on this machine: two workers with the same ones
// would sweep each other's sandboxes away as leftovers. Any thread.
#pragma once

#include <cstdint>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline {

/// Held as long as the descriptor is open. failed_precondition: another worker has them.
result<unique_fd> take_uid_range(std::uint32_t first_uid);

}  // namespace germline
