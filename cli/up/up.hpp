// up: all of Germline on this machine, as `germline up` runs it: lays out the state folder, takes
// its lock, and supervises a coordinator and a worker. Main thread only, before any other starts.
#pragma once

#include "cli/session.hpp"
#include "cli/up/supervisor.hpp"

namespace germline::cli {

/// Who the services run as. All lie beneath the first sandbox's range.
struct service_uids {
  uid_t node = 0;
  uid_t gateway = 0;
  uid_t coordinator = 0;
  gid_t group = 0;
};
service_uids uids_of(const config& settings);

/// The command lines and accounts of the children. `self` is this program's path. An empty
/// `gateway_config`: no model can be used. Pure.
supervisor_plan plan_of(const config& settings, const std::string& self,
                        const std::string& gateway_config);

struct up_options {
  bool detach = false;
  std::string price_file;  // the shipped one
};
exit_code run_up(const session& with, const up_options& options);

/// Ends the `germline up` of the state folder, and returns when it has ended.
exit_code run_down(const session& with);

}  // namespace germline::cli
