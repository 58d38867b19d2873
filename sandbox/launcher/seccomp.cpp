#include "sandbox/launcher/seccomp.hpp"

#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "common/unique_fd.hpp"

namespace germline {
namespace {

constexpr const char* allowed_calls[] = {
    // files
    "access",
    "faccessat",
    "faccessat2",
    "chdir",
    "fchdir",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "fadvise64",
    "fallocate",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "truncate",
    "getcwd",
    "getdents",
    "getdents64",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readv",
    "readahead",
    "readlink",
    "readlinkat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "splice",
    "tee",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "write",
    "writev",
    "mknod",
    "mknodat",
    // xattr (read + user.*)
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "llistxattr",
    "flistxattr",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    // memory
    "brk",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munmap",
    "madvise",
    "mincore",
    "mlock",
    "mlock2",
    "munlock",
    "membarrier",
    "memfd_create",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "get_mempolicy",
    "shmget",
    "shmat",
    "shmctl",
    "shmdt",
    // process / threads
    "arch_prctl",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "vfork",
    "wait4",
    "waitid",
    "getpid",
    "getppid",
    "gettid",
    "getpgrp",
    "getpgid",
    "getsid",
    "setpgid",
    "setsid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "getrusage",
    "times",
    "getpriority",
    "setpriority",
    "prlimit64",
    "getrlimit",
    "setrlimit",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_yield",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getattr",
    "set_robust_list",
    "get_robust_list",
    "set_tid_address",
    "rseq",
    "futex",
    "futex_waitv",
    "capget",
    // Without CAP_SETUID the kernel lets these set what is set already; GNU make does so.
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "kill",
    "tkill",
    "tgkill",
    "uname",
    "sysinfo",
    "getcpu",
    "ioprio_get",
    "pidfd_open",
    "pidfd_send_signal",
    "restart_syscall",
    // signals, time
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sigaltstack",
    "alarm",
    "pause",
    "getitimer",
    "setitimer",
    "timer_create",
    "timer_settime",
    "timer_gettime",
    "timer_getoverrun",
    "timer_delete",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "signalfd",
    "signalfd4",
    // events, ipc
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "pipe",
    "pipe2",
    "inotify_init",
    "inotify_init1",
    "inotify_add_watch",
    "inotify_rm_watch",
    "getrandom",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    // sockets (families filtered on socket)
    "socketpair",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "setsockopt",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "shutdown",
};

constexpr std::uint32_t socket_families[] = {AF_UNIX, AF_INET, AF_INET6};

// What terminals, files and sockets are asked for. TIOCSTI and TIOCLINUX (input injection) are not.
constexpr std::uint32_t ioctl_requests[] = {TCGETS,
                                            TCSETS,
                                            TCSETSW,
                                            TCSETSF,
                                            TCSBRK,
                                            TCXONC,
                                            TCFLSH,
                                            TIOCGWINSZ,
                                            TIOCSWINSZ,
                                            TIOCGPGRP,
                                            TIOCSPGRP,
                                            TIOCSCTTY,
                                            TIOCNOTTY,
                                            TIOCGSID,
                                            TIOCOUTQ,
                                            TIOCEXCL,
                                            TIOCNXCL,
                                            TIOCGEXCL,
                                            FIONREAD,
                                            FIONBIO,
                                            FIOASYNC,
                                            FIOCLEX,
                                            FIONCLEX,
                                            TIOCGPTN,
                                            TIOCSPTLCK,
                                            TIOCGPTLCK,
                                            TIOCGPTPEER,
                                            TIOCPKT,
                                            0x802C542A /* TCGETS2 */,
                                            0x402C542B /* TCSETS2 */,
                                            0x402C542C /* TCSETSW2 */,
                                            0x402C542D /* TCSETSF2 */,
                                            0x40049409 /* FICLONE */,
                                            0x4020940D /* FICLONERANGE */,
                                            0x80086601 /* FS_IOC_GETFLAGS */,
                                            0xC020660B /* FS_IOC_FIEMAP */,
                                            SIOCGIFCONF,
                                            SIOCGIFNAME,
                                            SIOCGIFFLAGS,
                                            SIOCGIFADDR,
                                            SIOCGIFINDEX};

constexpr std::uint32_t prctl_options[] = {PR_SET_NAME,
                                           PR_GET_NAME,
                                           PR_SET_PDEATHSIG,
                                           PR_GET_PDEATHSIG,
                                           PR_SET_DUMPABLE,
                                           PR_GET_DUMPABLE,
                                           PR_SET_NO_NEW_PRIVS,
                                           PR_GET_NO_NEW_PRIVS,
                                           PR_CAPBSET_READ,
                                           PR_SET_CHILD_SUBREAPER,
                                           PR_GET_CHILD_SUBREAPER,
                                           PR_SET_TIMERSLACK,
                                           PR_GET_TIMERSLACK,
                                           PR_GET_SECCOMP,
                                           PR_GET_KEEPCAPS,
                                           PR_SET_THP_DISABLE,
                                           PR_GET_THP_DISABLE,
                                           PR_SET_VMA,
                                           0x41555856 /* PR_GET_AUXV */};

constexpr std::uint64_t namespace_flags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET;

using context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

result<void> ok_or(int returned, std::string_view what) {
  if (returned == 0) return {};
  return errno_error(what, -returned);
}

/// Allows `call` where the low 32 bits of argument `index` are one of `values`: the kernel ignores
/// the upper half of these arguments, and so must we.
template <std::size_t N>
result<void> allow_values(scmp_filter_ctx filter, int call, unsigned index,
                          const std::uint32_t (&values)[N]) {
  for (const std::uint32_t value : values) {
    const scmp_arg_cmp only{index, SCMP_CMP_MASKED_EQ, 0xFFFFFFFFU, value};
    GERMLINE_TRY(ok_or(::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &only),
                       "allowing a call by argument"));
  }
  return {};
}

result<void> fill(scmp_filter_ctx filter) {
  GERMLINE_TRY(ok_or(::seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
                     "refusing other architectures"));
  GERMLINE_TRY(ok_or(::seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree"));
  for (const char* name : allowed_calls) {
    const int call = ::seccomp_syscall_resolve_name(name);
    if (call < 0) continue;  // not a call of this architecture, or newer than libseccomp
    GERMLINE_TRY(ok_or(::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr), name));
  }
  GERMLINE_TRY(allow_values(filter, SCMP_SYS(socket), 0, socket_families));
  GERMLINE_TRY(allow_values(filter, SCMP_SYS(ioctl), 1, ioctl_requests));
  GERMLINE_TRY(allow_values(filter, SCMP_SYS(prctl), 0, prctl_options));
  const scmp_arg_cmp plain{0, SCMP_CMP_MASKED_EQ, namespace_flags, 0};
  GERMLINE_TRY(
      ok_or(::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &plain), "clone"));
  // Its flags lie in memory, which a filter cannot read. ENOSYS makes libraries fall back to clone.
  return ok_or(
      ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, nullptr),
      "clone3");
}

}  // namespace

result<std::string> build_seccomp_program() {
  const context filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)), &::seccomp_release);
  if (filter == nullptr) return error(error_code::internal, "seccomp_init failed");
  GERMLINE_TRY(fill(filter.get()));
  const unique_fd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory) return errno_error("memfd_create", errno);
  GERMLINE_TRY(ok_or(::seccomp_export_bpf(filter.get(), memory.get()), "exporting the filter"));
  const auto size = ::lseek(memory.get(), 0, SEEK_END);
  if (size <= 0) return errno_error("measuring the filter", errno);
  std::string program(static_cast<std::size_t>(size), 0);
  if (::pread(memory.get(), program.data(), program.size(), 0) != size) {
    return errno_error("reading the filter", errno);
  }
  return program;
}

}  // namespace germline
