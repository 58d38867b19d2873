#include "sandbox/init/processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "common/unique_fd.hpp"
#include "sandbox/wire.hpp"

namespace germline::init {
namespace {

[[noreturn]] void child(program_spec& spec, const std::string& seccomp, int report) {
  const auto failure = confine_and_exec(spec, seccomp);
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(failure.code())).text(failure.message());
  (void)!::write(report, out.bytes().data(), out.bytes().size());
  ::_exit(127);
}

std::int64_t milliseconds(const timeval& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_usec / 1000;
}

}  // namespace

result<void> process_table::start(process_owner owner, program_spec spec,
                                  const std::string& seccomp) {
  if (spec.argv.empty() || spec.argv[0].empty() || spec.cwd.empty() || spec.cwd[0] != '/') {
    return error(error_code::invalid_argument, "a program and an absolute directory are needed");
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const unique_fd read_end(ends[0]);
  unique_fd write_end(ends[1]);
  const auto pid = ::fork();
  if (pid < 0) return errno_error("fork", errno);
  if (pid == 0) {
    // Out of the way of descriptors 0-3, whatever number the pipe got.
    child(spec, seccomp, ::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 16));
  }
  write_end.reset();
  std::string text(4096, 0);
  ssize_t size = 0;
  while ((size = ::read(read_end.get(), text.data(), text.size())) < 0 && errno == EINTR) {
  }
  if (size <= 0) {  // the exec closed it, or the child was killed: then reap() tells
    running_.emplace(pid, owner);
    return {};
  }
  ::waitpid(pid, nullptr, 0);
  text.resize(static_cast<std::size_t>(size));
  wire::reader in(text);
  const auto code = static_cast<error_code>(in.u8());
  return error(code, in.text());
}

void process_table::signal(process_owner owner, int number) const {
  for (const auto& [pid, who] : running_) {
    if (who == owner) ::kill(-pid, number);
  }
}

result<void> process_table::end_all(const std::function<void(const process_end&)>& tell) {
  constexpr int tries_max = 5'000;
  for (int tries = 0; tries < tries_max; ++tries) {
    // As pid 1: all of this pid namespace. A fork that is under way sees the signal and does not
    // come about.
    if (::kill(-1, SIGKILL) != 0 && errno != ESRCH) return errno_error("ending all others", errno);
    reap(tell);
    siginfo_t left{};
    if (::waitid(P_ALL, 0, &left, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD) return {};
    const timespec moment{0, 1'000'000};
    ::nanosleep(&moment, nullptr);
  }
  return error(error_code::unavailable, "processes of the sandbox do not end when killed");
}

void process_table::reap(const std::function<void(const process_end&)>& tell) {
  for (;;) {
    process_end end;
    rusage usage{};
    const auto pid = ::wait4(-1, &end.status, WNOHANG, &usage);
    if (pid <= 0) return;
    const auto found = running_.find(pid);
    if (found == running_.end()) continue;
    end.owner = found->second;
    end.cpu_ms = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    end.peak_memory_bytes = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
    running_.erase(found);
    tell(end);
  }
}

}  // namespace germline::init
