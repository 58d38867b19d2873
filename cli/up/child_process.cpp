#include "cli/up/child_process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace germline::cli {
namespace {

constexpr off_t rotate_above_bytes = 16 * 1024 * 1024;

/// The caller's environment as the child shall see it. Points into `spec`.
std::vector<char*> environment_of(const child_spec& spec) {
  const auto name_of = [](std::string_view entry) { return entry.substr(0, entry.find('=')); };
  std::vector<std::string_view> left_out(spec.without.begin(), spec.without.end());
  std::vector<char*> kept;
  for (const auto& entry : spec.with) {
    left_out.push_back(name_of(entry));
    kept.push_back(const_cast<char*>(entry.c_str()));
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::find(left_out.begin(), left_out.end(), name_of(*entry)) == left_out.end()) {
      kept.push_back(*entry);
    }
  }
  kept.push_back(nullptr);
  return kept;
}

/// In the child: never returns.
[[noreturn]] void become(const child_spec& spec, int output, pid_t parent,
                         std::vector<char*>& arguments, std::vector<char*>& environment) {
  // A group of its own: Ctrl-C at the terminal is the supervisor's to act on, in order.
  ::setpgid(0, 0);
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::umask(0077);
  const bool drops = spec.uid != 0;
  if (drops && (::setgroups(0, nullptr) != 0 || ::setresgid(spec.gid, spec.gid, spec.gid) != 0 ||
                ::setresuid(spec.uid, spec.uid, spec.uid) != 0)) {
    ::_exit(126);
  }
  if (drops) ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // After the change of uid, which clears it.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  if (::getppid() != parent) ::_exit(0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

}  // namespace

result<unique_fd> open_log(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0 && about.st_size > rotate_above_bytes) {
    ::rename(path.c_str(), (path + ".1").c_str());
  }
  unique_fd log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!log) return errno_error("opening " + path, errno);
  return log;
}

result<child_process> child_process::start(const child_spec& spec) {
  const auto path = spec.log_path.empty() ? std::string("/dev/null") : spec.log_path;
  GERMLINE_TRY_ASSIGN(const auto output, open_log(path));
  auto environment = environment_of(spec);
  std::vector<char*> arguments;
  for (const auto& word : spec.words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork", errno);
  if (pid == 0) become(spec, output.get(), parent, arguments, environment);
  return child_process(pid);
}

child_process::child_process(child_process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)) {}

child_process& child_process::operator=(child_process&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

child_process::~child_process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

std::optional<int> child_process::ended() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return status;
}

void child_process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

std::string wait_status_words(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace germline::cli
