// waiting: what an item that nobody has waits for, for people. Pure; any thread.
#pragma once

#include <string>

#include "coordinator/actors.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {

/// "a free slot on a worker", or why no worker that there is would be leased it.
std::string waits_for(const worker_statuses& workers, const worker_needs& needs);
/// The same, with who is to have it first, or what keeps the coordinator itself from leasing it.
std::string waits_for(const fleet_status& fleet, const std::string& item,
                      const worker_needs& needs);

/// Whether no worker has the iteration just now.
bool is_unleased(const v1::IterationInfo& iteration);

}  // namespace germline
