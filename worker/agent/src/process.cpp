#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounded_output.hpp"

namespace agent {
namespace {

using steady = std::chrono::steady_clock;

[[noreturn]] void become(const std::vector<std::string>& argv, const std::string& directory,
                         int output) {
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, 0);
  dup2(output, 1);
  dup2(output, 2);
  if (chdir(directory.c_str()) != 0) _exit(126);
  std::vector<char*> arguments;
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Reads until the command's end, not until the pipe's: a background child may hold that open.
void collect(int fd, pid_t child, steady::time_point end, bounded_output& out,
             process_outcome& outcome) {
  char buffer[16384];
  int status = 0;
  bool ended = false;
  while (true) {
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, ended ? 0 : 20);
    if (ready > 0) {
      const auto got = read(fd, buffer, sizeof buffer);
      if (got > 0) out.append({buffer, static_cast<std::size_t>(got)});
      if (got <= 0 && ended) break;
      if (got <= 0) usleep(5000);
    } else if (ended) {
      break;
    }
    if (!ended && waitpid(child, &status, WNOHANG) == child) {
      ended = true;
      outcome.exit_code = exit_code_of(status);
    }
    if (!ended && steady::now() >= end) {
      outcome.timed_out = true;
      kill(-child, SIGKILL);
      waitpid(child, &status, 0);
      ended = true;
      outcome.exit_code = exit_code_of(status);
    }
    if (ended && steady::now() >= end + std::chrono::seconds(1)) break;
  }
}

}  // namespace

process_outcome run_process(const std::vector<std::string>& argv, const std::string& directory,
                            std::chrono::milliseconds limit) {
  process_outcome outcome;
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
    outcome.output = "no pipe for the command";
    return outcome;
  }
  const pid_t child = fork();
  if (child == 0) become(argv, directory, pipe_fds[1]);
  close(pipe_fds[1]);
  if (child > 0) {
    setpgid(child, child);
    bounded_output out;
    collect(pipe_fds[0], child, steady::now() + limit, out, outcome);
    outcome.output = out.text();
  } else {
    outcome.output = "no process for the command";
  }
  close(pipe_fds[0]);
  return outcome;
}

process_outcome run_command(const std::string& command, const std::string& directory,
                            std::chrono::milliseconds limit) {
  return run_process({"bash", "-c", command}, directory, limit);
}

}  // namespace agent
