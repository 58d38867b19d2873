#include "sandbox/policy.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "sandbox/wire.hpp"

namespace germline {
namespace {

constexpr std::size_t path_bytes_max = 1024;

error invalid(std::string text) {
  return {error_code::invalid_argument, "sandbox policy: " + std::move(text)};
}

result<void> check_range(std::string_view name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
  if (value >= low && value <= high) return {};
  return invalid(std::string(name) + " is " + std::to_string(value) + "; it must be between " +
                 std::to_string(low) + " and " + std::to_string(high));
}

bool is_at_or_below(std::string_view path, std::string_view root) {
  return path == root ||
         (path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/');
}

/// Whether something of the policy may be put at `path`: nowhere that the launcher itself fills.
bool is_free_target(std::string_view path) {
  constexpr std::array taken{"/usr",  "/bin",  "/lib",  "/lib64",        "/sbin",
                             "/etc",  "/proc", "/sys",  "/dev",          "/tmp",
                             "/home", "/run",  "/root", "/germline/bin", "/germline/run.sock",
                             "/old"};
  return std::none_of(taken.begin(), taken.end(),
                      [&](std::string_view root) { return is_at_or_below(path, root); }) &&
         path != "/" && path != "/germline" && path != "/workspace";
}

result<void> check_target(std::string_view path) {
  if (is_clean_absolute_path(path) && is_free_target(path)) return {};
  return invalid("'" + std::string(path) +
                 "' cannot be a target: use a clean absolute path such as /germline/seed");
}

result<void> check_numbers(const sandbox_policy_spec& spec) {
  constexpr std::int64_t mebi = 1 << 20;
  constexpr std::int64_t tebi = std::int64_t{1} << 40;
  GERMLINE_TRY(check_range("memory_bytes", spec.memory_bytes, 8 * mebi, tebi));
  GERMLINE_TRY(check_range("cpu_millis", spec.cpu_millis, 10, 1'024'000));
  GERMLINE_TRY(check_range("pids_max", spec.pids_max, 2, 65'536));
  GERMLINE_TRY(check_range("open_files_max", spec.open_files_max, 16, 65'536));
  GERMLINE_TRY(check_range("file_bytes_max", spec.file_bytes_max, 0, tebi));
  GERMLINE_TRY(check_range("workspace_bytes", spec.workspace_bytes, 64 * 1024, tebi));
  GERMLINE_TRY(check_range("workspace_inodes", spec.workspace_inodes, 16, 100'000'000));
  GERMLINE_TRY(check_range("tmp_bytes", spec.tmp_bytes, 64 * 1024, tebi));
  GERMLINE_TRY(check_range("wall_ms", spec.wall_ms, 1, std::int64_t{31} * 86'400'000));
  return {};
}

result<void> check_lists(const sandbox_policy_spec& spec) {
  if (spec.mounts.size() > sandbox_policy::mounts_max) return invalid("too many mounts");
  if (spec.scratch.size() > sandbox_policy::scratch_max) return invalid("too many scratch places");
  if (spec.files.size() > sandbox_policy::files_max) return invalid("too many files");
  // A symlink in the lower layer could lead a mount below the workspace astray.
  const auto astray = [&](std::string_view target) {
    return !spec.workspace_lower.empty() && is_at_or_below(target, "/workspace");
  };
  for (const auto& mount : spec.mounts) {
    GERMLINE_TRY(check_target(mount.target));
    if (astray(mount.target)) return invalid("mounts go outside a workspace with a lower layer");
    if (!is_clean_absolute_path(mount.host_path)) {
      return invalid("'" + mount.host_path + "' is not a clean absolute path");
    }
    if (mount.shown_owner > uid_role::owner) return invalid("a mount's owner is unknown");
  }
  for (const auto& scratch : spec.scratch) {
    GERMLINE_TRY(check_target(scratch.target));
    if (astray(scratch.target))
      return invalid("scratch goes outside a workspace with a lower layer");
    GERMLINE_TRY(check_range("scratch bytes", scratch.bytes, 4096, std::int64_t{1} << 40));
    if (scratch.owner > uid_role::owner) return invalid("a scratch place's owner is unknown");
  }
  std::size_t total = 0;
  for (const auto& file : spec.files) {
    GERMLINE_TRY(check_target(file.target));
    if (is_at_or_below(file.target, "/workspace")) return invalid("files go outside /workspace");
    total += file.contents.size();
  }
  if (total > sandbox_policy::files_bytes_max) {
    return invalid("the files have " + std::to_string(total) + " bytes; at most " +
                   std::to_string(sandbox_policy::files_bytes_max) + " may be given");
  }
  return {};
}

result<void> check_policy(const sandbox_policy_spec& spec) {
  GERMLINE_TRY(check_numbers(spec));
  if (!spec.workspace_lower.empty() && !is_clean_absolute_path(spec.workspace_lower)) {
    return invalid("'" + spec.workspace_lower + "' is not a clean absolute path");
  }
  return check_lists(spec);
}

}  // namespace

bool is_clean_absolute_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > path_bytes_max) return false;
  if (path.find('\0') != std::string_view::npos) return false;
  std::size_t start = 1;
  while (start <= path.size()) {
    const auto end = std::min(path.find('/', start), path.size());
    const auto part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    start = end + 1;
  }
  return true;
}

result<sandbox_policy> sandbox_policy::make(sandbox_policy_spec spec) {
  GERMLINE_TRY(check_policy(spec));
  return sandbox_policy(std::move(spec));
}

std::string sandbox_policy::encode() const {
  wire::writer out;
  out.i64(spec_.memory_bytes).i64(spec_.cpu_millis).i64(spec_.pids_max);
  out.i64(spec_.open_files_max).i64(spec_.file_bytes_max).i64(spec_.workspace_bytes);
  out.i64(spec_.workspace_inodes).i64(spec_.tmp_bytes).i64(spec_.wall_ms);
  out.text(spec_.workspace_lower);
  out.u32(static_cast<std::uint32_t>(spec_.mounts.size()));
  for (const auto& mount : spec_.mounts) {
    out.text(mount.host_path).text(mount.target);
    out.u8(static_cast<std::uint8_t>(mount.shown_owner));
  }
  out.u32(static_cast<std::uint32_t>(spec_.scratch.size()));
  for (const auto& scratch : spec_.scratch) {
    out.text(scratch.target).u8(static_cast<std::uint8_t>(scratch.owner)).i64(scratch.bytes);
  }
  out.u32(static_cast<std::uint32_t>(spec_.files.size()));
  for (const auto& file : spec_.files) out.text(file.target).text(file.contents);
  out.u32(spec_.gateway_port).u8(spec_.allow_candidate_exec ? 1 : 0).u32(weakened_.layers);
  return out.bytes();
}

result<sandbox_policy> sandbox_policy::decode(std::string_view bytes) {
  wire::reader in(bytes);
  sandbox_policy_spec spec;
  spec.memory_bytes = in.i64();
  spec.cpu_millis = in.i64();
  spec.pids_max = in.i64();
  spec.open_files_max = in.i64();
  spec.file_bytes_max = in.i64();
  spec.workspace_bytes = in.i64();
  spec.workspace_inodes = in.i64();
  spec.tmp_bytes = in.i64();
  spec.wall_ms = in.i64();
  spec.workspace_lower = in.text();
  for (auto left = std::min<std::size_t>(in.u32(), mounts_max + 1); in.ok() && left > 0; --left) {
    sandbox_mount mount;
    mount.host_path = in.text();
    mount.target = in.text();
    mount.shown_owner = static_cast<uid_role>(in.u8());
    spec.mounts.push_back(std::move(mount));
  }
  for (auto left = std::min<std::size_t>(in.u32(), scratch_max + 1); in.ok() && left > 0; --left) {
    sandbox_scratch scratch;
    scratch.target = in.text();
    scratch.owner = static_cast<uid_role>(in.u8());
    scratch.bytes = in.i64();
    spec.scratch.push_back(std::move(scratch));
  }
  for (auto left = std::min<std::size_t>(in.u32(), files_max + 1); in.ok() && left > 0; --left) {
    sandbox_file file;
    file.target = in.text();
    file.contents = in.text();
    spec.files.push_back(std::move(file));
  }
  const auto port = in.u32();
  const auto candidate = in.u8();
  const weakened_for_tests_only weakened{in.u32()};
  if (!in.finished() || port > 0xFFFF || candidate > 1 || (weakened.layers & ~weakening_all) != 0) {
    return invalid("the message is malformed");
  }
  spec.gateway_port = static_cast<std::uint16_t>(port);
  spec.allow_candidate_exec = candidate == 1;
  GERMLINE_TRY(check_policy(spec));
  auto policy = sandbox_policy(std::move(spec));
  policy.weakened_ = weakened;
  return policy;
}

}  // namespace germline
