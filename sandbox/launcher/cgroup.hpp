// sandbox_cgroup: the cgroup directories of one sandbox, in every hierarchy that limits it: limits,
// membership, usage, kill, removal. Owns the directories from create() until remove(); not removed
// by the destructor, since the sweep after a crash must work without one.
// One process at a time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "sandbox/backend.hpp"
#include "sandbox/launcher/cgroup_layout.hpp"

namespace germline {

class sandbox_cgroup {
 public:
  /// Makes germline/<instance>/<name> below our own cgroup in every hierarchy, with the policy's
  /// limits on memory, swap, pids and CPU. failed_precondition: a controller is missing.
  static result<sandbox_cgroup> create(const cgroup_layout& layout, const std::string& instance,
                                       const std::string& name, const sandbox_policy& policy);

  /// Puts a process in, everywhere.
  result<void> join(pid_t pid) const;
  sandbox_usage read_usage() const;
  /// Kills until no process is left, at most `timeout_ms`.
  result<void> kill_all(std::int64_t timeout_ms) const;
  /// REQUIRES that no process is left in it.
  result<void> remove() const;

 private:
  friend result<void> sweep_cgroups(const cgroup_layout&, const std::string&,
                                    const std::function<bool(const std::string&)>&);
  /// The directories that exist already under that name.
  static sandbox_cgroup existing(const cgroup_layout& layout, const std::string& instance,
                                 const std::string& name);
  result<void> limit(const sandbox_policy& policy) const;
  const std::string* v1(const std::string& controller) const;
  std::vector<pid_t> members() const;

  std::vector<std::pair<std::string, std::string>> v1_;  // controller, directory
  std::string v2_;
  bool v2_controllers_ = false;
};

/// Kills and removes every cgroup of the instance whose name `in_use` does not claim.
result<void> sweep_cgroups(const cgroup_layout& layout, const std::string& instance,
                           const std::function<bool(const std::string&)>& in_use);

/// Removes the instance's own folders, and the one above, where they are empty; others' stay.
void remove_empty_folders(const cgroup_layout& layout, const std::string& instance) noexcept;

}  // namespace germline
