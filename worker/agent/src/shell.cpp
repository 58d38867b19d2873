#include "shell.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "files.hpp"

namespace agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int status_fd = 9;  // what bash sees the status pipe as

// Bounds for a machine that is slow; a shell that is well needs a few milliseconds.
constexpr milliseconds start_limit{60'000};
constexpr milliseconds free_limit{30'000};
constexpr milliseconds first_pause{300};  // doubles
constexpr milliseconds longest_pause{5'000};
constexpr int mild_attempts = 3;  // that only interrupt

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

[[noreturn]] void become_bash(const std::string& directory, int input, int output, int status) {
  setsid();
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  if (status == status_fd) fcntl(status, F_SETFD, 0);  // dup2 would leave it to be closed
  dup2(status, status_fd);
  signal(SIGPIPE, SIG_DFL);
  setenv("PS1", "", 1);
  setenv("TERM", "dumb", 1);
  if (chdir(directory.c_str()) != 0) _exit(126);
  execlp("bash", "bash", "--noprofile", "--norc", "--noediting", "-i", nullptr);
  _exit(127);
}

}  // namespace

shell::shell(std::string directory) : directory_(std::move(directory)) {
  signal(SIGPIPE, SIG_IGN);
  const char* temporary = getenv("TMPDIR");
  std::string name = std::string(temporary != nullptr ? temporary : "/tmp") + "/agent-shell-XXXXXX";
  const int fd = mkstemp(name.data());
  if (fd >= 0) close(fd);
  script_path_ = name;
}

shell::~shell() {
  stop();
  unlink(script_path_.c_str());
}

bool shell::start() {
  int input[2], output[2], status[2];
  if (pipe2(input, O_CLOEXEC) != 0) return false;
  if (pipe2(output, O_CLOEXEC) != 0) return false;
  if (pipe2(status, O_CLOEXEC) != 0) return false;
  pid_ = fork();
  if (pid_ == 0) become_bash(directory_, input[0], output[1], status[1]);
  close(input[0]);
  close(output[1]);
  close(status[1]);
  input_ = input[1];
  output_ = output[0];
  status_ = status[0];
  fcntl(output_, F_SETFL, O_NONBLOCK);
  if (pid_ < 0) return false;
  // bash complains once about the missing terminal; that is read away here.
  bounded_output ignored;
  shell_outcome outcome;
  status_text_.clear();
  ++number_;
  return send("PS1=; PS2=; set +H +o history; unset TERM\n") && ask_for_status() &&
         wait_for_status(steady_clock::now() + start_limit, ignored, outcome) &&
         !outcome.shell_ended;
}

void shell::stop() {
  if (pid_ > 0) {
    kill_tree(pid_);
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
  close_fd(input_);
  close_fd(output_);
  close_fd(status_);
}

void shell::restart() {
  stop();
  start();
}

bool shell::send(const std::string& line) {
  return write(input_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

bool shell::ask_for_status() {
  return send("printf '" + std::to_string(number_) + " %s\\n' \"$?\" >&9\n");
}

shell_outcome shell::run(const std::string& command, milliseconds limit) {
  shell_outcome outcome;
  bounded_output out;
  if (pid_ < 0 && !start()) {
    stop();
    outcome.shell_ended = true;
    outcome.output = "bash could not be started";
    return outcome;
  }
  drain(out);  // what background jobs wrote since the last command
  ++number_;
  const auto before = descendants_of(pid_);
  write_file(script_path_, command);
  send("{ eval \"$(<" + script_path_ + ")\"; } </dev/null 9>&-\n");
  ask_for_status();
  if (!wait_for_status(steady_clock::now() + limit, out, outcome)) {
    outcome.timed_out = true;
    interrupt(before, out, outcome);
  }
  drain(out);
  if (outcome.shell_ended) stop();
  outcome.output = out.text();
  return outcome;
}

bool shell::read_status(shell_outcome& outcome) {
  char bytes[512];
  const auto got = read(status_, bytes, sizeof bytes);
  outcome.shell_ended = got <= 0;
  if (got <= 0) return true;
  status_text_.append(bytes, static_cast<std::size_t>(got));
  bool came = false;
  for (auto end = status_text_.find('\n'); end != std::string::npos;
       end = status_text_.find('\n')) {
    const auto space = status_text_.find(' ');
    // Several lines may have this number: the first tells of the command, the rest of an interrupt.
    if (!came && space < end && status_text_.substr(0, space) == std::to_string(number_)) {
      outcome.exit_code = atoi(status_text_.c_str() + space);
      came = true;
    }
    status_text_.erase(0, end + 1);
  }
  return came;
}

bool shell::wait_for_status(time_point end, bounded_output& out, shell_outcome& outcome) {
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting[2] = {{output_, POLLIN, 0}, {status_, POLLIN, 0}};
    if (poll(waiting, 2, static_cast<int>(left)) <= 0) continue;
    if (waiting[0].revents != 0) drain(out);
    if (waiting[1].revents != 0 && read_status(outcome)) return true;
    // All ends of the output are closed, the shell's too: only the status pipe tells more.
    if ((waiting[0].revents & (POLLHUP | POLLIN)) == POLLHUP) usleep(1000);
  }
}

void shell::interrupt(const process_set& before, bounded_output& out, shell_outcome& outcome) {
  const auto end = steady_clock::now() + free_limit;
  auto pause = first_pause;
  for (int attempt = 0; attempt == 0 || steady_clock::now() < end; ++attempt) {
    kill(-pid_, SIGINT);
    // A program that catches or ignores the interrupt is killed a little later.
    if (attempt >= mild_attempts) kill_tree(pid_, before);
    // The interrupt may have hit the request for the status itself, where bash is slow to get
    // there.
    ask_for_status();
    if (wait_for_status(steady_clock::now() + pause, out, outcome)) return;
    // The pauses grow, so that a slow bash gets from one interrupt to the status before the next.
    if (attempt >= mild_attempts) pause = std::min(pause * 2, longest_pause);
  }
  outcome.shell_ended = true;
}

void shell::drain(bounded_output& out) {
  char buffer[65536];
  // Bounded, so that a flood cannot keep the agent here.
  for (int reads = 0; output_ >= 0 && reads < 64; ++reads) {
    const auto got = read(output_, buffer, sizeof buffer);
    if (got <= 0) return;
    out.append({buffer, static_cast<std::size_t>(got)});
  }
}

}  // namespace agent
