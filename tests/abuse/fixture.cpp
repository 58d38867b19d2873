#include "tests/abuse/fixture.hpp"

#include <dirent.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/clock.hpp"
#include "sandbox/launcher/cgroup_layout.hpp"

namespace germline::abuse {
namespace {

namespace fs = std::filesystem;

/// Removed when the program ends.
struct exports_folder {
  std::string path = "/tmp/germline-abuse-" + std::to_string(::getpid());
  pid_t owner = ::getpid();
  exports_folder() {
    fs::create_directories(path + "/guest");
    fs::copy_file(fs::read_symlink("/proc/self/exe").parent_path() / "abuse-guest",
                  path + "/guest/guest", fs::copy_options::overwrite_existing);
  }
  ~exports_folder() {
    std::error_code ignored;
    if (::getpid() == owner) fs::remove_all(path, ignored);
  }
};

template <class Done>
bool comes_true(int timeout_ms, Done done) {
  const system_clock_source time;
  const auto until = time.boot_ms() + timeout_ms;
  while (!done()) {
    if (time.boot_ms() > until) return false;
    sleep_ms(10);
  }
  return true;
}

}  // namespace

void require_root() {
  REQUIRE_MESSAGE(::geteuid() == 0, "the abuse tests make real sandboxes: run them as root");
}

native_options test_options(const std::string& instance) {
  static const exports_folder exports;
  native_options options;
  native_backend::find_helpers(options);
  const auto folder = fs::read_symlink("/proc/self/exe").parent_path().string();
  options.zygote_path = folder + "/germline-zygote-for-tests";
  options.exports_root = exports.path;
  options.instance = instance;
  options.slots = 4;
  // Uids that no other instance on this machine uses: told apart by the instance's name.
  std::uint32_t offset = 0;
  for (const char letter : instance)
    offset = (offset * 31 + static_cast<unsigned char>(letter)) % 97;
  options.uid_base = 2'000'000'000U + offset * 16 * 65'536;
  return options;
}

native_backend& shared_backend() {
  static const auto backend = [] {
    require_root();
    auto made = native_backend::start(test_options("abuse"));
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message()));
    return std::move(*made);
  }();
  return *backend;
}

sandbox_policy_spec small_policy() {
  sandbox_policy_spec spec;
  spec.memory_bytes = 256 << 20;
  spec.pids_max = 64;
  spec.workspace_bytes = 64 << 20;
  spec.tmp_bytes = 8 << 20;
  spec.wall_ms = 60'000;
  spec.mounts.push_back({test_options("abuse").exports_root + "/guest", "/germline/guest"});
  return spec;
}

std::unique_ptr<sandbox> prepare_on(native_backend& backend, sandbox_policy_spec spec,
                                    std::uint32_t weakened) {
  auto policy = sandbox_policy::make(std::move(spec));
  REQUIRE_MESSAGE(policy.has_value(), (policy ? "" : policy.error().message()));
  auto made = backend.prepare(policy->weaken(weakened_for_tests_only{weakened}));
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message()));
  return std::move(*made);
}

std::unique_ptr<sandbox> prepare(sandbox_policy_spec spec, std::uint32_t weakened) {
  return prepare_on(shared_backend(), std::move(spec), weakened);
}

process_spec command(std::vector<std::string> argv, uid_role role) {
  process_spec spec;
  spec.argv = std::move(argv);
  spec.role = role;
  return spec;
}

captured_run act(sandbox& where, const std::string& name, const std::string& argument,
                 uid_role role) {
  capture_limits limits;
  limits.wall_ms = 20'000;
  auto run =
      run_captured(where, command({"/germline/guest/guest", name, argument}, role), "", limits);
  REQUIRE_MESSAGE(run.has_value(), (run ? "" : run.error().message()));
  return std::move(*run);
}

std::string verdict(const std::string& name, const std::string& argument, std::uint32_t weakened) {
  const auto where = prepare(small_policy(), weakened);
  const auto run = act(*where, name, argument);
  if (!run.outcome.succeeded()) {
    return std::string(to_string(run.outcome.kind)) + " " + std::to_string(run.outcome.code);
  }
  return run.out.head.substr(0, run.out.head.find('\n'));
}

captured_run shell(sandbox& where, const std::string& script, uid_role role) {
  capture_limits limits;
  limits.wall_ms = 20'000;
  auto run = run_captured(where, command({"/bin/bash", "-c", script}, role), "", limits);
  REQUIRE_MESSAGE(run.has_value(), (run ? "" : run.error().message()));
  return std::move(*run);
}

std::vector<pid_t> host_processes(const native_options& options) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const auto pid = std::atoi(entry.path().filename().c_str());
    struct stat info {};
    if (pid <= 0 || ::stat((entry.path() / "status").c_str(), &info) != 0) continue;
    // The folder's owner is root's for processes that are not dumpable: read the real uid.
    std::ifstream status(entry.path() / "status");
    std::string line;
    while (std::getline(status, line) && !line.starts_with("Uid:")) {
    }
    const auto uid = line.size() > 5 ? std::strtoul(line.c_str() + 5, nullptr, 10) : 0;
    const auto top = std::uint64_t{options.uid_base} + 65'536ULL * (options.slots + 1);
    if (uid >= options.uid_base && uid < top) found.push_back(pid);
  }
  return found;
}

bool processes_vanish(const native_options& options, int timeout_ms) {
  return comes_true(timeout_ms, [&] { return host_processes(options).empty(); });
}

std::vector<std::string> instance_folders(const native_options& options) {
  auto layout = detect_own_cgroups();
  REQUIRE(layout.has_value());
  std::vector<std::string> roots;
  for (const auto& [controller, directory] : layout->v1) roots.push_back(directory);
  if (!layout->v2.empty()) roots.push_back(layout->v2);
  std::vector<std::string> found;
  for (const auto& root : roots) {
    const auto folder = root + "/germline/" + options.instance;
    if (fs::is_directory(folder)) found.push_back(folder);
  }
  return found;
}

std::vector<std::string> host_cgroups(const native_options& options) {
  std::vector<std::string> found;
  for (const auto& folder : instance_folders(options)) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.is_directory()) found.push_back(entry.path());
    }
  }
  return found;
}

bool cgroups_vanish(const native_options& options, int timeout_ms) {
  return comes_true(timeout_ms, [&] { return host_cgroups(options).empty(); });
}

std::size_t host_mount_count() {
  std::ifstream mounts("/proc/self/mountinfo");
  std::size_t count = 0;
  std::string line;
  while (std::getline(mounts, line)) ++count;
  return count;
}

void sleep_ms(int ms) {
  ::poll(nullptr, 0, ms);
}

}  // namespace germline::abuse
