// process_table: the processes that init started, and for whom. Forks, signals and reaps them. Used
// by germline-init alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "common/result.hpp"
#include "sandbox/init/confine.hpp"

namespace germline::init {

/// Who waits for a process: the supervisor's id, or a connection of as-candidate.
struct process_owner {
  bool is_candidate = false;
  std::uint32_t id = 0;  // the supervisor's number, or the connection's
  auto operator<=>(const process_owner&) const = default;
};

struct process_end {
  process_owner owner;
  int status = 0;  // as of wait(2)
  std::int64_t cpu_ms = 0;
  std::int64_t peak_memory_bytes = 0;
};

class process_table {
 public:
  /// Starts the program; an error says that it never ran. The spec's descriptors stay the caller's.
  result<void> start(process_owner owner, program_spec spec, const std::string& seccomp);
  /// Signals the owner's process group, where it still runs.
  void signal(process_owner owner, int number) const;
  /// Kills every process but this one, and waits until all are gone: at most 5 s, then an error.
  result<void> end_all(const std::function<void(const process_end&)>& tell);
  /// Collects every child that ended, adopted ones too, and tells of those that were started here.
  void reap(const std::function<void(const process_end&)>& tell);

 private:
  std::map<pid_t, process_owner> running_;
};

}  // namespace germline::init
