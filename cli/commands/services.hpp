// services: the daemons that this binary can be: the coordinator, and the worker's node. Main
// thread only, before any other starts.
#pragma once

#include "cli/session.hpp"
#include "worker/node/service.hpp"

namespace germline::cli {

exit_code run_coordinator_command(const session& with);
exit_code run_worker_command(const session& with);
/// The same with another validator. Programs of `tests/` put a run_worker_command of their own in
/// the place of worker_command.cpp; nothing in the product calls this with a seam.
exit_code run_worker_judged_by(const session& with, const worker::validator_seam& seam);

}  // namespace germline::cli
