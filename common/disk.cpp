#include "common/disk.hpp"

#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace germline {

std::int64_t free_bytes_on(const std::string& folder) {
  struct statvfs about {};
  if (::statvfs(folder.c_str(), &about) != 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(about.f_bavail) * static_cast<std::int64_t>(about.f_frsize);
}

bool names_disk_fault(std::string_view message) {
  constexpr std::array causes{ENOSPC, EDQUOT, EIO, EROFS};
  for (const int cause : causes) {
    if (message.find(std::strerror(cause)) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace germline
