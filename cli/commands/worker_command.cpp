#include "cli/commands/services.hpp"

namespace germline::cli {

exit_code run_worker_command(const session& with) {
  return run_worker_judged_by(with, nullptr);
}

}  // namespace germline::cli
