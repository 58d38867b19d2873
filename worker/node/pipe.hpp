// pipe: both ends of a pipe, closed on exec. Any thread.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline::worker {

struct pipe_ends {
  unique_fd read;
  unique_fd write;
};

inline result<pipe_ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe2", errno);
  return pipe_ends{unique_fd(ends[0]), unique_fd(ends[1])};
}

}  // namespace germline::worker
