// sandbox_backend and sandbox: the seam behind which every way of confining a program stands. Pure
// interfaces, so that tests can put a fake. A sandbox owns everything that it made on the host;
// its destructor destroys it.
// Calls block, each with a bound; a sandbox may be used from several threads at once (one may sit
// in wait() while another calls kill()). Never call them from an actor's handler.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/policy.hpp"

namespace germline {

/// A process of one sandbox, by the number that start() gave it.
struct process_handle {
  std::uint32_t id = 0;
  auto operator<=>(const process_handle&) const = default;
};

struct process_spec {
  std::vector<std::string> argv;  // argv[0]: absolute path, or a name looked up in PATH of `env`
  std::vector<std::string> env;   // "NAME=value"; HOME, PATH, USER are added where missing
  std::string cwd = "/workspace";
  uid_role role = uid_role::agent;
  unique_fd stdin_fd;        // none = /dev/null. Give pipes only: paths of files would show inside
  unique_fd stdout_fd;       // none = /dev/null
  unique_fd stderr_fd;       // none = /dev/null
  unique_fd report_fd;       // none = closed; else descriptor 3 inside
  std::int64_t wall_ms = 0;  // 0 = only the sandbox's deadline; else its process group is killed
  /// All else that runs in the sandbox is killed and gone before this starts, so that nothing of it
  /// can meddle with this process or its memory, or take all that the limits allow.
  bool alone = false;
};

enum class outcome_kind : std::uint8_t {
  exited,         // code says how
  signalled,      // code is the signal
  timed_out,      // wall_ms or the sandbox's deadline passed
  out_of_memory,  // the memory limit was hit
  violation,      // seccomp killed it
  setup_error,    // it never ran; detail says why
  killed,         // by kill(), destroy(), or the death of a supervisor
};

/// "exited", "signalled", ...
std::string_view to_string(outcome_kind kind) noexcept;

struct process_outcome {
  outcome_kind kind = outcome_kind::exited;
  int code = 0;  // exit status, or signal
  std::string detail;
  std::int64_t wall_ms = 0;
  std::int64_t cpu_ms = 0;  // of the process and what it waited for
  std::int64_t peak_memory_bytes = 0;

  bool succeeded() const noexcept { return kind == outcome_kind::exited && code == 0; }
};

struct sandbox_usage {
  std::int64_t memory_bytes = 0;
  std::int64_t peak_memory_bytes = 0;
  std::int64_t cpu_ms = 0;
  std::int64_t pids = 0;
  std::int64_t oom_kills = 0;
};

/// Proof of a kill: every process of the sandbox was gone when it was written.
struct kill_report {
  bool proven = false;
  std::int64_t took_ms = 0;
};

class sandbox {
 public:
  virtual ~sandbox() = default;

  /// Starts a process. An error of code invalid_argument or not_found is the spec's fault; then
  /// nothing runs.
  virtual result<process_handle> start(process_spec spec) = 0;
  /// Waits for the end of a process. deadline_exceeded: it still runs, wait again.
  virtual result<process_outcome> wait(process_handle process, std::int64_t timeout_ms) = 0;
  /// Signals the process group of one process.
  virtual result<void> signal(process_handle process, int signal_number) = 0;
  virtual result<sandbox_usage> read_usage() = 0;
  /// Moves the deadline to `deadline_boot_ms` on CLOCK_BOOTTIME (clock::boot_ms).
  virtual result<void> renew(std::int64_t deadline_boot_ms) = 0;
  /// Kills everything inside and returns with proof. Calling it again is harmless.
  virtual result<kill_report> kill() = 0;
  /// kill(), then removes every trace on the host. Calling it again is harmless.
  virtual result<void> destroy() = 0;
  /// The socket that listens on 127.0.0.1:gateway_port inside; once, then none. Close it when the
  /// sandbox ends: it keeps the dead network namespace alive.
  virtual unique_fd take_gateway_listener() = 0;
};

class sandbox_backend {
 public:
  virtual ~sandbox_backend() = default;
  /// A sandbox that is ready, with nothing running in it but its init.
  virtual result<std::unique_ptr<sandbox>> prepare(const sandbox_policy& policy) = 0;
  /// Sweeps what an earlier life of this instance left behind. Call before the first prepare().
  virtual result<void> recover() = 0;
};

}  // namespace germline
