#include "sandbox/init/confine.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace germline::init {
namespace {

result<void> set_capabilities(std::uint32_t bits) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{{bits, bits, 0}, {0, 0, 0}};
  if (::syscall(SYS_capset, &header, data) == 0) return {};
  return errno_error("capset", errno);
}

bool has_variable(const std::vector<std::string>& env, std::string_view name) {
  for (const auto& entry : env) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return true;
    }
  }
  return false;
}

/// Puts the given descriptors at 0-3 and closes everything else but `keep`, moved out of the way.
result<void> arrange_descriptors(const std::array<int, 4>& fds) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return errno_error("opening /dev/null", errno);
  std::array<int, 4> high{};
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int source = fds[i] >= 0 ? fds[i] : (i < 3 ? null : -1);
    high[i] = source < 0 ? -1 : ::fcntl(source, F_DUPFD_CLOEXEC, 8);
    if (source >= 0 && high[i] < 0) return errno_error("dup", errno);
  }
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (high[i] < 0) {
      ::close(static_cast<int>(i));
    } else if (::dup2(high[i], static_cast<int>(i)) < 0) {
      return errno_error("dup2", errno);
    }
  }
  // On exec, so that the pipe that reports a failed exec lives until then.
  if (::close_range(4, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return errno_error("close_range", errno);
  return {};
}

result<void> drop_identity(std::uint32_t uid) {
  if (::setresgid(uid, uid, uid) != 0) return errno_error("setresgid", errno);
  if (::setresuid(uid, uid, uid) != 0) return errno_error("setresuid", errno);
  // Leaving uid 0 emptied the effective and permitted sets; this says so for all of them.
  return set_capabilities(0);
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

result<void> install_seccomp(const std::string& program) {
  if (program.empty()) return {};
  std::string copy = program;
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(copy.size() / sizeof(sock_filter));
  filter.filter = reinterpret_cast<sock_filter*>(copy.data());
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) return {};
  return errno_error("installing seccomp", errno);
}

}  // namespace

result<void> confine_init() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const auto kept = (1U << CAP_SETUID) | (1U << CAP_SETGID) | (1U << CAP_KILL);
  for (int capability = 0; capability <= 63; ++capability) {
    if (capability < 32 && ((kept >> capability) & 1U) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EINVAL) {
      return errno_error("dropping the bounding set", errno);
    }
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return set_capabilities(kept);
}

void add_default_env(program_spec& spec) {
  const std::string name = spec.uid == 1000 ? "agent" : spec.uid == 1001 ? "candidate" : "owner";
  const std::pair<const char*, std::string> defaults[] = {
      {"HOME", "/home/" + name}, {"PATH", "/usr/bin:/bin"}, {"USER", name}, {"LANG", "C.UTF-8"}};
  for (const auto& [key, value] : defaults) {
    if (!has_variable(spec.env, key)) spec.env.push_back(std::string(key) + "=" + value);
  }
}

error confine_and_exec(program_spec& spec, const std::string& seccomp) {
  add_default_env(spec);
  std::vector<char*> argv;
  std::vector<char*> env;
  for (auto& entry : spec.argv) argv.push_back(entry.data());
  for (auto& entry : spec.env) env.push_back(entry.data());
  argv.push_back(nullptr);
  env.push_back(nullptr);
  const auto run = [&]() -> result<void> {
    reset_signals();
    ::umask(022);
    if (::setsid() < 0) return errno_error("setsid", errno);
    GERMLINE_TRY(arrange_descriptors(spec.fds));
    GERMLINE_TRY(drop_identity(spec.uid));
    if (::chdir(spec.cwd.c_str()) != 0) return errno_error("chdir to " + spec.cwd, errno);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("no_new_privs", errno);
    return install_seccomp(seccomp);
  };
  if (const auto done = run(); !done) return done.error();
  environ = env.data();  // for the look-up in PATH
  ::execvp(argv[0], argv.data());
  return errno_error("starting " + spec.argv[0], errno);
}

}  // namespace germline::init
