#include "sandbox/launcher/cgroup_layout.hpp"

#include <doctest/doctest.h>

#include "sandbox/launcher/text_file.hpp"

namespace germline {

TEST_CASE("pure v2") {
  const auto layout = detect_cgroups(
      "25 30 0:23 / /proc rw - proc proc rw\n"
      "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
      "0::/system.slice/germline.service\n");
  REQUIRE(layout.has_value());
  CHECK(layout->mode == cgroup_mode::v2);
  CHECK(layout->v2 == "/sys/fs/cgroup/system.slice/germline.service");
  CHECK(layout->v1.empty());
}

TEST_CASE("pure v1, with controllers mounted together") {
  const auto layout = detect_cgroups(
      "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "32 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "33 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
      "4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n");
  REQUIRE(layout.has_value());
  CHECK(layout->mode == cgroup_mode::v1);
  CHECK(layout->v1.at("cpu") == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(layout->v1.at("cpuacct") == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(layout->v1.at("memory") == "/sys/fs/cgroup/memory/a/b");
  CHECK(layout->v1.size() == 3);
}

TEST_CASE("hybrid, and v1 for systemd's name alone") {
  const std::string unified = "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  const auto hybrid =
      detect_cgroups(unified + "38 30 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
                     "8:pids:/\n0::/\n");
  REQUIRE(hybrid.has_value());
  CHECK(hybrid->mode == cgroup_mode::hybrid);
  CHECK(hybrid->v2 == "/sys/fs/cgroup/unified");
  CHECK(hybrid->v1.at("pids") == "/sys/fs/cgroup/pids");
  const auto named = detect_cgroups(
      unified + "39 30 0:36 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
      "1:name=systemd:/\n0::/\n");
  REQUIRE(named.has_value());
  CHECK(named->mode == cgroup_mode::v2);
}

TEST_CASE("in a container: the mount's root is our own cgroup, or the path leads up") {
  const auto bound = detect_cgroups("30 1 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                                    "0::/docker/abc/leaf\n");
  REQUIRE(bound.has_value());
  CHECK(bound->v2 == "/sys/fs/cgroup/leaf");
  const auto above =
      detect_cgroups("30 1 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/../x\n");
  REQUIRE(above.has_value());
  CHECK(above->v2 == "/sys/fs/cgroup");
}

TEST_CASE("nothing mounted, or rubbish") {
  CHECK_FALSE(detect_cgroups("", "").has_value());
  CHECK_FALSE(detect_cgroups("a - b\n\n- - - -\n", ":::\n::\nx\n").has_value());
}

TEST_CASE("numbers behind keys") {
  CHECK(keyed_number("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", "oom_kill") == 7);
  CHECK(keyed_number("oom_kill_disable 3\n", "oom_kill") == 0);
  CHECK(keyed_number("", "x") == 0);
}

}  // namespace germline
