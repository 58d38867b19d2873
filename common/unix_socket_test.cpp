#include "common/unix_socket.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "common/unique_fd.hpp"

using namespace germline;

TEST_CASE("a socket is absent, alive, or dead once its listener is gone") {
  std::string dir = (std::filesystem::temp_directory_path() / "socket-XXXXXX").string();
  REQUIRE(::mkdtemp(dir.data()) != nullptr);
  const auto path = dir + "/s";
  CHECK(*probe_unix_socket(path) == socket_life::absent);
  CHECK(*probe_unix_socket(dir + "/none/s") == socket_life::absent);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  unique_fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  for (int i = 0; i < 5; ++i) CHECK(*probe_unix_socket(path) == socket_life::alive);
  listener.reset();
  CHECK(*probe_unix_socket(path) == socket_life::dead);
  std::ofstream(dir + "/file") << "x";
  CHECK(probe_unix_socket(dir + "/file").error().code() == error_code::already_exists);
  CHECK(probe_unix_socket("/" + std::string(200, 'x')).error().code() ==
        error_code::invalid_argument);
  std::filesystem::remove_all(dir);
}
