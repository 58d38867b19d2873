#include "worker/node/place.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

namespace germline::worker {

result<std::string> place_of(std::uint32_t first_uid) {
  const std::string boot_path = "/proc/sys/kernel/random/boot_id";
  std::string boot;
  if (!std::getline(std::ifstream(boot_path) >> std::ws, boot)) {
    return error(error_code::not_found, "reading " + boot_path + ": is /proc mounted?");
  }
  const std::string pids_path = "/proc/self/ns/pid";
  struct stat pids = {};
  if (::stat(pids_path.c_str(), &pids) != 0) return errno_error("reading " + pids_path, errno);
  return boot + "/" + std::to_string(pids.st_ino) + "/" + std::to_string(first_uid);
}

}  // namespace germline::worker
