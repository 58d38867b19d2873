// germline-init: pid 1 of a sandbox. Static, with an empty environment and nothing of the host's in
// its memory; starts, signals and reaps processes for the supervisor (descriptor 3), and for
// as-candidate (descriptor 4, where the policy allows it). Its end is the sandbox's end.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/backend.hpp"
#include "sandbox/init/candidates.hpp"
#include "sandbox/init/processes.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline::init {
namespace {

using protocol::kind;
constexpr int control = 3;
constexpr int door_listener = 4;

void tell(const wire::writer& message) {
  (void)send_packet(control, message.bytes());
}

wire::writer message_of(kind what, std::uint32_t id) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(what)).u32(id);
  return out;
}

result<program_spec> parse_spec(const std::string& bytes, const std::vector<unique_fd>& fds) {
  wire::reader in(bytes);
  program_spec spec;
  const auto role = in.u8();
  const auto given = in.u8();
  spec.alone = in.u8() != 0;
  spec.cwd = in.text();
  spec.argv = in.list();
  spec.env = in.list();
  if (!in.finished() || role > static_cast<std::uint8_t>(uid_role::owner)) {
    return error(error_code::invalid_argument, "malformed start");
  }
  spec.uid = uid_of(static_cast<uid_role>(role));
  std::size_t used = 0;
  for (std::size_t i = 0; i < spec.fds.size(); ++i) {
    if ((given >> i & 1) == 0) continue;
    if (used == fds.size()) return error(error_code::invalid_argument, "a descriptor is missing");
    spec.fds[i] = fds[used++].get();
  }
  return spec;
}

void on_exit(const process_end& end, candidate_door& door) {
  if (end.owner.is_candidate) return door.on_exit(end);
  auto out = message_of(kind::exited, end.owner.id);
  out.i64(end.status).i64(end.cpu_ms).i64(end.peak_memory_bytes);
  tell(out);
}

void on_start(process_table& processes, std::uint32_t id, const std::string& bytes,
              const std::vector<unique_fd>& fds, const std::string& seccomp, candidate_door& door) {
  const auto done = [&]() -> result<void> {
    GERMLINE_TRY_ASSIGN(auto spec, parse_spec(bytes, fds));
    if (spec.alone) {
      GERMLINE_TRY(processes.end_all([&](const process_end& end) { on_exit(end, door); }));
    }
    return processes.start({false, id}, std::move(spec), seccomp);
  }();
  if (done) {
    tell(message_of(kind::started, id));
  } else {
    auto out = message_of(kind::failed, id);
    out.u8(static_cast<std::uint8_t>(done.error().code())).text(done.error().message());
    tell(out);
  }
}

/// Returns false when the supervisor is gone.
bool on_control(process_table& processes, const std::string& seccomp, candidate_door& door) {
  const auto received = receive_packet(control, 0);
  if (!received || received->end) return false;
  wire::reader in(received->bytes);
  const auto what = static_cast<kind>(in.u8());
  const auto id = in.u32();
  if (what == kind::start) {
    const auto spec = in.text();
    on_start(processes, id, spec, received->fds, seccomp, door);
  } else if (what == kind::signal) {
    processes.signal({false, id}, static_cast<int>(in.i64()));
  }
  return true;
}

int serve(int signals, const std::string& seccomp) {
  const bool has_door = ::fcntl(door_listener, F_GETFD) != -1 && signals != door_listener;
  process_table processes;
  candidate_door door(has_door ? door_listener : -1, processes, seccomp);
  for (;;) {
    std::vector<pollfd> sources{{control, POLLIN, 0}, {signals, POLLIN, 0}};
    door.add_sources(sources);
    if (::poll(sources.data(), sources.size(), -1) < 0 && errno != EINTR) return 1;
    if (sources[1].revents != 0) {
      signalfd_siginfo info{};
      (void)!::read(signals, &info, sizeof info);
    }
    processes.reap([&](const process_end& end) { on_exit(end, door); });
    if (sources[0].revents != 0 && !on_control(processes, seccomp, door)) return 0;
    door.on_ready(sources);
  }
}

int run() {
  // The exec kept it; said again, since it is what ends the sandbox with its supervisor.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!confine_init()) return 1;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  const int made = ::signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
  const int signals = ::fcntl(made, F_DUPFD_CLOEXEC, 8);
  if (signals < 0) return 1;
  ::close(made);
  for (const int fd : {control, door_listener}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  tell(message_of(kind::hello, 0));
  const auto received = receive_packet(control);
  if (!received || received->end) return 1;
  wire::reader in(received->bytes);
  if (static_cast<kind>(in.u8()) != kind::configure) return 1;
  const auto seccomp = in.text();
  if (!in.finished()) return 1;
  return serve(signals, seccomp);
}

}  // namespace
}  // namespace germline::init

int main() {
  return germline::init::run();
}
