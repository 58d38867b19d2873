#include "sandbox/doctor.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/unique_fd.hpp"
#include "sandbox/launcher/cgroup_layout.hpp"
#include "sandbox/launcher/text_file.hpp"
#include "sandbox/launcher/user_map.hpp"

namespace germline {
namespace {

/// Runs `probe` in a child with namespaces of its own; its errno, or 0 where it worked.
template <class Probe>
int in_namespaces(std::uint64_t flags, Probe probe) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid < 0) return errno;
  if (pid == 0) ::_exit(probe());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/// In a user namespace just made: without a map, nothing can be made on a file system mounted in
/// it.
int become_root_inside(uid_t uid, gid_t gid) {
  const auto map = [](unsigned outside) { return "0 " + std::to_string(outside) + " 1"; };
  if (!write_text_file("/proc/self/setgroups", "deny") ||
      !write_text_file("/proc/self/uid_map", map(uid)) ||
      !write_text_file("/proc/self/gid_map", map(gid))) {
    return EPERM;
  }
  // The bare calls: the C library's wait for threads that this clone does not have.
  const bool became =
      ::syscall(SYS_setresgid, 0, 0, 0) == 0 && ::syscall(SYS_setresuid, 0, 0, 0) == 0;
  return became ? 0 : errno;
}

int mount_overlay() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  if (::mount("tmpfs", "/tmp", "tmpfs", 0, "size=64k") != 0 || ::chdir("/tmp") != 0) return errno;
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    if (::mkdir(name, 0755) != 0) return errno;
  }
  const char* options = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
  return ::mount("overlay", "merged", "overlay", 0, options) == 0 ? 0 : errno;
}

int idmap_a_mount() {
  const auto space = make_idmap_namespace(0, 0, 100'000);
  if (!space) return EPERM;
  const unique_fd tree(::open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return errno;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(space->get());
  return ::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0
             ? 0
             : errno;
}

doctor_check from_errno(std::string name, int failure, std::string hint, bool required = true) {
  doctor_check check;
  check.name = std::move(name);
  check.ok = failure == 0;
  check.required = required;
  check.detail = failure == 0 ? "works" : std::strerror(failure);
  if (failure != 0) check.hint = std::move(hint);
  return check;
}

bool is_kernel_from(const char* release, int major, int minor) {
  int has_major = 0;
  int has_minor = 0;
  std::sscanf(release, "%d.%d", &has_major, &has_minor);
  return has_major > major || (has_major == major && has_minor >= minor);
}

doctor_check check_kernel() {
  utsname names{};
  ::uname(&names);
  doctor_check check{"kernel", is_kernel_from(names.release, 5, 14), true, names.release, ""};
  if (!check.ok) check.hint = "Linux 5.14 or later is needed, 6.6 or later for overlay workspaces";
  return check;
}

doctor_check check_cgroups() {
  doctor_check check{"cgroups", false, true, "", ""};
  const auto layout = detect_own_cgroups();
  if (!layout) {
    check.detail = layout.error().message();
    check.hint = "mount cgroup v2 at /sys/fs/cgroup";
    return check;
  }
  check.detail = to_string(layout->mode);
  const bool v1 =
      layout->v1.count("memory") + layout->v1.count("pids") + layout->v1.count("cpu") == 3;
  const auto offered = read_text_file(layout->v2 + "/cgroup.controllers");
  const bool v2 = offered && offered->find("memory") != std::string::npos &&
                  offered->find("pids") != std::string::npos &&
                  offered->find("cpu") != std::string::npos;
  check.ok = v1 || v2;
  check.detail += check.ok ? ", with memory, pids and cpu" : ", without memory, pids or cpu";
  if (!check.ok) check.hint = "delegate the memory, pids and cpu controllers (Delegate=yes)";
  return check;
}

std::string overlay_hint(const char* release) {
  const std::string without = "; without it policies with a lower layer fail";
  if (!is_kernel_from(release, 6, 6)) return "Linux 6.6 or later is needed" + without;
  return "the kernel needs CONFIG_OVERLAY_FS and CONFIG_TMPFS_XATTR, and user namespaces must be "
         "allowed" +
         without;
}

doctor_check check_overlay() {
  utsname names{};
  ::uname(&names);
  const auto probe = [uid = ::geteuid(), gid = ::getegid()] {
    const int failure = become_root_inside(uid, gid);
    return failure != 0 ? failure : mount_overlay();
  };
  return from_errno("overlay with userxattr on tmpfs",
                    in_namespaces(CLONE_NEWUSER | CLONE_NEWNS, probe), overlay_hint(names.release),
                    false);
}

doctor_check check_landlock() {
  const auto version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return from_errno("landlock", version > 0 ? 0 : errno, "not used yet; nothing to do", false);
}

}  // namespace

std::vector<doctor_check> run_doctor() {
  std::vector<doctor_check> checks;
  checks.push_back(check_kernel());
  checks.push_back(from_errno("root", ::geteuid() == 0 ? 0 : EPERM,
                              "start the worker as root: its zygote makes namespaces and cgroups"));
  constexpr std::uint64_t spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                   CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  checks.push_back(from_errno("namespaces", in_namespaces(spaces, [] { return 0; }),
                              "allow user namespaces (user.max_user_namespaces)"));
  checks.push_back(check_cgroups());
  checks.push_back(check_overlay());
  checks.push_back(from_errno("idmapped mounts", idmap_a_mount(),
                              "the file system of the exports root must support idmapped mounts"));
  const auto action = SECCOMP_RET_KILL_PROCESS;
  checks.push_back(from_errno(
      "seccomp", ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : errno,
      "a kernel with CONFIG_SECCOMP_FILTER is needed"));
  const unique_fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  checks.push_back(from_errno("pidfd", self ? 0 : errno, "Linux 5.3 or later is needed"));
  checks.push_back(check_landlock());
  return checks;
}

}  // namespace germline
