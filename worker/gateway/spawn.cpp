#include "worker/gateway/spawn.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.hpp"

namespace germline::worker {
namespace {

constexpr int first_fd = 3;          // in the child
constexpr std::size_t most_fds = 3;  // and so the binary's is 6 at most
constexpr int out_of_the_way_fd = 10;

struct prepared {
  const helper_spec& spec;
  char* const* argv;
  char* const* envp;
  int binary;
};

/// Runs in the child between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const prepared& what) {
  const auto& spec = what.spec;
  // Out of the way first, so that no duplication overwrites another's source.
  int copies[most_fds] = {};
  const auto count = static_cast<int>(spec.descriptors.size());
  for (int i = 0; i < count; ++i) {
    copies[i] = ::fcntl(spec.descriptors[static_cast<std::size_t>(i)], F_DUPFD, out_of_the_way_fd);
    if (copies[i] < 0) ::_exit(126);
  }
  const int binary_copy = ::fcntl(what.binary, F_DUPFD, out_of_the_way_fd);
  for (int i = 0; i < count; ++i) {
    if (::dup2(copies[i], first_fd + i) < 0) ::_exit(126);
  }
  const int binary_fd = first_fd + count;
  if (binary_copy < 0 || ::dup3(binary_copy, binary_fd, O_CLOEXEC) < 0) ::_exit(126);
  ::close_range(static_cast<unsigned>(binary_fd) + 1, ~0U, 0);
  ::setsid();  // a terminal's interrupt is for the caller, which then closes what is open here
  if (spec.gid || spec.uid) {
    if (::setgroups(0, nullptr) != 0) ::_exit(126);
    if (spec.gid && ::setresgid(*spec.gid, *spec.gid, *spec.gid) != 0) ::_exit(126);
    if (spec.uid && ::setresuid(*spec.uid, *spec.uid, *spec.uid) != 0) ::_exit(126);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // By descriptor, since the folders above the binary may be closed to the new uid.
  ::syscall(SYS_execveat, binary_fd, "", what.argv, what.envp, AT_EMPTY_PATH);
  ::_exit(127);
}

}  // namespace

result<pid_t> spawn_helper(const helper_spec& spec) {
  GERMLINE_ASSERT(spec.descriptors.size() <= most_fds);
  const unique_fd binary(::open(spec.binary.c_str(), O_PATH | O_CLOEXEC));
  if (!binary) return errno_error("opening " + spec.binary, errno);
  // What the child could tell of by its end alone.
  struct stat status {};
  if (::fstat(binary.get(), &status) != 0) return errno_error("looking at " + spec.binary, errno);
  if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0) {
    return error(error_code::invalid_argument,
                 spec.binary +
                     " is no program: it must be a file that may be executed, as "
                     "Germline's installation brings it");
  }
  std::vector<std::string> words{spec.binary};
  words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/bin:/bin";
  char* envp[] = {path.data(), nullptr};
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("forking " + spec.binary, errno);
  if (pid == 0) become({spec, argv.data(), envp, binary.get()});
  return pid;
}

void end_helper(pid_t pid) {
  for (int waited_ms = 0; waited_ms < 2000; waited_ms += 10) {
    const pid_t ended = ::waitpid(pid, nullptr, WNOHANG);
    if (ended == pid || (ended < 0 && errno == ECHILD)) return;
    ::usleep(10'000);
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

result<control_pair> make_control_pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("making a control socket", errno);
  }
  const timeval longest_send{2, 0};
  ::setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &longest_send, sizeof longest_send);
  return control_pair{unique_fd(pair[0]), unique_fd(pair[1])};
}

result<void> harden_helper(const char* name) {
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno_error("hardening the process", errno);
  }
  if (::geteuid() == 0) {
    return error(error_code::permission_denied, "it does not run as root");
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_NAME, name, 0, 0, 0);  // it was a descriptor's number
  return {};
}

}  // namespace germline::worker
