#include "sandbox/run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "common/clock.hpp"

namespace germline {
namespace {

// How long outputs are still drained once the process ended, where something keeps them open.
constexpr std::int64_t drain_after_end_ms = 200;
// How long after wall_ms the supervisor's kill is waited for.
constexpr std::int64_t kill_grace_ms = 10'000;

struct pipe_ends {
  unique_fd read_end;
  unique_fd write_end;
};

result<pipe_ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  return pipe_ends{unique_fd(ends[0]), unique_fd(ends[1])};
}

result<void> set_nonblocking(int fd) {
  if (::fcntl(fd, F_SETFL, O_NONBLOCK) == 0) return {};
  return errno_error("O_NONBLOCK", errno);
}

/// One output: drained always, kept up to a bound (half as head, half as tail; or the head alone,
/// in a spool).
struct sink {
  unique_fd fd;
  spool* kept_in = nullptr;
  result<void> spooled;  // the first error
  std::size_t head_max = 0;
  std::size_t tail_max = 0;
  std::uint64_t seen = 0;
  captured_bytes kept;

  void open(unique_fd source, std::size_t bytes_max) {
    fd = std::move(source);
    head_max = bytes_max - bytes_max / 2;
    tail_max = bytes_max / 2;
  }
  void take(std::string_view bytes) {
    seen += bytes.size();
    if (kept_in != nullptr) {
      const auto room = head_max + tail_max - static_cast<std::size_t>(kept_in->size());
      if (spooled) spooled = kept_in->append(bytes.substr(0, std::min(room, bytes.size())));
      return;
    }
    const auto to_head = std::min(head_max - kept.head.size(), bytes.size());
    kept.head.append(bytes.substr(0, to_head));
    bytes.remove_prefix(to_head);
    if (bytes.size() > tail_max) bytes.remove_prefix(bytes.size() - tail_max);
    kept.tail.append(bytes);
    // Trimmed seldom, so that a flood costs no more than its bytes.
    if (kept.tail.size() > 2 * tail_max + 4096) trim();
  }
  void trim() {
    if (kept.tail.size() > tail_max) kept.tail.erase(0, kept.tail.size() - tail_max);
  }
  /// At most a few reads, so that one flood does not starve the others.
  void drain() {
    std::array<char, 65536> buffer;
    for (int turn = 0; turn < 4; ++turn) {
      const auto size = ::read(fd.get(), buffer.data(), buffer.size());
      if (size > 0) {
        take({buffer.data(), static_cast<std::size_t>(size)});
      } else if (size == 0) {
        return fd.reset();
      } else {
        if (errno != EAGAIN && errno != EINTR) fd.reset();
        return;
      }
    }
  }
  captured_bytes finish() {
    fd.reset();
    trim();
    kept.bytes_cut = seen - kept.head.size() - kept.tail.size();
    if (kept_in != nullptr) kept.bytes_cut = seen - static_cast<std::uint64_t>(kept_in->size());
    if (kept.bytes_cut == 0) {
      kept.head += kept.tail;
      kept.tail.clear();
    }
    return std::move(kept);
  }
};

/// Writes to a pipe whose reader may be gone, without the signal that this brings.
class quiet_pipe {
 public:
  quiet_pipe() {
    sigemptyset(&pipe_only_);
    sigaddset(&pipe_only_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_only_, &before_);
  }
  ~quiet_pipe() {
    const timespec at_once{};
    while (::sigtimedwait(&pipe_only_, nullptr, &at_once) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  quiet_pipe(const quiet_pipe&) = delete;
  quiet_pipe& operator=(const quiet_pipe&) = delete;

 private:
  sigset_t pipe_only_{};
  sigset_t before_{};
};

struct feed {
  unique_fd fd;
  std::string_view left;

  void write_some() {
    const auto size = ::write(fd.get(), left.data(), std::min<std::size_t>(left.size(), 65536));
    if (size > 0) left.remove_prefix(static_cast<std::size_t>(size));
    const bool failed = size < 0 && errno != EAGAIN && errno != EINTR;
    if (failed || left.empty()) fd.reset();
  }
};

struct streams {
  feed in;
  std::array<sink, 3> sinks;  // out, err, report

  bool any_open() const {
    return std::any_of(sinks.begin(), sinks.end(), [](const sink& one) { return bool(one.fd); });
  }
  /// Moves what can be moved within `timeout_ms`.
  void move_bytes(int timeout_ms) {
    std::array<pollfd, 4> entries{{{in.fd.get(), POLLOUT, 0},
                                   {sinks[0].fd.get(), POLLIN, 0},
                                   {sinks[1].fd.get(), POLLIN, 0},
                                   {sinks[2].fd.get(), POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), timeout_ms) <= 0) return;
    if (entries[0].revents != 0) in.write_some();
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      if (entries[i + 1].revents != 0) sinks[i].drain();
    }
  }
};

result<void> open_sink(sink& where, unique_fd& inside, std::size_t bytes_max) {
  GERMLINE_TRY_ASSIGN(auto ends, make_pipe());
  GERMLINE_TRY(set_nonblocking(ends.read_end.get()));
  where.open(std::move(ends.read_end), bytes_max);
  inside = std::move(ends.write_end);
  return {};
}

result<streams> open_streams(process_spec& spec, std::string_view stdin_bytes,
                             const capture_limits& limits) {
  streams all;
  if (!stdin_bytes.empty()) {
    GERMLINE_TRY_ASSIGN(auto ends, make_pipe());
    GERMLINE_TRY(set_nonblocking(ends.write_end.get()));
    all.in = {std::move(ends.write_end), stdin_bytes};
    spec.stdin_fd = std::move(ends.read_end);
  }
  if (!spec.stdout_fd) {
    GERMLINE_TRY(open_sink(all.sinks[0], spec.stdout_fd, limits.stdout_bytes_max));
  }
  all.sinks[0].kept_in = limits.stdout_to;
  if (limits.merge_stderr) {
    spec.stderr_fd.reset(::fcntl(spec.stdout_fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!spec.stderr_fd) return errno_error("dup", errno);
  } else {
    GERMLINE_TRY(open_sink(all.sinks[1], spec.stderr_fd, limits.stderr_bytes_max));
  }
  if (limits.want_report) {
    GERMLINE_TRY(open_sink(all.sinks[2], spec.report_fd, limits.report_bytes_max));
  }
  return all;
}

/// Serves the streams until the process has ended and they are drained, within bounds.
result<process_outcome> serve(sandbox& where, process_handle process, streams& all,
                              std::int64_t wall_ms) {
  const system_clock_source time;
  const auto give_up = time.boot_ms() + wall_ms + kill_grace_ms;
  for (;;) {
    const bool streaming = all.any_open() || all.in.fd;
    if (streaming) all.move_bytes(10);
    auto outcome = where.wait(process, streaming ? 1 : 100);
    if (outcome) {
      const auto until = time.boot_ms() + drain_after_end_ms;
      all.in.fd.reset();
      while (all.any_open() && time.boot_ms() < until) all.move_bytes(10);
      return outcome;
    }
    if (outcome.error().code() != error_code::deadline_exceeded) return outcome.error();
    if (time.boot_ms() > give_up) {
      GERMLINE_TRY(where.signal(process, SIGKILL));
      return error(error_code::deadline_exceeded, "the process did not end when killed");
    }
  }
}

}  // namespace

std::string captured_bytes::text() const {
  if (complete()) return head;
  return head + "\n[... " + std::to_string(bytes_cut) + " bytes cut ...]\n" + tail;
}

result<captured_run> run_captured(sandbox& where, process_spec spec, std::string_view stdin_bytes,
                                  const capture_limits& limits) {
  GERMLINE_ASSERT(!spec.stderr_fd && !spec.report_fd);
  GERMLINE_ASSERT(!spec.stdin_fd || stdin_bytes.empty());
  GERMLINE_ASSERT(!spec.stdout_fd || (!limits.merge_stderr && limits.stdout_to == nullptr));
  GERMLINE_ASSERT(limits.stdout_to == nullptr || limits.stdout_to->empty());
  GERMLINE_TRY_ASSIGN(auto all, open_streams(spec, stdin_bytes, limits));
  spec.wall_ms = limits.wall_ms;
  const quiet_pipe quiet;
  // The spec's ends are closed when start() returns: the process alone holds them then.
  GERMLINE_TRY_ASSIGN(const auto process, where.start(std::move(spec)));
  captured_run run;
  GERMLINE_TRY_ASSIGN(run.outcome, serve(where, process, all, limits.wall_ms));
  if (run.outcome.kind == outcome_kind::killed) {
    return error(error_code::unavailable,
                 "the sandbox was ended under the process" +
                     (run.outcome.detail.empty() ? "" : ": " + run.outcome.detail));
  }
  if (!all.sinks[0].spooled) {
    return all.sinks[0].spooled.error().within("keeping what came out of the sandbox");
  }
  run.out = all.sinks[0].finish();
  run.err = all.sinks[1].finish();
  run.report = all.sinks[2].finish();
  return run;
}

}  // namespace germline
