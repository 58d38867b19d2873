#include "worker/gateway/spawn.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

using namespace germline::worker;

TEST_CASE("a helper's program is a file that may be executed") {
  const auto why = [](const std::string& binary) {
    helper_spec spec;
    spec.binary = binary;
    const auto spawned = spawn_helper(spec);
    REQUIRE_FALSE(spawned);
    return spawned.error().message();
  };
  CHECK(why("/no/such") == "opening /no/such: No such file or directory");
  CHECK(why("/tmp").find("/tmp is no program") == 0);
  CHECK(why("/etc/passwd").find("/etc/passwd is no program") == 0);
  helper_spec good;
  good.binary = "/bin/true";
  const auto spawned = spawn_helper(good);
  REQUIRE(spawned);
  int status = -1;
  CHECK(::waitpid(*spawned, &status, 0) == *spawned);
  CHECK(status == 0);
}
