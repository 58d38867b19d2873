// fixture: a backend with a zygote of the abuse tests' own (one that takes weakened policies), the
// guest program, and eyes on the host: which processes, cgroups and mounts a sandbox left there.
// One thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/native.hpp"
#include "sandbox/run.hpp"

namespace germline::abuse {

/// Fails the test where it is not run by root, saying so.
void require_root();

/// Options with an instance, a uid base and an exports folder (holding `guest`) of this process.
native_options test_options(const std::string& instance);

/// The one backend that most tests share.
native_backend& shared_backend();

/// A small policy with the guest at /germline/guest.
sandbox_policy_spec small_policy();
std::unique_ptr<sandbox> prepare(sandbox_policy_spec spec, std::uint32_t weakened = 0);
std::unique_ptr<sandbox> prepare_on(native_backend& backend, sandbox_policy_spec spec,
                                    std::uint32_t weakened = 0);

process_spec command(std::vector<std::string> argv, uid_role role = uid_role::agent);
/// Runs the guest's act in `where`.
captured_run act(sandbox& where, const std::string& name, const std::string& argument = "",
                 uid_role role = uid_role::agent);
/// The guest's verdict, in a small sandbox of its own: "done" or an errno's name.
std::string verdict(const std::string& name, const std::string& argument = "",
                    std::uint32_t weakened = 0);
/// The outputs of a shell script.
captured_run shell(sandbox& where, const std::string& script, uid_role role = uid_role::agent);

/// Host processes whose uid lies in any slot of this instance.
std::vector<pid_t> host_processes(const native_options& options);
/// Waits up to `timeout_ms` until there are none; returns whether that came.
bool processes_vanish(const native_options& options, int timeout_ms);
/// germline/<instance> in each cgroup hierarchy that has it.
std::vector<std::string> instance_folders(const native_options& options);
/// Directories below germline/<instance>/ in every cgroup hierarchy.
std::vector<std::string> host_cgroups(const native_options& options);
bool cgroups_vanish(const native_options& options, int timeout_ms);
std::size_t host_mount_count();
void sleep_ms(int ms);

}  // namespace germline::abuse
