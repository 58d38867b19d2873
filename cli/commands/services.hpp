// services: the daemons that this binary can be: the coordinator, and the worker's node. Main
// thread only, before any other starts.
#pragma once

#include "cli/session.hpp"

namespace germline::cli {

exit_code run_coordinator_command(const session& with);
exit_code run_worker_command(const session& with);

}  // namespace germline::cli
