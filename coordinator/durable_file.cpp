#include "coordinator/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/unique_fd.hpp"

namespace germline {

result<void> write_durably(const std::string& path, std::string_view bytes) {
  const std::string aside = path + ".part";
  unique_fd file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errno_error("writing " + aside, errno);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto wrote = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (wrote < 0) return errno_error("writing " + aside, errno);
    at += static_cast<std::size_t>(wrote);
  }
  if (::fsync(file.get()) != 0) return errno_error("syncing " + aside, errno);
  std::error_code failed;
  std::filesystem::rename(aside, path, failed);
  if (failed) return errno_error("moving " + aside, failed.value());
  return {};
}

}  // namespace germline
