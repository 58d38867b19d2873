#include "common/unix_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

#include "common/unique_fd.hpp"

namespace germline {

result<socket_life> probe_unix_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return error(error_code::invalid_argument,
                 "the socket's path is longer than 107 characters: " + path);
  }
  path.copy(address.sun_path, path.size());
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return socket_life::absent;
    return errno_error("looking at " + path, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return error(error_code::already_exists, path + " is there, and is no socket");
  }
  const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno_error("socket", errno);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN) {  // its queue is full
    return socket_life::alive;
  }
  if (errno == ECONNREFUSED) return socket_life::dead;
  if (errno == ENOENT) return socket_life::absent;
  return errno_error("connecting to " + path, errno);
}

}  // namespace germline
