#include "sandbox/launcher/zygote.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <vector>

#include "sandbox/launcher/cgroup.hpp"
#include "sandbox/launcher/seccomp.hpp"
#include "sandbox/launcher/supervisor.hpp"
#include "sandbox/launcher/text_file.hpp"
#include "sandbox/launcher/user_map.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {
namespace {

using protocol::kind;

constexpr int wind_down_ms = 5'000;
constexpr pid_t unsafe = -1;  // in place of a supervisor: its sandbox could not be swept

struct slot {
  pid_t supervisor = 0;  // 0 = free
  std::string name;
};

struct zygote_state {
  zygote_options options;
  unique_fd socket;
  unique_fd lifeline;
  unique_fd signals;
  unique_fd exports;
  unique_fd init_program;
  cgroup_layout layout;
  std::string seccomp_program;
  std::vector<slot> slots;
  std::uint64_t made = 0;
};

bool may_weaken() {
#ifdef GERMLINE_ALLOW_WEAKENING
  return true;
#else
  return false;
#endif
}

void refuse(const zygote_state& self, const error& failure) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::failed)).u32(0);
  out.u8(static_cast<std::uint8_t>(failure.code())).text(failure.message());
  (void)send_packet(self.socket.get(), out.bytes());
}

bool in_use(const zygote_state& self, const std::string& name) {
  for (const auto& slot : self.slots) {
    if (slot.supervisor != 0 && slot.name == name) return true;
  }
  return false;
}

/// Kills and removes what no live supervisor claims.
result<void> sweep(const zygote_state& self) {
  return sweep_cgroups(self.layout, self.options.instance,
                       [&](const std::string& name) { return in_use(self, name); });
}

/// The inits of dead supervisors, which fell to us as their subreaper; each was killed already.
void reap_orphans(const zygote_state& self) {
  const auto listed = read_text_file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  std::istringstream children(listed ? *listed : std::string());
  for (pid_t child = 0; children >> child;) {
    const auto known = std::ranges::find(self.slots, child, &slot::supervisor);
    if (known == self.slots.end()) ::waitpid(child, nullptr, 0);
  }
}

/// Whether the slot's uids are safe to use again.
result<void> sweep_slot(const zygote_state& self, slot& left) {
  left.supervisor = 0;
  auto swept = sweep(self);
  if (swept) {
    reap_orphans(self);
  } else {
    left.supervisor = unsafe;
  }
  return swept;
}

/// Runs in the fork.
[[noreturn]] void be_supervisor(zygote_state& self, std::size_t index, const sandbox_policy& policy,
                                unique_fd client, pid_t zygote) {
  // Graceful: the supervisor then ends its sandbox and removes the cgroups.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != zygote) ::_exit(1);
  self.socket.reset();
  self.lifeline.reset();
  self.signals.reset();
  supervisor_setup setup;
  setup.spawn.sources = {
      self.exports.get(), self.options.exports_root, self.options.as_candidate_path,
      self.options.uid_base + uids_per_slot * (static_cast<std::uint32_t>(index) + 1)};
  setup.spawn.init_program = self.init_program.get();
  if (!policy.weakened(weakening::no_seccomp)) setup.spawn.seccomp_program = self.seccomp_program;
  setup.layout = self.layout;
  setup.instance = self.options.instance;
  setup.name = self.slots[index].name;
  ::_exit(supervise(setup, policy, std::move(client)));
}

void reap(zygote_state& self) {
  signalfd_siginfo info{};
  (void)!::read(self.signals.get(), &info, sizeof info);
  for (;;) {
    int status = 0;
    const auto pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (auto& slot : self.slots) {
      if (slot.supervisor != pid) continue;
      slot.supervisor = 0;
      // A supervisor that did not end by itself left its cgroups; its init died with it.
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) (void)sweep_slot(self, slot);
    }
  }
}

/// The first free slot, or the number of slots. A supervisor that ends just now is waited for a
/// moment: whoever destroyed a sandbox may prepare the next at once.
std::size_t free_slot(zygote_state& self) {
  std::size_t index = 0;
  for (int tries = 0; tries < 100; ++tries) {
    index = 0;
    while (index < self.slots.size() && self.slots[index].supervisor != 0) ++index;
    if (index < self.slots.size()) break;
    ::poll(nullptr, 0, 2);
    reap(self);
  }
  return index;
}

result<void> create(zygote_state& self, const std::string& encoded) {
  GERMLINE_TRY_ASSIGN(const auto policy, sandbox_policy::decode(encoded));
  if (policy.weakened_layers() != 0 && !may_weaken()) {
    return error(error_code::permission_denied, "a weakened policy is refused");
  }
  const auto index = free_slot(self);
  if (index == self.slots.size()) {
    return error(error_code::resource_exhausted,
                 "all " + std::to_string(index) + " sandbox slots are in use");
  }
  GERMLINE_TRY_ASSIGN(auto ends, make_seqpacket_pair());
  // Neither earlier lives nor two zygotes of one instance may meet in one name.
  self.slots[index].name =
      std::to_string(index) + "-" + std::to_string(::getpid()) + "-" + std::to_string(++self.made);
  const auto zygote = ::getpid();
  const auto pid = ::fork();
  if (pid < 0) return errno_error("fork of a supervisor", errno);
  if (pid == 0) {
    ends.first.reset();
    be_supervisor(self, index, policy, std::move(ends.second), zygote);
  }
  self.slots[index].supervisor = pid;
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::created)).u32(static_cast<std::uint32_t>(pid));
  out.text(self.slots[index].name);
  return send_packet(self.socket.get(), out.bytes(), {ends.first.get()});
}

/// Ends what a supervisor that is stopped, dead or stuck does not.
result<void> end(zygote_state& self, const std::string& name) {
  const auto named = std::ranges::find_if(
      self.slots, [&](const slot& each) { return each.supervisor != 0 && each.name == name; });
  if (named == self.slots.end()) return {};  // it was swept, or ended by itself with proof
  // Our own unreaped child, so that the number cannot have passed on; a stopped one dies too.
  if (named->supervisor != unsafe) ::kill(named->supervisor, SIGKILL);
  for (int tries = 0; tries < 1000 && named->supervisor > 0; ++tries) {
    reap(self);
    if (named->supervisor > 0) ::poll(nullptr, 0, 2);
  }
  if (named->supervisor > 0) {
    return error(error_code::deadline_exceeded, "the supervisor of " + name + " does not die");
  }
  if (named->supervisor == unsafe) return sweep_slot(self, *named);
  return {};
}

void answer(const zygote_state& self, const result<void>& outcome) {
  if (!outcome) return refuse(self, outcome.error());
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::done));
  (void)send_packet(self.socket.get(), out.bytes());
}

/// The client has closed the socket: ends what is left, waits for it a while, and takes the
/// cgroups' folders away. What is not gone by then is left to the next life to sweep. It may have
/// begun, and a sweep of ours would take its sandboxes for leftovers.
void wind_down(zygote_state& self) {
  for (const auto& slot : self.slots) {
    if (slot.supervisor > 0) ::kill(slot.supervisor, SIGTERM);
  }
  const auto any_left = [&] {
    return std::ranges::any_of(self.slots, [](const slot& each) { return each.supervisor > 0; });
  };
  constexpr int tick_ms = 10;
  for (int waited_ms = 0; any_left() && waited_ms < wind_down_ms; waited_ms += tick_ms) {
    ::poll(nullptr, 0, tick_ms);
    for (auto& slot : self.slots) {
      if (slot.supervisor > 0 && ::waitpid(slot.supervisor, nullptr, WNOHANG) == slot.supervisor) {
        slot.supervisor = 0;
      }
    }
  }
  remove_empty_folders(self.layout, self.options.instance);
}

/// Returns false when the client is gone.
bool on_request(zygote_state& self) {
  const auto received = receive_packet(self.socket.get(), 0);
  if (!received || received->end) return false;
  wire::reader in(received->bytes);
  const auto what = static_cast<kind>(in.u8());
  if (what == kind::create) {
    const auto policy = in.text();
    if (const auto done = create(self, policy); !done) refuse(self, done.error());
  } else if (what == kind::recover) {
    answer(self, sweep(self));
  } else if (what == kind::end) {
    answer(self, end(self, in.text()));
  } else {
    refuse(self, {error_code::invalid_argument, "unknown request"});
  }
  return true;
}

/// Also while this process is stopped, and reads no end of file. A parent-death signal would not
/// come: the kernel asks whether the dying worker, which has given root up, may signal this one.
result<void> die_with(int lifeline) {
  if (::fcntl(lifeline, F_SETOWN, ::getpid()) != 0 || ::fcntl(lifeline, F_SETSIG, SIGKILL) != 0 ||
      ::fcntl(lifeline, F_SETFL, O_ASYNC) != 0) {
    return errno_error("the lifeline", errno);
  }
  pollfd end{lifeline, POLLIN, 0};
  if (::poll(&end, 1, 0) == 0) return {};
  return error(error_code::unavailable, "the client is gone already");
}

result<unique_fd> open_program(const std::string& path) {
  unique_fd program(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!program) return errno_error("opening " + path, errno);
  return program;
}

result<zygote_state> begin(const zygote_options& options, unique_fd socket) {
  if (::geteuid() != 0) {
    return error(error_code::permission_denied, "the zygote must be started by root");
  }
  const std::uint64_t top =
      options.uid_base + std::uint64_t{uids_per_slot} * (std::uint64_t{options.slots} + 1);
  if (options.slots == 0 || options.slots > 4096 || options.uid_base < uids_per_slot ||
      top > 0xFFFF0000U) {
    return error(error_code::invalid_argument, "the slots' uid ranges are out of bounds");
  }
  if (options.instance.empty() ||
      options.instance.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") !=
          std::string::npos) {
    return error(error_code::invalid_argument,
                 "the instance's name may hold lower-case letters, digits, '-' and '_' only");
  }
  zygote_state self;
  self.options = options;
  self.socket = std::move(socket);
  self.slots.resize(options.slots);
  GERMLINE_TRY_ASSIGN(self.init_program, open_program(options.init_path));
  if (!options.exports_root.empty()) {
    if (!is_clean_absolute_path(options.exports_root)) {
      return error(error_code::invalid_argument, "the exports root must be a clean absolute path");
    }
    self.exports.reset(::open(options.exports_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!self.exports) return errno_error("opening the exports root", errno);
  }
  GERMLINE_TRY_ASSIGN(self.layout, detect_own_cgroups());
  GERMLINE_TRY_ASSIGN(self.seccomp_program, build_seccomp_program());
  return self;
}

}  // namespace

result<void> run_zygote(const zygote_options& options, unique_fd socket, unique_fd lifeline) {
  ::prctl(PR_SET_NAME, "germline-zygote");
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::clearenv();
  GERMLINE_TRY(die_with(lifeline.get()));
  GERMLINE_TRY_ASSIGN(auto self, begin(options, std::move(socket)));
  self.lifeline = std::move(lifeline);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  self.signals.reset(::signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!self.signals) return errno_error("signalfd", errno);
  for (;;) {
    std::array<pollfd, 2> sources{
        {{self.socket.get(), POLLIN, 0}, {self.signals.get(), POLLIN, 0}}};
    if (::poll(sources.data(), sources.size(), -1) < 0 && errno != EINTR) {
      return errno_error("poll", errno);
    }
    if (sources[1].revents != 0) reap(self);
    if (sources[0].revents != 0 && !on_request(self)) break;
  }
  wind_down(self);
  return {};
}

}  // namespace germline
