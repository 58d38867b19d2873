#include "sandbox/launcher/user_map.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <string>

#include "sandbox/launcher/text_file.hpp"

namespace germline {
namespace {

std::string map_line(std::uint64_t inside, std::uint64_t outside, std::uint64_t count) {
  return std::to_string(inside) + " " + std::to_string(outside) + " " + std::to_string(count);
}

result<unique_fd> open_mapped(pid_t pid, uid_t disk_uid, gid_t disk_gid, std::uint32_t shown) {
  const auto proc = "/proc/" + std::to_string(pid);
  GERMLINE_TRY(write_text_file(proc + "/uid_map", map_line(disk_uid, shown, 1)));
  GERMLINE_TRY(write_text_file(proc + "/gid_map", map_line(disk_gid, shown, 1)));
  unique_fd space(::open((proc + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!space) return errno_error("opening a user namespace", errno);
  return space;
}

}  // namespace

result<void> write_user_map(pid_t pid, std::uint32_t base) {
  const auto proc = "/proc/" + std::to_string(pid);
  const auto line = map_line(0, base, uids_per_slot);
  GERMLINE_TRY(write_text_file(proc + "/uid_map", line));
  return write_text_file(proc + "/gid_map", line);
}

result<unique_fd> make_idmap_namespace(uid_t disk_uid, gid_t disk_gid, std::uint32_t shown) {
  clone_args args{};
  args.flags = CLONE_NEWUSER;
  args.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid < 0) return errno_error("clone3 of a user namespace", errno);
  if (pid == 0) {
    for (;;) ::pause();  // only holds the namespace until it is opened
  }
  auto space = open_mapped(pid, disk_uid, disk_gid, shown);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return space;
}

}  // namespace germline
