// up: all of Germline on this machine, as `germline up` runs it: lays out the state folder, takes
// its lock, and supervises a coordinator and one or more workers. Main thread only, before any
// other starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "cli/up/supervisor.hpp"

namespace germline::cli {

/// Who the services run as. All lie beneath the first sandbox's range.
struct service_uids {
  uid_t node = 0;
  uid_t gateway = 0;
  uid_t coordinator = 0;
  gid_t group = 0;
  gid_t socket_group = 0;  // the nodes alone are in it
  uid_t mirror = 0;
};
/// With this machine's uid_base.
service_uids uids_of(const config& settings);

// Several workers on one machine: the uids of each lie beside those of the one before, with room
// for as many sandboxes as a worker may ever have, so that nobody's uids move when slots do.
inline constexpr std::int64_t workers_most = 16;
inline constexpr std::int64_t uids_per_worker = 65'536LL * (1 + 2 * 64);

/// Of the worker with this index, from 0 on.
std::int64_t uid_base_of(const config& settings, std::size_t worker);
service_uids uids_of_worker(const config& settings, std::size_t worker);
/// "worker", "worker-2": its folder and its log.
std::string worker_name(std::size_t worker);
/// Whether there are uids for so many workers from uid_base on.
result<void> check_uid_room(const config& settings, std::int64_t workers);

/// The command lines and accounts of the children. `self` is this program's path. One worker for
/// each of `gateway_configs`; an empty one: it can use no model. Pure.
supervisor_plan plan_of(const config& settings, const std::string& self,
                        const std::vector<std::string>& gateway_configs);

struct up_options {
  bool detach = false;
  std::optional<std::int64_t> workers;
  std::string price_file;  // the shipped one
};
exit_code run_up(const session& with, const up_options& options);

/// Ends the `germline up` of the state folder, and returns when it has ended.
exit_code run_down(const session& with);

}  // namespace germline::cli
