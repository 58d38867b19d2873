#include "cli/up/up_lock.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

std::string path_in(const std::string& state_dir) {
  return state_dir + "/up.pid";
}

bool is_same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Whether what `file` has open is what the path names now.
bool is_at(const std::string& path, int file) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         is_same_file(opened, named);
}

/// Whether the process has the file open. Error permission_denied: it may not be looked at.
result<bool> has_open(pid_t pid, const struct stat& file) {
  const auto folder = "/proc/" + std::to_string(pid) + "/fd";
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed.value() == ENOENT) return false;
  if (failed) return errno_error("reading " + folder, failed.value());
  for (; entries != fs::directory_iterator(); entries.increment(failed)) {
    struct stat opened {};
    if (::stat(entries->path().c_str(), &opened) == 0 && is_same_file(opened, file)) return true;
    if (failed) break;
  }
  return false;
}

pid_t read_pid(int file) {
  char text[32];
  const auto size = ::pread(file, text, sizeof text, 0);
  pid_t pid = -1;
  if (size <= 0 || std::from_chars(text, text + size, pid).ec != std::errc()) return -1;
  return pid;
}

error none_runs(const std::string& state_dir) {
  return {error_code::not_found, "no `germline up` runs with " + state_dir +
                                     "; where it has another state folder, name it: --state-dir"};
}

/// The holder of the lock; none where the file does not say who it is yet.
result<std::optional<running_up>> holder(const std::string& state_dir) {
  const auto path = path_in(state_dir);
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return none_runs(state_dir);
  if (!file) return errno_error("opening " + path, errno);
  // What is left of one that was killed is locked by nobody.
  if (::flock(file.get(), LOCK_SH | LOCK_NB) == 0) return none_runs(state_dir);
  running_up up;
  up.pid = read_pid(file.get());
  if (up.pid <= 0) return std::optional<running_up>();
  up.process = unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, up.pid, 0)));
  struct stat about {};
  if (!up.process || ::fstat(file.get(), &about) != 0) return std::optional<running_up>();
  // After the handle was taken: what is found out now is true of the process that it means.
  GERMLINE_TRY_ASSIGN(const bool holds, has_open(up.pid, about));
  if (!holds) return std::optional<running_up>();
  return std::optional<running_up>(std::move(up));
}

}  // namespace

result<up_lock> up_lock::take(const std::string& state_dir) {
  // A `down` that looks holds it for a moment.
  constexpr int tries = 10;
  constexpr std::chrono::milliseconds pause{20};
  const auto path = path_in(state_dir);
  for (int tried = 1;; ++tried) {
    // Closed to others, who could hold a lock on what they can read.
    unique_fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock) return errno_error("opening " + path, errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (tried < tries) {
        std::this_thread::sleep_for(pause);
        continue;
      }
      return error(error_code::failed_precondition,
                   "another `germline up` runs with " + state_dir + " (see " + path + ")");
    }
    // One that ended in this moment has removed the file that was opened.
    if (is_at(path, lock.get())) return up_lock(path, std::move(lock));
  }
}

up_lock::~up_lock() {
  if (lock_) ::unlink(path_.c_str());
}

result<void> up_lock::write_pid() const {
  const auto text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_.get(), 0) != 0 ||
      ::pwrite(lock_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return errno_error("writing " + path_, errno);
  }
  return {};
}

result<running_up> find_up(const std::string& state_dir, const clock& time) {
  constexpr std::int64_t starting_ms = 3'000;
  constexpr std::chrono::milliseconds pause{50};
  const auto until_ms = time.boot_ms() + starting_ms;
  for (;;) {
    GERMLINE_TRY_ASSIGN(auto found, holder(state_dir));
    if (found) return std::move(*found);
    if (time.boot_ms() > until_ms) {
      return error(error_code::failed_precondition,
                   "somebody holds the lock of " + path_in(state_dir) +
                       ", and it is not the process that the file names: nothing was ended");
    }
    std::this_thread::sleep_for(pause);
  }
}

result<void> end_up(const running_up& up, std::int64_t limit_ms, const clock& time) {
  if (::syscall(SYS_pidfd_send_signal, up.process.get(), SIGTERM, nullptr, 0) != 0) {
    if (errno == ESRCH) return {};
    return errno_error("ending process " + std::to_string(up.pid), errno);
  }
  pollfd ended{up.process.get(), POLLIN, 0};
  const auto until_ms = time.boot_ms() + limit_ms;
  for (;;) {
    const auto left_ms = until_ms - time.boot_ms();
    if (left_ms <= 0) {
      return error(error_code::deadline_exceeded,
                   "process " + std::to_string(up.pid) + " has been asked to end, and still runs");
    }
    const int ready = ::poll(&ended, 1, static_cast<int>(left_ms));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return errno_error("poll", errno);
  }
}

}  // namespace germline::cli
