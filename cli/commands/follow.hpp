// follow: prints what happens until nothing more will: to a run, until the seed was refused, or
// every lineage is paused, killed or retired; to anything else, until the coordinator says that it
// has ended. A coordinator that goes away for a while is waited for, and nothing is told twice.
// Main thread only; it holds one more thread of its own while it follows a run.
#pragma once

#include <string>

#include "cli/client.hpp"
#include "cli/session.hpp"

namespace germline::cli {

/// done: founded and settled, be it by a pause, which is told with its reason; failed: the seed was
/// refused, or killed before that was known. Ends with the tree.
exit_code follow_run(const session& with, control_client& client, const v1::CreateRunReply& run);

/// Of a run, lineage, iteration or attempt.
exit_code follow_logs(const session& with, control_client& client, const std::string& target);

/// Whether it is a run of more lineages than one.
bool is_of_several(control_client& client, const std::string& target);

}  // namespace germline::cli
