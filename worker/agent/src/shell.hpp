// One bash that lives as long as this object: directory, variables, functions and background jobs
// survive from command to command. It owns the process and its pipes. Not thread safe.
//
// How it works: bash runs interactively without a terminal, so that SIGINT brings it back to its
// prompt from whatever it was doing, as Ctrl-C does; background jobs ignore that signal. After each
// command it writes the command's number and exit status to a pipe of its own, so output never has
// to be parsed, and a status that comes late is not taken for that of the next command.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "bounded_output.hpp"
#include "process_tree.hpp"

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
  /// killed; the shell itself survives unless even that does not free it within half a minute.
  shell_outcome run(const std::string& command, std::chrono::milliseconds limit);

  /// Ends the shell with all that it started, and begins a new one in the first directory.
  void restart();

 private:
  using time_point = std::chrono::steady_clock::time_point;

  bool start();
  void stop();
  bool send(const std::string& line);
  // Has bash tell the last exit status as that of the present command.
  bool ask_for_status();
  // Takes what came through the status pipe. True: the present command's status is in it, or the
  // pipe's end.
  bool read_status(shell_outcome& outcome);
  // Waits for the exit status while output is collected. True: it came, or the shell ended.
  bool wait_for_status(time_point end, bounded_output& out, shell_outcome& outcome);
  // Frees the shell; of its descendants `before` are not killed.
  void interrupt(const process_set& before, bounded_output& out, shell_outcome& outcome);
  void drain(bounded_output& out);

  std::string directory_;
  std::string script_path_;
  pid_t pid_ = -1;
  unsigned long long number_ = 0;  // of the present command; never used twice
  std::string status_text_;        // of the status pipe, up to now without a line end
  int input_ = -1;
  int output_ = -1;
  int status_ = -1;
};

}  // namespace agent
