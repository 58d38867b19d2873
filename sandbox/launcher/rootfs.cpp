#include "sandbox/launcher/rootfs.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

// The working directory is the new root until pivot(): every path here is relative to it.
namespace germline {
namespace {

result<void> ok_or(int returned, const std::string& what) {
  if (returned >= 0) return {};
  return errno_error(what, errno);
}

result<void> make_parents(const std::string& path, bool also_last) {
  for (std::size_t at = path.find('/'); at != path.npos; at = path.find('/', at + 1)) {
    if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST) {
      return errno_error("mkdir " + path, errno);
    }
  }
  if (also_last && ::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error("mkdir " + path, errno);
  }
  return {};
}

result<void> write_file(const std::string& path, std::string_view contents, mode_t mode) {
  GERMLINE_TRY(make_parents(path, false));
  unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file) return errno_error("creating " + path, errno);
  while (!contents.empty()) {
    const auto size = ::write(file.get(), contents.data(), contents.size());
    if (size <= 0) return errno_error("writing " + path, errno);
    contents.remove_prefix(static_cast<std::size_t>(size));
  }
  return ok_or(::fchmod(file.get(), mode), "chmod " + path);
}

result<void> mount_tmpfs(const std::string& path, std::int64_t bytes, std::int64_t inodes,
                         std::uint32_t owner, const char* mode) {
  std::string options = "size=" + std::to_string(bytes) + ",mode=" + mode;
  if (inodes > 0) options += ",nr_inodes=" + std::to_string(inodes);
  options += ",uid=" + std::to_string(owner) + ",gid=" + std::to_string(owner);
  GERMLINE_TRY(make_parents(path, true));
  return ok_or(::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()),
               "tmpfs at " + path);
}

result<void> attach(const detached_mount& mount) {
  if (mount.is_directory) {
    GERMLINE_TRY(make_parents(mount.target, true));
  } else {
    GERMLINE_TRY(write_file(mount.target, "", 0444));
  }
  return ok_or(
      ::move_mount(mount.tree.get(), "", AT_FDCWD, mount.target.c_str(), MOVE_MOUNT_F_EMPTY_PATH),
      "mounting at " + mount.target);
}

result<void> write_etc() {
  GERMLINE_TRY(write_file("etc/passwd",
                          "root:x:0:0:root:/:/usr/sbin/nologin\n"
                          "agent:x:1000:1000:agent:/home/agent:/bin/bash\n"
                          "candidate:x:1001:1001:candidate:/home/candidate:/bin/bash\n"
                          "owner:x:1002:1002:owner:/home/owner:/bin/bash\n"
                          "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
                          0444));
  GERMLINE_TRY(write_file("etc/group",
                          "root:x:0:\ntty:x:5:\nagent:x:1000:\ncandidate:x:1001:\n"
                          "owner:x:1002:\nnogroup:x:65534:\n",
                          0444));
  GERMLINE_TRY(write_file("etc/nsswitch.conf",
                          "passwd: files\ngroup: files\nhosts: files\nnetworks: files\n"
                          "protocols: files\nservices: files\n",
                          0444));
  GERMLINE_TRY(write_file("etc/hosts", "127.0.0.1 localhost germline\n::1 localhost\n", 0444));
  GERMLINE_TRY(write_file("etc/hostname", "germline\n", 0444));
  return write_file("etc/resolv.conf", "", 0444);
}

result<void> write_links() {
  struct link {
    const char* target;
    const char* name;
  };
  constexpr std::array links{link{"usr/bin", "bin"},
                             link{"usr/lib", "lib"},
                             link{"usr/lib64", "lib64"},
                             link{"usr/sbin", "sbin"},
                             link{"/proc/self/fd", "dev/fd"},
                             link{"/proc/self/fd/0", "dev/stdin"},
                             link{"/proc/self/fd/1", "dev/stdout"},
                             link{"/proc/self/fd/2", "dev/stderr"},
                             link{"pts/ptmx", "dev/ptmx"}};
  for (const auto& [target, name] : links) {
    GERMLINE_TRY(ok_or(::symlink(target, name), std::string("symlink ") + name));
  }
  return {};
}

result<void> mount_devices(const sandbox_policy& policy) {
  GERMLINE_TRY(mount_tmpfs("dev/shm", policy.spec().tmp_bytes, 10'000, 0, "1777"));
  GERMLINE_TRY(make_parents("dev/pts", true));
  return ok_or(::mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                       "newinstance,ptmxmode=0666,mode=0600"),
               "devpts");
}

result<void> make_read_only(const std::string& path) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  return ok_or(::mount_setattr(AT_FDCWD, path.c_str(), 0, &attributes, sizeof attributes),
               "making " + path + " read-only");
}

/// Hides what /proc tells of the whole machine or lets change it.
result<void> mask_proc() {
  struct stat info {};
  for (const std::string name :
       {"proc/kcore", "proc/keys", "proc/key-users", "proc/kmsg", "proc/kallsyms",
        "proc/sysrq-trigger", "proc/timer_list", "proc/sched_debug", "proc/latency_stats",
        "proc/config.gz", "proc/kpagecount", "proc/kpageflags", "proc/vmallocinfo"}) {
    if (::stat(name.c_str(), &info) != 0) continue;
    GERMLINE_TRY(
        ok_or(::mount("dev/null", name.c_str(), nullptr, MS_BIND, nullptr), "masking " + name));
  }
  for (const std::string name : {"proc/acpi", "proc/scsi", "proc/asound", "proc/pressure",
                                 "proc/irq", "proc/bus", "proc/fs", "proc/driver"}) {
    if (::stat(name.c_str(), &info) != 0) continue;
    GERMLINE_TRY(ok_or(::mount("sys", name.c_str(), nullptr, MS_BIND, nullptr), "masking " + name));
  }
  GERMLINE_TRY(
      ok_or(::mount("proc/sys", "proc/sys", nullptr, MS_BIND, nullptr), "binding proc/sys"));
  return make_read_only("proc/sys");
}

result<void> mount_proc(const sandbox_policy& policy) {
  GERMLINE_TRY(make_parents("proc", true));
  const char* options = policy.weakened(weakening::no_proc_masks) ? "" : "hidepid=2";
  GERMLINE_TRY(ok_or(::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options),
                     "mounting proc"));
  if (policy.weakened(weakening::no_proc_masks)) return {};
  return mask_proc();
}

result<void> mount_workspace(const sandbox_policy& policy, const unique_fd& lower) {
  const auto& spec = policy.spec();
  const bool bounded = !policy.weakened(weakening::no_workspace_limit);
  const auto bytes = bounded ? spec.workspace_bytes : std::int64_t{1} << 40;
  const auto inodes = bounded ? spec.workspace_inodes : std::int64_t{0};
  const auto agent = uid_of(uid_role::agent);
  if (!lower) return mount_tmpfs("workspace", bytes, inodes, agent, "0755");
  GERMLINE_TRY(mount_tmpfs("old/space", bytes, inodes, 0, "0700"));
  for (const std::string name : {"old/space/upper", "old/space/work", "old/lower", "workspace"}) {
    GERMLINE_TRY(make_parents(name, true));
  }
  GERMLINE_TRY(ok_or(::chown("old/space/upper", agent, agent), "chown of the upper layer"));
  GERMLINE_TRY(ok_or(::move_mount(lower.get(), "", AT_FDCWD, "old/lower", MOVE_MOUNT_F_EMPTY_PATH),
                     "mounting the workspace's lower layer"));
  GERMLINE_TRY(ok_or(::mount("overlay", "workspace", "overlay", MS_NOSUID | MS_NODEV,
                             "lowerdir=old/lower,upperdir=old/space/upper,workdir=old/space/work,"
                             "userxattr"),
                     "mounting the workspace's overlay"));
  GERMLINE_TRY(ok_or(::umount2("old/lower", MNT_DETACH), "unmounting the lower layer"));
  GERMLINE_TRY(ok_or(::umount2("old/space", MNT_DETACH), "unmounting the upper layer"));
  for (const char* name : {"old/lower", "old/space", "old"}) {
    GERMLINE_TRY(ok_or(::rmdir(name), "removing the layers' places"));
  }
  return {};
}

result<void> mount_writable(const sandbox_policy& policy) {
  const auto& spec = policy.spec();
  constexpr std::int64_t inodes = 100'000;
  GERMLINE_TRY(mount_tmpfs("tmp", spec.tmp_bytes, inodes, 0, "1777"));
  for (const auto& [name, role] :
       {std::pair("home/agent", uid_role::agent), std::pair("home/candidate", uid_role::candidate),
        std::pair("home/owner", uid_role::owner)}) {
    GERMLINE_TRY(mount_tmpfs(name, spec.tmp_bytes, inodes, uid_of(role), "0700"));
  }
  for (const auto& scratch : spec.scratch) {
    GERMLINE_TRY(mount_tmpfs(scratch.target.substr(1), scratch.bytes, inodes, uid_of(scratch.owner),
                             "0755"));
  }
  return {};
}

result<unique_fd> listen_for_candidates(const sandbox_policy& policy) {
  if (!policy.spec().allow_candidate_exec) return unique_fd();
  unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "germline/run.sock");
  GERMLINE_TRY(ok_or(socket.get(), "socket"));
  GERMLINE_TRY(ok_or(
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind"));
  const auto agent = uid_of(uid_role::agent);
  GERMLINE_TRY(ok_or(::chown(address.sun_path, agent, agent), "chown of run.sock"));
  GERMLINE_TRY(ok_or(::chmod(address.sun_path, 0600), "chmod of run.sock"));
  GERMLINE_TRY(ok_or(::listen(socket.get(), 16), "listen"));
  return socket;
}

/// Shows the empty /sys in place of the folder, where it is one.
result<void> hide(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return {};
  return ok_or(::mount("sys", folder.c_str(), nullptr, MS_BIND, nullptr), "hiding " + folder);
}

result<void> pivot() {
  GERMLINE_TRY(ok_or(static_cast<int>(::syscall(SYS_pivot_root, ".", ".")), "pivot_root"));
  GERMLINE_TRY(ok_or(::umount2(".", MNT_DETACH), "unmounting the host's root"));
  GERMLINE_TRY(ok_or(::chdir("/"), "chdir"));
  return make_read_only("/");
}

}  // namespace

result<unique_fd> build_root(const sandbox_policy& policy, host_mounts mounts) {
  ::umask(0);
  GERMLINE_TRY(ok_or(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private /"));
  GERMLINE_TRY(ok_or(
      ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=2m,nr_inodes=1000,mode=755"),
      "tmpfs root"));
  GERMLINE_TRY(ok_or(::chdir("/tmp"), "chdir to the new root"));
  for (const std::string name : {"dev", "etc", "sys", "germline/bin", "run"}) {
    GERMLINE_TRY(make_parents(name, true));
  }
  GERMLINE_TRY(ok_or(::mount("tmpfs", "sys", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                             "size=4k,nr_inodes=2,mode=555"),
                     "empty /sys"));
  GERMLINE_TRY(write_etc());
  GERMLINE_TRY(write_links());
  GERMLINE_TRY(mount_workspace(policy, mounts.workspace_lower));
  GERMLINE_TRY(mount_writable(policy));
  for (const auto& file : policy.spec().files) {
    GERMLINE_TRY(write_file(file.target.substr(1), file.contents, 0444));
  }
  for (const auto& place : mounts.places) GERMLINE_TRY(attach(place));
  for (const auto& folder : mounts.hidden) GERMLINE_TRY(hide(folder));
  GERMLINE_TRY(mount_devices(policy));
  GERMLINE_TRY(mount_proc(policy));
  GERMLINE_TRY_ASSIGN(auto listener, listen_for_candidates(policy));
  GERMLINE_TRY(pivot());
  return listener;
}

}  // namespace germline
