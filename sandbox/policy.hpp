// sandbox_policy: what one sandbox may see and use. An immutable value: fill a
// sandbox_policy_spec, then make() checks it. It is not enforcement: the zygote checks the policy
// again when it arrives. Plain values, no thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "sandbox/weakening.hpp"

namespace germline {

/// Who a process is inside: uid 1000, 1001, 1002 of the sandbox's own user namespace.
enum class uid_role : std::uint8_t {
  agent = 0,      // the agent, builds, tests, harnesses
  candidate = 1,  // a candidate's artefact beside a harness that it must not touch
  owner = 2,      // owner of what is only read
};

/// The uid (and gid) of a role inside the sandbox.
constexpr std::uint32_t uid_of(uid_role role) {
  return 1000U + static_cast<std::uint32_t>(role);
}

/// A host directory (or file), shown read-only, nosuid, nodev at `target`. It must lie beneath the
/// backend's exports root, and no component below that may be a symlink. What belongs on the host
/// to the owner of `host_path` belongs inside to `shown_owner`.
struct sandbox_mount {
  std::string host_path;
  std::string target;
  uid_role shown_owner = uid_role::owner;
};

/// An additional bounded, writable, empty directory.
struct sandbox_scratch {
  std::string target;
  uid_role owner = uid_role::agent;
  std::int64_t bytes = 64 << 20;
};

/// A small read-only file, written before anything starts ("/germline/task.json").
struct sandbox_file {
  std::string target;
  std::string contents;
};

struct sandbox_policy_spec {
  std::int64_t memory_bytes = std::int64_t{2} << 30;  // memory and swap together
  std::int64_t cpu_millis = 2000;                     // thousandths of a CPU
  std::int64_t pids_max = 512;
  std::int64_t open_files_max = 1024;
  std::int64_t file_bytes_max = std::int64_t{1} << 30;  // RLIMIT_FSIZE
  std::int64_t workspace_bytes = std::int64_t{2} << 30;
  std::int64_t workspace_inodes = 200'000;
  std::int64_t tmp_bytes = 256 << 20;  // of /tmp, /dev/shm and each home
  std::int64_t wall_ms = 30 * 60'000;  // from prepare; renew() moves the deadline
  std::string workspace_lower;         // host directory; empty = an empty /workspace
  std::vector<sandbox_mount> mounts;
  std::vector<sandbox_scratch> scratch;
  std::vector<sandbox_file> files;
  std::uint16_t gateway_port = 0;     // 0 = no listener; else 127.0.0.1:port inside
  bool allow_candidate_exec = false;  // /germline/bin/as-candidate works
};

class sandbox_policy {
 public:
  /// Bounds of what a policy may hold.
  static constexpr std::size_t mounts_max = 32;
  static constexpr std::size_t scratch_max = 16;
  static constexpr std::size_t files_max = 16;
  static constexpr std::size_t files_bytes_max = 96 * 1024;

  static result<sandbox_policy> make(sandbox_policy_spec spec);

  const sandbox_policy_spec& spec() const noexcept { return spec_; }
  bool weakened(weakening layer) const noexcept {
    return (weakened_.layers & static_cast<std::uint32_t>(layer)) != 0;
  }
  std::uint32_t weakened_layers() const noexcept { return weakened_.layers; }

#ifdef GERMLINE_ALLOW_WEAKENING
  /// The same policy with layers taken away. Only zygotes built for tests take it.
  sandbox_policy weaken(weakened_for_tests_only token) const {
    auto copy = *this;
    copy.weakened_ = token;
    return copy;
  }
#endif

  /// The form on the wire to the zygote, and back; decode() checks all that make() checks.
  std::string encode() const;
  static result<sandbox_policy> decode(std::string_view bytes);

 private:
  explicit sandbox_policy(sandbox_policy_spec spec) : spec_(std::move(spec)) {}
  sandbox_policy_spec spec_;
  weakened_for_tests_only weakened_;
};

/// Whether `path` is an absolute path without empty, "." or ".." components, of sane length.
bool is_clean_absolute_path(std::string_view path);

}  // namespace germline
