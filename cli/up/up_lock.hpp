// up_lock: the file up.pid of a state folder: whoever holds its lock is the folder's `germline up`,
// and the file says which process that is. Made by `up`, which removes it when it ends; read by
// `down`, which believes the number only of a process that has this very file open, so that a
// number that was left behind, and is another process's now, ends nobody.
// Main thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {

class up_lock {
 public:
  /// Error failed_precondition: another `germline up` has it.
  static result<up_lock> take(const std::string& state_dir);
  up_lock(up_lock&&) noexcept = default;
  up_lock& operator=(up_lock&&) noexcept = delete;
  /// Removes the file and lets go. A process that was forked must not come here: it would remove
  /// the file of the other.
  ~up_lock();

  /// Says that the holder is this process.
  result<void> write_pid() const;

 private:
  up_lock(std::string path, unique_fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  unique_fd lock_;
};

/// A running `germline up`, by a handle that never means another process.
struct running_up {
  pid_t pid = -1;
  unique_fd process;  // a pidfd
};

/// Error not_found: none runs with this folder. Error permission_denied: this account may not look.
result<running_up> find_up(const std::string& state_dir, const clock& time);

/// Asks it to end and waits until it has. Error deadline_exceeded: not within `limit_ms`.
result<void> end_up(const running_up& up, std::int64_t limit_ms, const clock& time);

}  // namespace germline::cli
