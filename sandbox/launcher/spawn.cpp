#include "sandbox/launcher/spawn.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/launcher/network.hpp"
#include "sandbox/launcher/rootfs.hpp"
#include "sandbox/launcher/text_file.hpp"
#include "sandbox/launcher/user_map.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {
namespace {

constexpr int setup_timeout_ms = 20'000;

result<void> lower_limit(int resource, rlim_t value) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return errno_error("getrlimit", errno);
  }
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value) limit.rlim_max = value;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0) return {};
  return errno_error("setrlimit", errno);
}

result<void> lower_limits(const sandbox_policy_spec& spec) {
  GERMLINE_TRY(lower_limit(RLIMIT_CORE, 0));
  GERMLINE_TRY(lower_limit(RLIMIT_NOFILE, static_cast<rlim_t>(spec.open_files_max)));
  GERMLINE_TRY(lower_limit(RLIMIT_FSIZE, static_cast<rlim_t>(spec.file_bytes_max)));
  GERMLINE_TRY(lower_limit(RLIMIT_MSGQUEUE, 64 * 1024));
  GERMLINE_TRY(lower_limit(RLIMIT_NICE, 0));
  return lower_limit(RLIMIT_RTPRIO, 0);
}

result<void> die_with_parent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno_error("PR_SET_PDEATHSIG", errno);
  return {};
}

/// Puts the wanted descriptors at 0-4 (stdio, control, run.sock) and the program at 5; closes all
/// others.
result<void> arrange_descriptors(int control, int listener, int program) {
  const int null = ::open("/dev/null", O_RDWR);
  // First above all targets, so that none is overwritten before it was copied.
  const int high_null = ::fcntl(null, F_DUPFD, 64);
  const int high_control = ::fcntl(control, F_DUPFD, 64);
  const int high_listener = listener < 0 ? -1 : ::fcntl(listener, F_DUPFD, 64);
  const int high_program = ::fcntl(program, F_DUPFD, 64);
  if (high_null < 0 || high_control < 0 || high_program < 0) return errno_error("dup", errno);
  for (int fd = 0; fd < 3; ++fd) ::dup2(high_null, fd);
  ::dup2(high_control, 3);
  if (high_listener >= 0) {
    ::dup2(high_listener, 4);
  } else {
    ::close(4);
  }
  if (::dup3(high_program, 5, O_CLOEXEC) < 0) return errno_error("dup", errno);
  if (::close_range(6, ~0U, 0) != 0) return errno_error("close_range", errno);
  return {};
}

/// The child's part, up to the exec. Returns only with an error.
error enter(const spawn_context& context, const sandbox_policy& policy, host_mounts mounts,
            int control) {
  const auto run = [&]() -> result<void> {
    // The bare calls: the C library's tell every thread that it knows of, and wait for it. A
    // sanitizer's, which was there when this process was cloned, is not there in this one.
    if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
      return errno_error("becoming the namespace's root", errno);
    }
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) return errno_error("setgroups", errno);
    GERMLINE_TRY(die_with_parent());
    if (::setsid() < 0 && errno != EPERM) return errno_error("setsid", errno);
    // Only now, inside its cgroups, so that their names do not show.
    if (::unshare(CLONE_NEWCGROUP) != 0) return errno_error("unshare cgroup", errno);
    if (::sethostname("germline", 8) != 0) return errno_error("sethostname", errno);
    if (::setdomainname("", 0) != 0) return errno_error("setdomainname", errno);
    GERMLINE_TRY_ASSIGN(const auto listener, build_root(policy, std::move(mounts)));
    GERMLINE_TRY(lower_limits(policy.spec()));
    return arrange_descriptors(control, listener.get(), context.init_program);
  };
  if (const auto done = run(); !done) return done.error();
  char name[] = "init";
  char* const argv[] = {name, nullptr};
  char* const env[] = {nullptr};
  ::syscall(SYS_execveat, 5, "", argv, env, AT_EMPTY_PATH);
  return errno_error("exec of germline-init", errno);
}

[[noreturn]] void child_main(const spawn_context& context, const sandbox_policy& policy,
                             host_mounts mounts, int control, int gate) {
  // Until the parent wrote the maps and joined the cgroups; EOF: the parent died.
  char go = 0;
  if (::read(gate, &go, 1) == 1) {
    const auto failure = enter(context, policy, std::move(mounts), control);
    wire::writer message;
    message.u8(static_cast<std::uint8_t>(protocol::kind::failed));
    message.text(failure.message());
    // The control socket is at its old number or at 3, whichever was reached.
    if (!send_packet(control, message.bytes())) (void)send_packet(3, message.bytes());
  }
  ::_exit(1);
}

result<void> prepare_child(spawned_init& made, const sandbox_policy& policy,
                           const sandbox_cgroup& cgroup, std::uint32_t uid_base) {
  GERMLINE_TRY(cgroup.join(made.pid));
  GERMLINE_TRY(write_user_map(made.pid, uid_base));
  GERMLINE_TRY_ASSIGN(made.listener, set_up_network(made.pid, policy.spec().gateway_port));
  return {};
}

result<void> await_hello(int control) {
  GERMLINE_TRY_ASSIGN(const auto answer, receive_packet(control, setup_timeout_ms));
  if (answer.end) return error(error_code::internal, "the sandbox's init died before it began");
  wire::reader in(answer.bytes);
  const auto kind = static_cast<protocol::kind>(in.u8());
  if (kind == protocol::kind::hello) return {};
  return error(error_code::internal, in.text());
}

}  // namespace

result<spawned_init> spawn_init(const spawn_context& context, const sandbox_policy& policy,
                                const sandbox_cgroup& cgroup) {
  GERMLINE_TRY_ASSIGN(auto mounts, open_host_mounts(context.sources, policy));
  GERMLINE_TRY_ASSIGN(auto control, make_seqpacket_pair());
  int gate_ends[2];
  if (::pipe2(gate_ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  unique_fd gate_read(gate_ends[0]);
  unique_fd gate_write(gate_ends[1]);

  spawned_init made;
  int process = -1;
  clone_args args{};
  args.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
               CLONE_NEWUSER | CLONE_PIDFD;
  if (::access("/proc/self/ns/time", F_OK) == 0) args.flags |= CLONE_NEWTIME;
  args.pidfd = reinterpret_cast<std::uint64_t>(&process);
  args.exit_signal = SIGCHLD;
  made.pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (made.pid < 0) return errno_error("clone3 of a sandbox", errno);
  if (made.pid == 0) {
    gate_write.reset();
    child_main(context, policy, std::move(mounts), control.second.get(), gate_read.get());
  }
  made.process.reset(process);
  made.control = std::move(control.first);
  control.second.reset();

  auto prepared = prepare_child(made, policy, cgroup, context.sources.uid_base);
  if (prepared) {
    if (::write(gate_write.get(), "g", 1) != 1) prepared = errno_error("release", errno);
  }
  if (prepared) prepared = await_hello(made.control.get());
  if (prepared) return made;
  ::kill(made.pid, SIGKILL);
  ::waitpid(made.pid, nullptr, 0);
  return prepared.error();
}

}  // namespace germline
