// Runs one command to its end, with a time limit and bounded output. Not for the persistent shell
// (shell.hpp). Blocks its caller.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace agent {

struct process_outcome {
  int exit_code = -1;  // 128 + signal if a signal ended it
  bool timed_out = false;
  std::string output;  // stdout and stderr as they came, bounded

  bool ok() const { return exit_code == 0 && !timed_out; }
};

/// Runs argv[0] (looked up in PATH) in `directory`, stdin empty. At the time limit its whole
/// process group is killed.
process_outcome run_process(const std::vector<std::string>& argv, const std::string& directory,
                            std::chrono::milliseconds limit);

/// `bash -c command` by run_process.
process_outcome run_command(const std::string& command, const std::string& directory,
                            std::chrono::milliseconds limit);

}  // namespace agent
