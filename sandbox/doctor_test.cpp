#include "sandbox/doctor.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

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
}

}  // namespace germline
