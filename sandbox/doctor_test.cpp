#include "sandbox/doctor.hpp"

#include <doctest/doctest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace germline {

TEST_CASE("the doctor says of each thing whether it is there, and what to do where not") {
  const auto checks = run_doctor();
  for (const auto* name : {"kernel", "root", "namespaces", "cgroups", "seccomp", "pidfd"}) {
    CAPTURE(name);
    const auto found = std::find_if(checks.begin(), checks.end(),
                                    [&](const doctor_check& check) { return check.name == name; });
    REQUIRE(found != checks.end());
    CHECK(found->required);
    CHECK_FALSE(found->detail.empty());
    CHECK(found->ok == found->hint.empty());
  }
  const auto root = std::find_if(checks.begin(), checks.end(),
                                 [](const doctor_check& check) { return check.name == "root"; });
  CHECK(root->ok == (::geteuid() == 0));

  // What the kernel is new enough for is not asked of it.
  utsname names{};
  REQUIRE(::uname(&names) == 0);
  int major = 0;
  int minor = 0;
  REQUIRE(std::sscanf(names.release, "%d.%d", &major, &minor) == 2);
  const bool is_new = major > 6 || (major == 6 && minor >= 6);
  for (const auto& check : checks) {
    CHECK_FALSE((is_new && check.hint.find("Linux 6.6") != std::string::npos));
  }
  // What the probe itself did wrong was told as the kernel's lack.
  const auto overlay =
      std::ranges::find(checks, "overlay with userxattr on tmpfs", &doctor_check::name);
  REQUIRE(overlay != checks.end());
  CHECK(overlay->detail != "No such file or directory");
}

}  // namespace germline
