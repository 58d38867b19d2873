// follow: prints what happens to a run until nothing more will: the seed was refused, or every
// lineage is paused, killed or retired. A coordinator that goes away for a while is waited for.
// Main thread only; it holds one more thread of its own while it runs.
#pragma once

#include <string>

#include "cli/client.hpp"
#include "cli/session.hpp"

namespace germline::cli {

/// done: founded and settled; failed: the seed was refused. Ends with the tree.
exit_code follow_run(const session& with, control_client& client, const std::string& run_id);

}  // namespace germline::cli
