// abuse-guest: the hostile program of the abuse tests. `abuse-guest CASE [ARGUMENT]` tries one act
// and prints "done" where it succeeded, else the name of the errno that refused it. Static, so that
// it runs in any sandbox. Acts that could harm a host are tried with invalid arguments.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

namespace {

using act = std::function<long(const char*)>;

long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  return ::syscall(number, a, b, c, d, e);
}

long connect_to(int type, const std::string& where) {
  const auto colon = where.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::atoi(where.c_str() + colon + 1));
  const auto host = where.substr(0, colon);
  sockaddr_in6 six{};
  sockaddr_in four{};
  const bool is_six = ::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) == 1;
  const int fd = ::socket(is_six ? AF_INET6 : AF_INET, type, 0);
  if (fd < 0) return -1;
  if (is_six) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    return ::connect(fd, reinterpret_cast<sockaddr*>(&six), sizeof six);
  }
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) != 1) return -1;
  return ::connect(fd, reinterpret_cast<sockaddr*>(&four), sizeof four);
}

long connect_abstract(const char* name) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path + 1, name);
  const auto size = offsetof(sockaddr_un, sun_path) + 1 + std::strlen(name);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size));
}

/// Children that sleep, until fork fails or `wanted` are there. Prints how many.
long fork_many(const char* wanted) {
  int made = 0;
  while (made < std::atoi(wanted)) {
    const auto pid = ::fork();
    if (pid < 0) break;
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
    ++made;
  }
  std::printf("%d children\n", made);
  ::signal(SIGTERM, SIG_IGN);
  ::kill(0, SIGTERM);
  return 0;
}

long fork_bomb(const char*) {
  for (;;) {
    if (::fork() < 0) ::sched_yield();
  }
}

long touch_memory(const char* mebibytes) {
  const auto size = static_cast<std::size_t>(std::atoi(mebibytes)) << 20;
  auto* memory = static_cast<char*>(
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return -1;
  for (std::size_t at = 0; at < size; at += 4096) memory[at] = 1;
  return 0;
}

long fill(int fd, std::size_t bytes) {
  static char block[65536];
  std::memset(block, 'x', sizeof block);
  while (bytes > 0) {
    const auto size = ::write(fd, block, sizeof block);
    if (size < 0) return -1;
    bytes -= std::min<std::size_t>(bytes, static_cast<std::size_t>(size));
  }
  return 0;
}

long fill_file(const char* path) {
  const int fd = ::open(path, O_WRONLY | O_CREAT, 0600);
  return fd < 0 ? -1 : fill(fd, 16 << 20);
}

long fill_inodes(const char* directory) {
  for (int i = 0; i < 5000; ++i) {
    const auto path = std::string(directory) + "/f" + std::to_string(i);
    if (::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) return -1;
    ::close(3);
  }
  return 0;
}

long open_fds(const char*) {
  std::string open;
  for (int fd = 0; fd < 4096; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1) open += std::to_string(fd) + " ";
  }
  std::printf("open: %s\n", open.c_str());
  return 0;
}

long exhaust_fds(const char*) {
  while (::open("/dev/null", O_RDONLY) >= 0) {
  }
  return -1;
}

/// A process that left its parent, its session and every signal behind.
long daemonize(const char*) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() == 0) {
      for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
      for (int fd = 0; fd < 3; ++fd) ::close(fd);
      for (;;) ::pause();
    }
    ::_exit(0);
  }
  return ::wait(nullptr) < 0 ? -1 : 0;
}

long inject_terminal(const char*) {
  const int terminal = ::open("/dev/ptmx", O_RDWR | O_NOCTTY);
  if (terminal < 0) return -1;
  return ::ioctl(terminal, TIOCSTI, "x");
}

long int80(const char*) {
  long answer = 20;  // getpid of the 32-bit table
  asm volatile("int $0x80" : "+a"(answer) : : "memory", "r8", "r9", "r10", "r11");
  return answer > 0 ? 0 : -1;
}

long open_for(const char* path, int flags) {
  return ::open(path, flags | O_CLOEXEC);
}

long child_of(long pid) {
  if (pid == 0) ::_exit(0);
  return pid;
}

std::map<std::string, act> kernel_acts() {
  static char bytes[4096];
  const auto address = reinterpret_cast<long>(bytes);
  return {
      {"unshare-user", [](const char*) { return ::unshare(CLONE_NEWUSER); }},
      {"unshare-mount", [](const char*) { return ::unshare(CLONE_NEWNS); }},
      {"setns", [](const char*) { return raw(SYS_setns, 0, 0); }},
      {"clone-user", [](const char*) { return child_of(raw(SYS_clone, CLONE_NEWUSER | SIGCHLD)); }},
      {"clone3",
       [](const char*) {
         clone_args args{};
         args.exit_signal = SIGCHLD;
         return child_of(raw(SYS_clone3, reinterpret_cast<long>(&args), sizeof args));
       }},
      {"mount", [](const char*) { return ::mount("none", "/tmp", "tmpfs", 0, nullptr); }},
      {"remount-usr",
       [](const char*) {
         return ::mount(nullptr, "/usr", nullptr, MS_REMOUNT | MS_BIND, nullptr);
       }},
      {"umount", [](const char*) { return ::umount2("/proc/sys", MNT_DETACH); }},
      {"open-tree", [](const char*) { return raw(428, AT_FDCWD, reinterpret_cast<long>("/"), 1); }},
      {"chroot", [](const char*) { return ::chroot("/tmp"); }},
      {"mknod", [](const char*) { return ::mknod("/workspace/d", S_IFBLK | 0600, 0x0800); }},
      {"handle", [](const char*) { return raw(SYS_open_by_handle_at, 0, 0, 0); }},
      {"ptrace", [](const char*) { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
      {"vm-readv", [](const char*) { return raw(SYS_process_vm_readv, 1, 0, 0, 0, 0); }},
      {"pidfd-getfd", [](const char*) { return raw(438, 0, 0, 0); }},
      {"bpf", [=](const char*) { return raw(SYS_bpf, 0, address, 48); }},
      {"perf", [=](const char*) { return raw(SYS_perf_event_open, address, 0, -1, -1, 0); }},
      {"io-uring", [=](const char*) { return raw(425, 4, address); }},
      {"userfaultfd", [](const char*) { return raw(SYS_userfaultfd, 1); }},
      {"keyctl", [](const char*) { return raw(SYS_keyctl, 0, -3, 1); }},
      {"add-key",
       [](const char*) {
         return raw(SYS_add_key, reinterpret_cast<long>("user"), reinterpret_cast<long>("k"),
                    reinterpret_cast<long>("v"), 1, -3);
       }},
      {"init-module", [](const char*) { return raw(SYS_init_module, 0, 0, 0); }},
      {"kexec", [](const char*) { return raw(SYS_kexec_load, 0, 0, 0, ~0L); }},
      {"personality", [](const char*) { return raw(SYS_personality, 0x0040000); }},
      {"modify-ldt", [=](const char*) { return raw(SYS_modify_ldt, 0, address, 16); }},
      {"seccomp", [](const char*) { return raw(SYS_seccomp, 2, 0, 0); }},
      {"settimeofday", [](const char*) { return raw(SYS_settimeofday, 1, 1); }},
      {"adjtimex", [](const char*) { return raw(SYS_adjtimex, 0); }},
      {"reboot", [](const char*) { return raw(SYS_reboot, 1, 2, 3, 0); }},
      {"sethostname", [](const char*) { return ::sethostname("x", 1); }},
      {"syslog", [=](const char*) { return raw(SYS_syslog, 3, address, 100); }},
      {"swapon", [](const char*) { return raw(SYS_swapon, 0, 0); }},
      {"iopl", [](const char*) { return raw(SYS_iopl, 3); }},
      {"setuid", [](const char*) { return ::setuid(0); }},
      {"nice", [](const char*) { return raw(SYS_setpriority, 0, 0, -5); }},
      {"tiocsti", inject_terminal},
      {"x32", [](const char*) { return raw(SYS_getpid | 0x40000000L); }},
      {"int80", int80},
  };
}

std::map<std::string, act> other_acts() {
  return {
      {"socket", [](const char* family) { return ::socket(std::atoi(family), SOCK_DGRAM, 0); }},
      {"socket-raw", [](const char*) { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }},
      {"socket-icmp", [](const char*) { return ::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }},
      {"tcp", [](const char* where) { return connect_to(SOCK_STREAM, where); }},
      {"udp", [](const char* where) { return connect_to(SOCK_DGRAM, where); }},
      {"abstract", connect_abstract},
      {"read", [](const char* path) { return open_for(path, O_RDONLY); }},
      {"write", [](const char* path) { return open_for(path, O_WRONLY); }},
      {"create", [](const char* path) { return open_for(path, O_WRONLY | O_CREAT); }},
      {"kill", [](const char* pid) { return ::kill(std::atoi(pid), SIGKILL); }},
      {"fork-many", fork_many},
      {"fork-bomb", fork_bomb},
      {"memory", touch_memory},
      {"memfd",
       [](const char* mebibytes) {
         return fill(static_cast<int>(raw(SYS_memfd_create, reinterpret_cast<long>("m"), 0)),
                     static_cast<std::size_t>(std::atoi(mebibytes)) << 20);
       }},
      {"fill", fill_file},
      {"fill-inodes", fill_inodes},
      {"flood",
       [](const char* mebibytes) {
         return fill(1, static_cast<std::size_t>(std::atoi(mebibytes)) << 20);
       }},
      {"fds", open_fds},
      {"exhaust-fds", exhaust_fds},
      {"daemon", daemonize},
  };
}

}  // namespace

int main(int argc, char** argv) {
  auto acts = kernel_acts();
  acts.merge(other_acts());
  const auto found = argc < 2 ? acts.end() : acts.find(argv[1]);
  if (found == acts.end()) {
    std::fprintf(stderr, "abuse-guest: no such act\n");
    return 99;
  }
  errno = 0;
  const long returned = found->second(argc > 2 ? argv[2] : "");
  std::printf("%s\n", returned >= 0 ? "done" : ::strerrorname_np(errno));
  return 0;
}
