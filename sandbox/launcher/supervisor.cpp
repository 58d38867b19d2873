#include "sandbox/launcher/supervisor.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "common/clock.hpp"
#include "sandbox/launcher/cgroup.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {
namespace {

using protocol::kind;
constexpr std::int64_t kill_timeout_ms = 20'000;
constexpr std::int64_t never = INT64_MAX;

struct running_process {
  std::uint32_t request = 0;  // the start request, until it was answered
  std::int64_t started_ms = 0;
  std::int64_t deadline_ms = never;
  bool timed_out = false;
};

struct supervisor_state {
  const supervisor_setup& setup;
  const sandbox_policy& policy;
  unique_fd client;
  sandbox_cgroup cgroup;
  spawned_init init;
  system_clock_source time;
  std::int64_t deadline_ms = 0;
  std::int64_t oom_kills_seen = 0;
  std::uint32_t next_id = 1;
  std::map<std::uint32_t, running_process> running;
  std::optional<sandbox_usage> last_usage;  // once dead
  std::int64_t kill_took_ms = 0;
  bool kill_proven = false;
  bool dead = false;
  bool client_gone = false;
};

wire::writer message_of(kind what) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(what));
  return out;
}

void tell_client(supervisor_state& self, const wire::writer& message) {
  if (!send_packet(self.client.get(), message.bytes(), {}, 1000)) self.client_gone = true;
}

void refuse(supervisor_state& self, std::uint32_t request, const error& failure) {
  auto out = message_of(kind::failed);
  out.u32(request).u8(static_cast<std::uint8_t>(failure.code())).text(failure.message());
  tell_client(self, out);
}

void tell_outcome(supervisor_state& self, std::uint32_t id, const process_outcome& outcome) {
  auto out = message_of(kind::exited);
  out.u32(id).u8(static_cast<std::uint8_t>(outcome.kind));
  out.i64(outcome.code).text(outcome.detail);
  out.i64(outcome.wall_ms).i64(outcome.cpu_ms).i64(outcome.peak_memory_bytes);
  tell_client(self, out);
}

bool new_oom_kill(supervisor_state& self) {
  const auto kills = self.cgroup.read_usage().oom_kills;
  return std::exchange(self.oom_kills_seen, std::max(kills, self.oom_kills_seen)) < kills;
}

/// Kills all, waits for the end of pid 1 (which the kernel delays until its namespace is empty),
/// removes the cgroups, and tells each process's outcome. Later calls do nothing.
void end_sandbox(supervisor_state& self, outcome_kind why) {
  if (self.dead) return;
  self.dead = true;
  const auto began = self.time.boot_ms();
  self.last_usage = self.cgroup.read_usage();
  if (why == outcome_kind::killed && new_oom_kill(self)) why = outcome_kind::out_of_memory;
  ::kill(self.init.pid, SIGKILL);  // our own unreaped child: the number cannot have passed on
  const auto emptied = self.cgroup.kill_all(kill_timeout_ms);
  pollfd end{self.init.process.get(), POLLIN, 0};
  const bool ended = ::poll(&end, 1, static_cast<int>(kill_timeout_ms)) == 1;
  if (ended) ::waitpid(self.init.pid, nullptr, 0);
  const auto removed = self.cgroup.remove();
  self.kill_proven = ended && emptied && removed;
  self.kill_took_ms = self.time.boot_ms() - began;
  for (const auto& [id, process] : self.running) {
    process_outcome outcome;
    outcome.kind = process.timed_out ? outcome_kind::timed_out : why;
    outcome.code = SIGKILL;
    outcome.wall_ms = self.time.boot_ms() - process.started_ms;
    if (process.request != 0) {
      refuse(self, process.request, {error_code::cancelled, "the sandbox was ended"});
    } else {
      tell_outcome(self, id, outcome);
    }
  }
  self.running.clear();
}

// -- from init -----------------------------------------------------------------------------------

process_outcome judge(supervisor_state& self, const running_process& process, int status) {
  process_outcome outcome;
  outcome.wall_ms = self.time.boot_ms() - process.started_ms;
  outcome.kind = WIFSIGNALED(status) ? outcome_kind::signalled : outcome_kind::exited;
  outcome.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  // A shell that waited for the killed process ends with 128 + SIGKILL.
  const bool by_kill = outcome.kind == outcome_kind::signalled ? outcome.code == SIGKILL
                                                               : outcome.code == 128 + SIGKILL;
  if (process.timed_out) {
    outcome.kind = outcome_kind::timed_out;
  } else if (by_kill && new_oom_kill(self)) {
    outcome.kind = outcome_kind::out_of_memory;
  } else if (outcome.kind == outcome_kind::signalled && outcome.code == SIGSYS) {
    outcome.kind = outcome_kind::violation;
  }
  return outcome;
}

void on_init(supervisor_state& self) {
  auto received = receive_packet(self.init.control.get(), 0);
  if (!received || received->end) {
    end_sandbox(self, outcome_kind::killed);
    return;
  }
  wire::reader in(received->bytes);
  const auto what = static_cast<kind>(in.u8());
  const auto id = in.u32();
  const auto found = self.running.find(id);
  if (!in.ok() || found == self.running.end()) return;
  auto& process = found->second;
  if (what == kind::started) {
    auto out = message_of(kind::started);
    out.u32(std::exchange(process.request, 0)).u32(id);
    tell_client(self, out);
  } else if (what == kind::failed) {
    const auto code = static_cast<error_code>(in.u8());
    refuse(self, process.request, {code, in.text()});
    self.running.erase(found);
  } else if (what == kind::exited) {
    const auto status = static_cast<int>(in.i64());
    auto outcome = judge(self, process, status);
    outcome.cpu_ms = in.i64();
    outcome.peak_memory_bytes = in.i64();
    tell_outcome(self, id, outcome);
    self.running.erase(found);
  }
}

// -- from the client -----------------------------------------------------------------------------

void start_process(supervisor_state& self, std::uint32_t request, wire::reader& in,
                   const std::vector<unique_fd>& fds) {
  const auto wall_ms = in.i64();
  const auto spec = in.text();
  if (!in.finished()) {
    return refuse(self, request, {error_code::invalid_argument, "malformed start"});
  }
  if (self.running.size() >= protocol::processes_max) {
    return refuse(self, request, {error_code::resource_exhausted, "too many processes"});
  }
  const auto id = self.next_id++;
  auto out = message_of(kind::start);
  out.u32(id).text(spec);
  std::vector<int> numbers;
  for (const auto& fd : fds) numbers.push_back(fd.get());
  if (const auto sent = send_packet(self.init.control.get(), out.bytes(), numbers); !sent) {
    return refuse(self, request, sent.error());
  }
  running_process process;
  process.request = request;
  process.started_ms = self.time.boot_ms();
  if (wall_ms > 0) process.deadline_ms = process.started_ms + wall_ms;
  self.running.emplace(id, process);
}

void answer_usage(supervisor_state& self, std::uint32_t request) {
  const auto usage = self.last_usage.value_or(self.cgroup.read_usage());
  auto out = message_of(kind::done);
  out.u32(request).i64(usage.memory_bytes).i64(usage.peak_memory_bytes).i64(usage.cpu_ms);
  out.i64(usage.pids).i64(usage.oom_kills);
  tell_client(self, out);
}

void answer_kill(supervisor_state& self, std::uint32_t request) {
  end_sandbox(self, outcome_kind::killed);
  auto out = message_of(kind::done);
  out.u32(request).u8(self.kill_proven ? 1 : 0).i64(self.kill_took_ms);
  tell_client(self, out);
}

void on_request(supervisor_state& self, const packet& received) {
  wire::reader in(received.bytes);
  const auto what = static_cast<kind>(in.u8());
  const auto request = in.u32();
  if (what == kind::kill || what == kind::destroy) return answer_kill(self, request);
  if (what == kind::usage) return answer_usage(self, request);
  if (self.dead) {
    return refuse(self, request, {error_code::failed_precondition, "the sandbox was ended"});
  }
  if (what == kind::start) return start_process(self, request, in, received.fds);
  if (what == kind::signal || what == kind::renew) {
    const auto first = in.i64();
    if (what == kind::renew) {
      self.deadline_ms = first;
    } else {
      auto out = message_of(kind::signal);
      out.u32(static_cast<std::uint32_t>(first)).i64(in.i64());
      (void)send_packet(self.init.control.get(), out.bytes());
    }
    auto out = message_of(kind::done);
    out.u32(request);
    return tell_client(self, out);
  }
  refuse(self, request, {error_code::invalid_argument, "unknown request"});
}

void on_client(supervisor_state& self) {
  auto received = receive_packet(self.client.get(), 0);
  if (!received || received->end) {
    self.client_gone = true;
    return;
  }
  on_request(self, *received);
}

// -- time ----------------------------------------------------------------------------------------

std::int64_t next_deadline(const supervisor_state& self) {
  auto next = self.dead ? never : self.deadline_ms;
  for (const auto& [id, process] : self.running) {
    if (!process.timed_out) next = std::min(next, process.deadline_ms);
  }
  return next;
}

void arm(int timer, std::int64_t boot_ms) {
  itimerspec when{};
  if (boot_ms != never) {
    const auto at = std::max<std::int64_t>(boot_ms, 1);
    when.it_value.tv_sec = at / 1000;
    when.it_value.tv_nsec = at % 1000 * 1'000'000;
  }
  GERMLINE_ASSERT(::timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr) == 0);
}

void enforce_deadlines(supervisor_state& self) {
  const auto now = self.time.boot_ms();
  if (!self.dead && now >= self.deadline_ms && !self.policy.weakened(weakening::no_deadline)) {
    end_sandbox(self, outcome_kind::timed_out);
    return;
  }
  for (auto& [id, process] : self.running) {
    if (process.timed_out || now < process.deadline_ms) continue;
    process.timed_out = true;
    auto out = message_of(kind::signal);
    out.u32(id).i64(SIGKILL);
    (void)send_packet(self.init.control.get(), out.bytes());
  }
}

void serve(supervisor_state& self, int timer, int signals) {
  while (!self.client_gone) {
    const bool timeless = self.dead || self.policy.weakened(weakening::no_deadline);
    arm(timer, timeless && self.running.empty() ? never : next_deadline(self));
    // A negative descriptor is ignored by poll.
    const int control = self.dead ? -1 : self.init.control.get();
    const int process = self.dead ? -1 : self.init.process.get();
    std::array<pollfd, 5> sources{{{self.client.get(), POLLIN, 0},
                                   {control, POLLIN, 0},
                                   {timer, POLLIN, 0},
                                   {signals, POLLIN, 0},
                                   {process, POLLIN, 0}}};
    if (::poll(sources.data(), sources.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    enforce_deadlines(self);
    if (sources[3].revents != 0) return;  // the zygote died, or asks us to end
    if (!self.dead && sources[1].revents != 0) {
      on_init(self);
    } else if (!self.dead && sources[4].revents != 0) {
      end_sandbox(self, outcome_kind::killed);
    }
    if (sources[0].revents != 0) on_client(self);
  }
}

/// For a client that did not ask for the end: what became of the sandbox, and the answers to what
/// it has asked meanwhile. An unread request would cost it what it has not read yet.
void say_farewell(supervisor_state& self) {
  ::shutdown(self.client.get(), SHUT_RD);
  auto out = message_of(kind::ended);
  out.u8(self.kill_proven ? 1 : 0).i64(self.kill_took_ms);
  if (!self.client_gone) tell_client(self, out);
  while (!self.client_gone) on_client(self);
}

result<void> configure_init(const supervisor_setup& setup, const spawned_init& init) {
  auto out = message_of(kind::configure);
  out.text(setup.spawn.seccomp_program);
  return send_packet(init.control.get(), out.bytes());
}

result<supervisor_state> begin(const supervisor_setup& setup, const sandbox_policy& policy) {
  GERMLINE_TRY_ASSIGN(auto cgroup,
                      sandbox_cgroup::create(setup.layout, setup.instance, setup.name, policy));
  auto init = spawn_init(setup.spawn, policy, cgroup);
  auto configured = init ? configure_init(setup, *init) : result<void>(init.error());
  if (!configured) {
    GERMLINE_TRY(cgroup.kill_all(kill_timeout_ms));
    GERMLINE_TRY(cgroup.remove());
    return configured.error();
  }
  supervisor_state self{setup, policy, unique_fd(), std::move(cgroup), std::move(*init)};
  self.deadline_ms = self.time.boot_ms() + policy.spec().wall_ms;
  return self;
}

}  // namespace

int supervise(const supervisor_setup& setup, const sandbox_policy& policy, unique_fd client) {
  ::prctl(PR_SET_NAME, "germline-superv");
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  const unique_fd signals(::signalfd(-1, &blocked, SFD_CLOEXEC));
  const unique_fd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  auto self = begin(setup, policy);
  if (!self || !signals || !timer) {
    const auto failure = self ? errno_error("timerfd or signalfd", errno) : self.error();
    auto out = message_of(kind::failed);
    out.u32(0).u8(static_cast<std::uint8_t>(failure.code())).text(failure.message());
    (void)send_packet(client.get(), out.bytes());
    return 1;
  }
  self->client = std::move(client);
  std::vector<int> listener;
  if (self->init.listener) listener.push_back(self->init.listener.get());
  if (!send_packet(self->client.get(), message_of(kind::ready).bytes(), listener)) {
    self->client_gone = true;
  }
  self->init.listener.reset();  // our copy would keep the namespace of a dead sandbox
  serve(*self, timer.get(), signals.get());
  end_sandbox(*self, outcome_kind::killed);
  say_farewell(*self);
  return self->kill_proven ? 0 : 1;
}

}  // namespace germline
