// One bash that lives as long as this object: directory, variables, functions and background jobs
// survive from command to command. It owns the process and its pipes. Not thread safe.
//
// How it works: bash runs interactively without a terminal, so that SIGINT brings it back to its
// prompt from whatever it was doing, as Ctrl-C does; background jobs ignore that signal. After each
// command it writes the exit status to a pipe of its own, so output never has to be parsed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "bounded_output.hpp"

namespace agent {

struct shell_outcome {
  int exit_code = -1;
  bool timed_out = false;
  bool shell_ended = false;  // `exit`, or a kill at the limit: the next command gets a new shell
  std::string output;        // stdout and stderr as they came, bounded
};

class shell {
 public:
  explicit shell(std::string directory);
  ~shell();
  shell(const shell&) = delete;
  shell& operator=(const shell&) = delete;

  /// Runs `command`, its stdin empty. At the limit what runs in the foreground is interrupted, then
  /// killed; the shell itself survives unless even that does not free it.
  shell_outcome run(const std::string& command, std::chrono::milliseconds limit);

  /// Ends the shell with all that it started, and begins a new one in the first directory.
  void restart();

 private:
  using time_point = std::chrono::steady_clock::time_point;

  bool start();
  void stop();
  bool send(const std::string& line);
  // Waits for the exit status while output is collected. True: it came, or the shell ended.
  bool wait_for_status(time_point end, bounded_output& out, shell_outcome& outcome);
  void interrupt(time_point begin, bounded_output& out, shell_outcome& outcome);
  void drain(bounded_output& out);

  std::string directory_;
  std::string script_path_;
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int status_ = -1;
};

}  // namespace agent
