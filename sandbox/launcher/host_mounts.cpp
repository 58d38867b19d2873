#include "sandbox/launcher/host_mounts.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>

#include "sandbox/launcher/user_map.hpp"

namespace germline {
namespace {

constexpr std::uint64_t plain_data = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

result<void> set_attributes(int tree, std::uint64_t set, int userns = -1) {
  mount_attr attributes{};
  attributes.attr_set = set;
  if (userns >= 0) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<std::uint64_t>(userns);
  }
  if (::mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return {};
  return errno_error("mount_setattr", errno);
}

result<bool> is_directory(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error("fstat", errno);
  return S_ISDIR(info.st_mode);
}

result<detached_mount> open_fixed(const std::string& source, const std::string& target,
                                  std::uint64_t attributes) {
  detached_mount mount;
  mount.tree.reset(::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount.tree) return errno_error("opening " + source, errno);
  GERMLINE_TRY(set_attributes(mount.tree.get(), attributes));
  GERMLINE_TRY_ASSIGN(mount.is_directory, is_directory(mount.tree.get()));
  mount.target = target;
  return mount;
}

/// A clone of the mount at `host_path`, which must lie beneath the exports root.
result<unique_fd> open_export(const host_mount_sources& sources, const std::string& host_path) {
  const auto& root = sources.exports_path;
  if (sources.exports_root < 0 || !host_path.starts_with(root + "/")) {
    return error(error_code::permission_denied,
                 "'" + host_path + "' is not beneath the exports root '" + root + "'");
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto below = host_path.substr(root.size() + 1);
  unique_fd place(static_cast<int>(
      ::syscall(SYS_openat2, sources.exports_root, below.c_str(), &how, sizeof how)));
  if (!place) return errno_error("opening the export " + host_path, errno);
  unique_fd tree(::open_tree(place.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return errno_error("cloning the export " + host_path, errno);
  return tree;
}

/// Shows what belongs to the owner of the tree's root as the role's.
result<void> show_as(int tree, std::uint32_t shown, std::uint64_t attributes) {
  struct stat info {};
  if (::fstat(tree, &info) != 0) return errno_error("fstat", errno);
  GERMLINE_TRY_ASSIGN(const auto space, make_idmap_namespace(info.st_uid, info.st_gid, shown));
  return set_attributes(tree, attributes, space.get());
}

result<void> open_policy_mounts(const host_mount_sources& sources, const sandbox_policy& policy,
                                host_mounts& all) {
  for (const auto& wanted : policy.spec().mounts) {
    detached_mount mount;
    GERMLINE_TRY_ASSIGN(mount.tree, open_export(sources, wanted.host_path));
    GERMLINE_TRY(
        show_as(mount.tree.get(), sources.uid_base + uid_of(wanted.shown_owner), plain_data));
    GERMLINE_TRY_ASSIGN(mount.is_directory, is_directory(mount.tree.get()));
    mount.target = wanted.target.substr(1);
    all.places.push_back(std::move(mount));
  }
  const auto& lower = policy.spec().workspace_lower;
  if (lower.empty()) return {};
  GERMLINE_TRY_ASSIGN(all.workspace_lower, open_export(sources, lower));
  return show_as(all.workspace_lower.get(), sources.uid_base + uid_of(uid_role::agent), plain_data);
}

/// What an administrator put beneath /usr, and Germline's own share folders: the installed tasks
/// have their answers with them.
std::vector<std::string> hidden_folders(const std::string& installed_program) {
  namespace fs = std::filesystem;
  const auto folder = fs::path(installed_program).parent_path();  // bin or libexec/germline
  std::vector<std::string> hidden;
  for (const fs::path& place : {fs::path("/usr/local"), fs::path("/usr/share/germline"),
                                folder / "../share/germline", folder / "../../share/germline"}) {
    std::error_code failed;
    const auto real = fs::canonical(place, failed).string();
    if (!failed && real.starts_with("/usr/")) hidden.push_back(real.substr(1));
  }
  return hidden;
}

}  // namespace

result<host_mounts> open_host_mounts(const host_mount_sources& sources,
                                     const sandbox_policy& policy) {
  host_mounts all;
  GERMLINE_TRY_ASSIGN(auto usr, open_fixed("/usr", "usr", plain_data));
  all.places.push_back(std::move(usr));
  all.hidden = hidden_folders(sources.as_candidate_path);
  for (const std::string name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    GERMLINE_TRY_ASSIGN(auto node, open_fixed("/dev/" + name, "dev/" + name,
                                              MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
    all.places.push_back(std::move(node));
  }
  for (const std::string name : {"ld.so.cache", "alternatives", "ssl/certs", "ssl/openssl.cnf"}) {
    if (::access(("/etc/" + name).c_str(), F_OK) != 0) continue;
    GERMLINE_TRY_ASSIGN(auto place, open_fixed("/etc/" + name, "etc/" + name, plain_data));
    all.places.push_back(std::move(place));
  }
  if (policy.spec().allow_candidate_exec) {
    GERMLINE_TRY_ASSIGN(auto program, open_fixed(sources.as_candidate_path,
                                                 "germline/bin/as-candidate", plain_data));
    all.places.push_back(std::move(program));
  }
  GERMLINE_TRY(open_policy_mounts(sources, policy, all));
  return all;
}

}  // namespace germline
