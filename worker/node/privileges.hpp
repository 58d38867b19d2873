// privileges: how a service gives up root for good. Called once, early, from the only thread.
#pragma once

#include <cstdint>

#include "common/result.hpp"

namespace germline::worker {

/// Becomes uid and gid with no other group but `also`, where that is not 0, and no capability, and
/// cannot gain any again; memory is neither dumped nor readable by other processes of the same uid.
result<void> drop_privileges(std::uint32_t uid, std::uint32_t gid, std::uint32_t also = 0);

}  // namespace germline::worker
