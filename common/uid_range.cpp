#include "common/uid_range.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <string>

namespace germline {

result<unique_fd> take_uid_range(std::uint32_t first_uid) {
  const auto path = "/run/germline-worker-" + std::to_string(first_uid) + ".lock";
  unique_fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return errno_error("opening " + path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return error(error_code::failed_precondition,
                 "another worker on this machine uses the uids from " + std::to_string(first_uid) +
                     " on; end it, or give this one others by uid_base (GERMLINE_UID_BASE)");
  }
  return lock;
}

}  // namespace germline
