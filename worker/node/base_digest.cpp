#include "worker/node/base_digest.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unordered_set>
#include <vector>

#include "common/hash.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

/// "name version" of each installed package, sorted.
result<std::vector<std::string>> installed_packages(const std::string& dpkg_dir) {
  std::ifstream status(dpkg_dir + "/status");
  if (!status) {
    return error(error_code::not_found,
                 dpkg_dir + "/status cannot be read: the base `host` needs a Debian system");
  }
  std::vector<std::string> packages;
  std::string line;
  std::string name;
  bool installed = false;
  while (std::getline(status, line)) {
    if (line.starts_with("Package: ")) {
      name = line.substr(9);
    } else if (line.starts_with("Status: ")) {
      installed = line == "Status: install ok installed";
    } else if (line.starts_with("Version: ") && installed) {
      packages.push_back(name + " " + line.substr(9));
    }
  }
  std::ranges::sort(packages);
  return packages;
}

std::unordered_set<std::string> owned_paths(const std::string& dpkg_dir) {
  std::unordered_set<std::string> owned;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(dpkg_dir + "/info", failed)) {
    if (entry.path().extension() != ".list") continue;
    std::ifstream list(entry.path());
    for (std::string line; std::getline(list, line);) owned.insert(line);
  }
  return owned;
}

/// Files that depend on a run of a program and not on what is installed.
bool is_volatile(const std::string& path) {
  return path.ends_with(".pyc") || path.find("/__pycache__") != std::string::npos;
}

}  // namespace

result<std::string> compute_base_digest(const std::string& dpkg_dir, const std::string& usr) {
  GERMLINE_TRY_ASSIGN(const auto packages, installed_packages(dpkg_dir));
  sha256 hasher;
  for (const auto& package : packages) hasher.update(package + "\n");

  const auto owned = owned_paths(dpkg_dir);
  std::vector<std::string> foreign;
  std::error_code failed;
  fs::recursive_directory_iterator walk(usr, fs::directory_options::skip_permission_denied, failed);
  if (failed) return errno_error("walking " + usr, failed.value());
  const auto skipped = usr + "/local";
  for (; walk != fs::recursive_directory_iterator(); walk.increment(failed)) {
    if (failed) return errno_error("walking " + usr, failed.value());
    const auto path = walk->path().string();
    if (path == skipped) {
      walk.disable_recursion_pending();
      continue;
    }
    // A merged /usr: dpkg lists some of its files without the prefix.
    const auto without_usr = path.substr(usr.size());
    if (owned.contains(path) || owned.contains(without_usr) || is_volatile(path)) continue;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) continue;
    foreign.push_back(path + " " + std::to_string(info.st_size) + " " +
                      std::to_string(info.st_mtim.tv_sec));
  }
  std::ranges::sort(foreign);
  for (const auto& line : foreign) hasher.update(line + "\n");
  return hasher.finish_hex();
}

}  // namespace germline::worker
