// germline-as-candidate: `as-candidate PROGRAM [ARGUMENT...]` has init run a program as uid 1001,
// with this process's environment (but HOME and USER), directory and stdio, and ends as it ended
// (128 + signal where one ended it, 125 where it could not be started). Its own end, by any means,
// is the program's.
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {
namespace {

using protocol::kind;
constexpr int could_not_start = 125;

int fail(const std::string& text) {
  std::fprintf(stderr, "as-candidate: %s\n", text.c_str());
  return could_not_start;
}

std::string encode(int argc, char** argv) {
  char cwd[PATH_MAX];
  if (::getcwd(cwd, sizeof cwd) == nullptr) std::strcpy(cwd, "/");
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "HOME=", 5) != 0 && std::strncmp(*entry, "USER=", 5) != 0) {
      env.emplace_back(*entry);
    }
  }
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::run)).text(cwd);
  out.list(std::vector<std::string>(argv + 1, argv + argc)).list(env);
  return out.bytes();
}

int run(int argc, char** argv) {
  if (argc < 2) return fail("usage: as-candidate PROGRAM [ARGUMENT...]");
  const unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const int room = 2 * static_cast<int>(wire::message_bytes_max);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "/germline/run.sock");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail("this sandbox does not offer it");
  }
  if (const auto sent = send_packet(socket.get(), encode(argc, argv), {0, 1, 2}); !sent) {
    return fail(sent.error().message());
  }
  const auto received = receive_packet(socket.get());
  if (!received || received->end) return fail("the connection was closed");
  wire::reader in(received->bytes);
  const auto what = static_cast<kind>(in.u8());
  const auto status = static_cast<int>(in.i64());
  if (what != kind::exited) return fail(in.text());
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace
}  // namespace germline

int main(int argc, char** argv) {
  return germline::run(argc, argv);
}
