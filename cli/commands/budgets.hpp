// budgets: what commands that ask for budgets share.
#pragma once

#include "cli/client.hpp"
#include "common/result.hpp"

namespace germline::cli {

/// That the coordinator is of a version that bounds tokens and requests. An older one does not read
/// what a request says of them, nor that a budget of money is to stay as it is.
result<void> check_knows_counts(control_client& client);

}  // namespace germline::cli
