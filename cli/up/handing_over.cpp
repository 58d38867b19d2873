#include "cli/up/handing_over.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/pki/credentials.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

/// What an authority has in its folder, and in `server`.
constexpr const char* names_here[] = {"ca.crt", "ca.key", "ca.key.next", "token.key",
                                      "certificates.jsonl"};
constexpr const char* names_served[] = {"ca.crt", "tls.crt", "tls.key"};

/// A folder of root's own; one that is another's already, or none at all, is left alone.
result<unique_fd> open_roots(int above, const std::string& name) {
  unique_fd folder(::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder && errno == ENOENT) return folder;
  struct stat found {};
  if (!folder || ::fstat(folder.get(), &found) != 0) return errno_error("opening " + name, errno);
  if (found.st_uid != 0) folder.reset();
  return folder;
}

result<void> give_file(const unique_fd& folder, const char* name, uid_t owner, gid_t group) {
  struct stat found {};
  if (::fstatat(folder.get(), name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return errno_error(std::string("looking at ") + name, errno);
  }
  if (!S_ISREG(found.st_mode) || found.st_uid != 0) return {};
  if (::fchownat(folder.get(), name, owner, group, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return errno_error(std::string("chown of ") + name, errno);
}

result<void> give_folder(const unique_fd& folder, uid_t owner, gid_t group) {
  if (::fchown(folder.get(), owner, group) == 0) return {};
  return errno_error("chown of a folder", errno);
}

}  // namespace

result<void> hand_over_authority(const std::string& folder, uid_t owner, gid_t group) {
  GERMLINE_TRY_ASSIGN(const auto own, open_roots(AT_FDCWD, folder));
  if (!own) return {};
  std::error_code failed;
  // It is the first file that an authority has.
  if (!fs::is_empty(folder, failed) && !fs::exists(folder + "/token.key", failed)) {
    return error(error_code::invalid_argument,
                 folder + " has things in it, and no authority: name a folder of its own");
  }
  // Each folder after what is in it: so what is cut short goes on the next time.
  GERMLINE_TRY_ASSIGN(const auto served, open_roots(own.get(), "server"));
  if (served) {
    for (const auto* name : names_served) GERMLINE_TRY(give_file(served, name, owner, group));
    GERMLINE_TRY(give_folder(served, owner, group));
  }
  for (const auto* name : names_here) GERMLINE_TRY(give_file(own, name, owner, group));
  return give_folder(own, owner, group);
}

result<void> check_way_to(const std::string& folder, uid_t owner, gid_t group) {
  for (auto above = fs::path(folder).parent_path();; above = above.parent_path()) {
    struct stat found {};
    if (::stat(above.c_str(), &found) != 0) return errno_error("reading " + above.string(), errno);
    const mode_t bit = found.st_uid == owner ? S_IXUSR : found.st_gid == group ? S_IXGRP : S_IXOTH;
    if ((found.st_mode & bit) == 0) {
      return error(
          error_code::failed_precondition,
          folder + " is out of reach for the coordinator, which is not root: " + above.string() +
              " lets its owner through alone. Name another folder, or: "
              "chmod o+x " +
              above.string());
    }
    if (above == above.parent_path()) return {};
  }
}

result<void> copy_credentials(const std::string& from, const std::string& to) {
  GERMLINE_TRY_ASSIGN(const auto read, pki::read_credentials(from));
  if (read.facts.whose.who != pki::role::coordinator) {
    return error(error_code::invalid_argument,
                 "the certificate in " + from + " is a " +
                     std::string(pki::to_string(read.facts.whose.who)) +
                     "'s; `germline pki issue coordinator` makes a coordinator's");
  }
  return pki::write_credentials(to, read.files);
}

}  // namespace germline::cli
