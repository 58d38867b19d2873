#include "cli/up/gateway_files.hpp"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "worker/gateway/config.hpp"
#include "worker/gateway/prices.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

/// What the system itself says, access lists and read-only mounts among it: asked by a child that
/// is the account.
result<bool> account_may(uid_t owner, gid_t group, const std::string& path, int what) {
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    const bool is_it = ::setgroups(0, nullptr) == 0 && ::setgid(group) == 0 && ::setuid(owner) == 0;
    ::_exit(!is_it ? 2 : ::access(path.c_str(), what) == 0 ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return errno_error("waitpid", errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) return WEXITSTATUS(status) == 0;
  return error(error_code::permission_denied,
               "becoming uid " + std::to_string(owner) + " to look at " + path + " failed");
}

/// The first folder on the way that lets the account not through; empty: none.
result<std::string> first_closed(const fs::path& folder, uid_t owner, gid_t group) {
  std::vector<fs::path> above;
  for (auto at = folder.parent_path(); at != at.parent_path(); at = at.parent_path()) {
    above.push_back(at);
  }
  for (auto at = above.rbegin(); at != above.rend(); ++at) {
    GERMLINE_TRY_ASSIGN(const bool may, account_may(owner, group, at->string(), X_OK));
    if (!may) return at->string();
  }
  return std::string();
}

}  // namespace

result<void> check_transcripts_place(const std::string& folder, uid_t owner, gid_t group,
                                     bool is_shared) {
  std::error_code failed;
  const auto place = fs::absolute(folder, failed).lexically_normal();
  const auto path = (place.has_filename() ? place : place.parent_path()).string();
  const bool is_there = fs::exists(path, failed);
  // The gateway makes the last folder of the path itself.
  const auto written = is_there ? path : fs::path(path).parent_path().string();
  GERMLINE_TRY_ASSIGN(const bool may, account_may(owner, group, written, W_OK | X_OK));
  if (may && (!is_there || fs::is_directory(path, failed))) return {};
  const auto whom = std::to_string(owner) + ":" + std::to_string(group);
  // A folder has one owner: to several it is opened.
  const auto gives = (is_shared ? "chmod 1777 " : "chown " + whom + " ") + path;
  const auto why = "the gateway, which runs as uid " + std::to_string(owner) +
                   ", cannot write its transcripts to " + path +
                   " (directory in [transcripts] of its configuration): ";
  if (!is_there) {
    return error(error_code::failed_precondition,
                 why + "it is not there. Make it: mkdir -p " + path + " && " + gives);
  }
  if (!fs::is_directory(path, failed)) {
    return error(error_code::failed_precondition, why + "it is no folder. Name one");
  }
  GERMLINE_TRY_ASSIGN(const auto closed, first_closed(path, owner, group));
  if (!closed.empty()) {
    return error(
        error_code::failed_precondition,
        why + closed + " does not let it through. Name another folder, or: chmod o+x " + closed);
  }
  return error(error_code::failed_precondition, why + "it may not. Give it the folder: " + gives);
}

result<void> check_readable(const std::string& file, uid_t owner, gid_t group) {
  GERMLINE_TRY_ASSIGN(const bool may, account_may(owner, group, file, R_OK));
  if (may) return {};
  std::error_code failed;
  const auto path = fs::absolute(file, failed).lexically_normal();
  GERMLINE_TRY_ASSIGN(const auto closed, first_closed(path, owner, group));
  return error(error_code::failed_precondition,
               "the gateway, which runs as uid " + std::to_string(owner) + ", cannot read " +
                   path.string() + ": " +
                   (closed.empty() ? "it may not. Let it: chmod o+r " + path.string()
                                   : closed +
                                         " does not let it through. Put the file elsewhere, "
                                         "or: chmod o+x " +
                                         closed));
}

result<void> check_gateway_files(const std::string& gateway_config, uid_t owner, gid_t group,
                                 bool is_shared) {
  if (gateway_config.empty()) return {};
  GERMLINE_TRY_ASSIGN(const auto config, worker::load_gateway_config(gateway_config));
  GERMLINE_TRY(worker::price_table::load(config.prices_file));
  GERMLINE_TRY(check_readable(gateway_config, owner, group));
  GERMLINE_TRY(check_readable(config.prices_file, owner, group));
  if (config.transcripts_directory.empty()) return {};
  return check_transcripts_place(config.transcripts_directory, owner, group, is_shared);
}

std::vector<std::string> missing_keys(const std::string& gateway_config) {
  std::vector<std::string> all;
  if (gateway_config.empty()) return all;
  const auto config = worker::load_gateway_config(gateway_config);
  if (!config) return all;
  for (const auto& one : config->upstreams) {
    const char* key = one.key_env.empty() ? "none" : ::getenv(one.key_env.c_str());
    if (key != nullptr && *key != '\0') continue;
    all.push_back("the upstream '" + one.name + "' has no key: " + one.key_env + " is not set");
  }
  return all;
}

}  // namespace germline::cli
