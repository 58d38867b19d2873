// C and F. Files, /proc, /sys and secrets: nothing of the host's is written, or read beyond /usr.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/abuse/fixture.hpp"

namespace germline::abuse {
namespace {

std::string exports() {
  return test_options("abuse").exports_root;
}

void write_host_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("C28 kernel settings do not open for writing") {
  const auto where = prepare(small_policy());
  for (const auto* path :
       {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
        "/proc/sys/kernel/hotplug", "/proc/sys/fs/binfmt_misc/register"}) {
    CAPTURE(path);
    const auto said = act(*where, "write", path).out.head;
    CHECK_MESSAGE((said == "EROFS\n" || said == "EACCES\n" || said == "ENOENT\n"), said);
  }
  // The control: a file of the process's own in /proc does open.
  CHECK(act(*where, "write", "/proc/self/comm").out.head == "done\n");
}

TEST_CASE("C29 C30 neither cgroups nor sysfs nor init's files are there") {
  const auto where = prepare(small_policy());
  CHECK(shell(*where, "ls -A /sys /run /usr/local | grep -v :; true").out.head == "\n\n");
  for (const auto* path : {"/proc/1/environ", "/proc/1/mem", "/proc/1/root", "/proc/1/fd/3",
                           "/proc/1/exe", "/proc/1/maps"}) {
    CAPTURE(path);
    CHECK(act(*where, "read", path).out.head == "ENOENT\n");
  }
  // Without hidepid, pid 1 is seen and still not read.
  const auto open = prepare(small_policy(), static_cast<std::uint32_t>(weakening::no_proc_masks));
  for (const auto* path : {"/proc/1/environ", "/proc/1/mem", "/proc/1/exe"}) {
    CAPTURE(path);
    CHECK(act(*open, "read", path).out.head == "EACCES\n");
  }
}

TEST_CASE("C29 what Germline has installed beneath /usr is not shown") {
  namespace fs = std::filesystem;
  const fs::path share = "/usr/share/germline";
  std::error_code failed;
  const bool made = fs::create_directory(share, failed);  // else it is an installed one, or cannot
  if (made) std::ofstream(share / "answer") << "42";
  const auto where = prepare(small_policy());
  const auto seen = shell(*where, "cd /usr/share/germline && pwd && ls -A").out.head;
  if (made) fs::remove_all(share);
  if (made || fs::exists(share)) CHECK(seen == "/usr/share/germline\n");
}

TEST_CASE("C31 only stdio is open, and the report where asked for") {
  const auto where = prepare(small_policy());
  CHECK(act(*where, "fds").out.head == "open: 0 1 2 \ndone\n");
  capture_limits limits;
  limits.want_report = true;
  const auto run = run_captured(*where, command({"bash", "-c", "echo kept >&3"}), "", limits);
  REQUIRE(run.has_value());
  CHECK(run->report.head == "kept\n");
  CHECK(shell(*where, "ls -l /proc/self/fd | grep -c pipe").out.head == "2\n");
}

TEST_CASE("C33 C65 exports: outside, symlinks and dots are refused") {
  const auto root = exports();
  write_host_file(root + "/plain/file", "x");
  std::filesystem::create_directory_symlink("/etc", root + "/link");
  const auto refused = [](const std::string& host_path) {
    auto spec = small_policy();
    spec.mounts.push_back({host_path, "/germline/extra"});
    auto policy = sandbox_policy::make(spec);
    if (!policy) return true;
    return !shared_backend().prepare(*policy).has_value();
  };
  CHECK_FALSE(refused(root + "/plain"));
  CHECK(refused("/etc"));
  CHECK(refused(root + "/link"));
  CHECK(refused(root + "/link/ssl"));
  CHECK(refused(root + "/plain/../../etc"));
  CHECK(refused(root + "x"));
  CHECK(refused(root));
  CHECK(refused(root + "/missing"));
}

TEST_CASE("C36 C37 no host file is written, no device opens") {
  const auto where = prepare(small_policy());
  for (const auto* path :
       {"/usr/x", "/etc/x", "/x", "/germline/x", "/germline/guest/x", "/dev/x"}) {
    CAPTURE(path);
    const auto said = act(*where, "create", path).out.head;
    CHECK_MESSAGE((said == "EROFS\n" || said == "EACCES\n"), said);
  }
  for (const auto* path : {"/etc/shadow", "/dev/kmsg", "/dev/mem", "/dev/fuse", "/dev/net/tun",
                           "/dev/vda", "/dev/loop0", "/var/run/docker.sock"}) {
    CAPTURE(path);
    CHECK(act(*where, "read", path).out.head == "ENOENT\n");
  }
  CHECK(act(*where, "create", "/workspace/x").out.head == "done\n");
}

TEST_CASE("C38 a setuid file gains nothing") {
  const auto where = prepare(small_policy());
  const auto run = shell(*where, "cp /usr/bin/id . && chmod 6755 id && ./id -u; su -c id; true");
  CHECK(run.out.head == "1000\n");
}

TEST_CASE("C40 the workspace's lower layer is the agent's to change, and does not change") {
  const auto root = exports();
  write_host_file(root + "/tree/src/a", "parent\n");
  ::chmod((root + "/tree").c_str(), 0700);
  auto policy = small_policy();
  policy.workspace_lower = root + "/tree";
  const auto where = prepare(policy);
  const auto run = shell(*where,
                         "set -e; cat src/a; echo child > src/a; rm -r src; mkdir new;"
                         "touch new/b; stat -c %U /workspace; ls");
  CHECK_MESSAGE(run.outcome.succeeded(), run.err.text());
  CHECK(run.out.head == "parent\nagent\nnew\n");
  // What was mounted whereupon is told in the options, but not where on the host that lies.
  const auto mounted = shell(*where, "grep ' - overlay ' /proc/self/mountinfo");
  CHECK(mounted.out.head.find("lowerdir=") != std::string::npos);
  CHECK(mounted.out.head.find(root) == std::string::npos);
  std::string kept;
  std::getline(std::ifstream(root + "/tree/src/a"), kept);
  CHECK(kept == "parent");
  CHECK_FALSE(std::filesystem::exists(root + "/tree/new"));
  policy.workspace_bytes = 1 << 20;
  CHECK(act(*prepare(policy), "fill", "/workspace/x").out.head == "ENOSPC\n");
}

TEST_CASE("mounts show an owner; scratch places and small files are as asked") {
  const auto root = exports();
  write_host_file(root + "/harness/run", "secret of the harness\n");
  ::chmod((root + "/harness").c_str(), 0700);
  auto policy = small_policy();
  policy.mounts.push_back({root + "/harness", "/germline/harness", uid_role::agent});
  policy.scratch.push_back({"/germline/scratch", uid_role::candidate, 1 << 20});
  policy.files.push_back({"/germline/task.json", "{}"});
  const auto where = prepare(policy);
  CHECK(shell(*where, "cat /germline/harness/run").out.head == "secret of the harness\n");
  CHECK_FALSE(shell(*where, "cat /germline/harness/run", uid_role::candidate).outcome.succeeded());
  CHECK(shell(*where, "cat /germline/task.json").out.head == "{}");
  CHECK(act(*where, "create", "/germline/task.json").out.head == "EACCES\n");
  CHECK(act(*where, "create", "/germline/scratch/x").out.head == "EACCES\n");
  CHECK(act(*where, "create", "/germline/scratch/x", uid_role::candidate).out.head == "done\n");
  CHECK(act(*where, "create", "/home/agent/x", uid_role::candidate).out.head == "EACCES\n");
  CHECK(act(*where, "create", "/workspace/x", uid_role::candidate).out.head == "EACCES\n");
}

TEST_CASE("F60 no variable of the host's comes in") {
  ::setenv("GERMLINE_TEST_SECRET", "open-sesame", 1);
  const auto where = prepare(small_policy());
  const auto run = shell(*where, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'");
  CHECK(run.out.head.find("HOME=/home/agent") != std::string::npos);
  CHECK(run.out.head.find("open-sesame") == std::string::npos);
  CHECK(shell(*where, "cut -d: -f3 /proc/self/cgroup | sort -u").out.head == "/\n");
}

TEST_CASE("F63 nothing of one sandbox is in the next") {
  {
    const auto first = prepare(small_policy());
    REQUIRE(shell(*first, "touch /tmp/left /home/agent/left /workspace/left /dev/shm/left")
                .outcome.succeeded());
  }
  const auto second = prepare(small_policy());
  CHECK(shell(*second, "ls -A /tmp /home/agent /workspace /dev/shm | grep left; true").out.head ==
        "");
}

TEST_CASE("the product's zygote takes no weakened policy") {
  auto options = test_options("abuse-product");
  options.zygote_path = "";
  native_backend::find_helpers(options);
  auto backend = native_backend::start(options);
  REQUIRE(backend.has_value());
  auto policy = sandbox_policy::make(small_policy());
  REQUIRE(policy.has_value());
  CHECK((*backend)->prepare(*policy).has_value());
  const auto refused =
      (*backend)->prepare(policy->weaken({static_cast<std::uint32_t>(weakening::no_seccomp)}));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == error_code::permission_denied);
}

}  // namespace germline::abuse
