#include "coordinator/listening_watch.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace std::chrono_literals;

namespace {

constexpr listening_watch::patience impatient{20ms, 100ms, 3};

}  // namespace

TEST_CASE_FIXTURE(germline::testing::fixture, "a coordinator that accepts is left alone") {
  std::atomic<bool> gave_up{false};
  {
    const listening_watch watch(service->address(), [&] { gave_up = true; },
                                {20ms, std::chrono::seconds(5), 1});
    std::this_thread::sleep_for(300ms);
  }
  CHECK_FALSE(gave_up);
}

TEST_CASE("one that listens and accepts nobody is given up") {
  char name[] = "/tmp/germline-watch-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string path = std::string(name) + "/socket";
  const int deaf = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un at = {};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
  REQUIRE(::bind(deaf, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(deaf, 16) == 0);
  std::atomic<bool> gave_up{false};
  {
    const listening_watch watch(
        "unix:" + path, [&] { gave_up = true; }, impatient);
    for (int i = 0; i < 200 && !gave_up; ++i) std::this_thread::sleep_for(50ms);
  }
  CHECK(gave_up);
  ::close(deaf);
  std::filesystem::remove_all(name);
}
