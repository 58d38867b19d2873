// child_process: one program that `germline up` starts: under which uid, with its output in which
// file, ending when its parent does. Signals go by pid, and to no other process.
// Owned by the supervisor; its thread only.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {

struct child_spec {
  std::string name;                  // "worker"
  std::vector<std::string> words;    // the program's path and its arguments
  std::vector<std::string> without;  // environment variables that it must not see
  std::vector<std::string> with;     // "NAME=value" that it sees in the place of the caller's
  std::string log_path;              // appended to; empty: output is dropped
  uid_t uid = 0;
  gid_t gid = 0;
};

class child_process {
 public:
  /// REQUIRES that this process has one thread.
  static result<child_process> start(const child_spec& spec);
  child_process() = default;
  child_process(child_process&& other) noexcept;
  child_process& operator=(child_process&& other) noexcept;
  /// Kills what still runs, and reaps it.
  ~child_process();

  bool running() const noexcept { return pid_ > 0; }
  pid_t pid() const noexcept { return pid_; }
  /// The wait status once it has ended, else nothing. Does not block.
  std::optional<int> ended();
  void signal(int number) const;

 private:
  explicit child_process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// A log, to be appended to; one that is larger than 16 MiB is put aside first, as PATH.1.
result<unique_fd> open_log(const std::string& path);

/// "exit code 1", "signal 9".
std::string wait_status_words(int status);

}  // namespace germline::cli
