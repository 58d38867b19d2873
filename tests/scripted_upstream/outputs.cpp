#include "tests/scripted_upstream/outputs.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace germline::scripted {
namespace {

result<void> may(int mode, const std::string& path, const std::string& what) {
  if (::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0) return {};
  return errno_error(what, errno);
}

result<void> may_write_within(const std::string& folder, const std::string& what) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) return errno_error(what, errno);
  if (!S_ISDIR(found.st_mode)) return errno_error(what, ENOTDIR);
  return may(W_OK | X_OK, folder, what);
}

}  // namespace

result<void> check_report_file(const std::string& path) {
  const std::string what = "cannot write the report " + path;
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) {
    if (S_ISDIR(found.st_mode)) return errno_error(what, EISDIR);
    return may(W_OK, path, what);
  }
  if (errno != ENOENT) return errno_error(what, errno);
  const auto folder = std::filesystem::path(path).parent_path();
  return may_write_within(folder.empty() ? "." : folder.string(), what);
}

result<void> check_bodies_directory(const std::string& path) {
  return may_write_within(path, "cannot keep bodies in " + path);
}

}  // namespace germline::scripted
