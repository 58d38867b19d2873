#include "cli/up/up.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/render/render.hpp"
#include "cli/up/default_gateway.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

std::string socket_path_of(const std::string& address) {
  constexpr std::string_view scheme = "unix:";
  return address.starts_with(scheme) ? address.substr(scheme.size()) : "";
}

result<void> make_folder(const std::string& path, uid_t owner, gid_t group, mode_t mode) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return errno_error("making " + path, failed.value());
  if (::chown(path.c_str(), owner, group) != 0) return errno_error("chown of " + path, errno);
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod of " + path, errno);
  return {};
}

/// Another uid_base would make the services strangers to what they wrote themselves.
result<void> check_owner(const config& settings) {
  const auto& state = settings.get("state_dir");
  struct stat found {};
  if (::stat((state + "/coordinator").c_str(), &found) != 0) return {};  // a new state folder
  const auto wanted = uids_of(settings).coordinator;
  if (found.st_uid == wanted || found.st_uid == 0) return {};
  const auto base = settings.get_int("uid_base") + found.st_uid - wanted;
  return error(error_code::failed_precondition,
               state + " was made with uid_base " + std::to_string(base) + ", and it is " +
                   settings.get("uid_base") +
                   " now: set GERMLINE_UID_BASE to the former, or name another --state-dir");
}

/// The state folder can be passed by all services; what is in it belongs to one each.
result<void> lay_out(const config& settings) {
  const auto uids = uids_of(settings);
  const auto& state = settings.get("state_dir");
  GERMLINE_TRY(make_folder(state, 0, 0, 0711));
  GERMLINE_TRY(make_folder(state + "/logs", 0, 0, 0700));
  GERMLINE_TRY(make_folder(state + "/coordinator", uids.coordinator, uids.group, 0700));
  GERMLINE_TRY(make_folder(state + "/worker", uids.node, uids.group, 0755));
  const auto socket = socket_path_of(settings.get("coordinator"));
  if (socket.empty()) return {};
  constexpr std::size_t longest_socket_path = 107;
  if (socket.size() > longest_socket_path) {
    return error(error_code::invalid_argument,
                 "the socket's path is longer than 107 characters: " + socket);
  }
  const auto folder = fs::path(socket).parent_path();
  const auto name = folder.filename().string();
  // A folder that others use, such as /tmp, must not change its owner.
  std::error_code failed;
  if (name != "germline" && fs::exists(folder, failed) && !fs::is_empty(folder, failed) &&
      !fs::exists(socket, failed)) {
    return error(error_code::invalid_argument, "the socket needs a folder of its own, and " +
                                                   folder.string() + " has other things in it");
  }
  return make_folder(folder.string(), uids.coordinator, uids.group, 0755);
}

/// Held until the process ends; its file says which process that is.
result<unique_fd> take_lock(const std::string& state_dir) {
  const auto path = state_dir + "/up.pid";
  unique_fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) return errno_error("opening " + path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return error(error_code::failed_precondition,
                 "another `germline up` runs with " + state_dir + " (see " + path + ")");
  }
  return lock;
}

result<void> write_pid(const unique_fd& lock) {
  const auto text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return errno_error("writing up.pid", errno);
  }
  return {};
}

/// Goes on in a child without a terminal; the parent waits for its word that all runs. Returns the
/// descriptor to say it on; in the parent it does not return but ends the process.
result<unique_fd> detach_process(const session& with) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  unique_fd reader(ends[0]);
  unique_fd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    ::setsid();
    return writer;
  }
  writer.reset();
  char word = 0;
  const bool ready = ::read(reader.get(), &word, 1) == 1;
  if (ready) {
    with.data(with.json ? "{\"pid\": " + std::to_string(child) + "}\n"
                        : std::to_string(child) + "\n");
  }
  ::_exit(static_cast<int>(ready ? exit_code::done : exit_code::failed));
}

/// From here on the terminal may go away.
void close_terminal() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  ::close(null);
}

void say_ready(const session& with) {
  const auto& state = with.settings.get("state_dir");
  if (with.json) {
    with.data("{\"coordinator\": " + json_string(with.coordinator()) + ", \"state_dir\": " +
              json_string(state) + ", \"pid\": " + std::to_string(::getpid()) + "}\n");
    return;
  }
  with.message("germline: coordinator listens on " + with.coordinator());
  with.message("germline: state in " + state + ", logs in " + state + "/logs");
  with.message("germline: stop with Ctrl-C or: kill " + std::to_string(::getpid()));
}

}  // namespace

service_uids uids_of(const config& settings) {
  const auto base = static_cast<uid_t>(settings.get_int("uid_base"));
  return {base + 1, base + 2, base + 3, base + 1};
}

supervisor_plan plan_of(const config& settings, const std::string& self,
                        const std::string& gateway_config) {
  const auto& address = settings.get("coordinator");
  const auto& state = settings.get("state_dir");
  const auto uids = uids_of(settings);
  const auto child = [&](std::string name, std::vector<std::string> words) {
    child_spec spec;
    spec.name = std::move(name);
    spec.words = std::move(words);
    spec.words.insert(spec.words.begin(), self);
    // What holds was settled here; the caller's own files are none of the services', which may
    // not even read them.
    spec.without = {"HOME", "XDG_CONFIG_HOME", "GERMLINE_CONFIG"};
    spec.with = {"GERMLINE_UID_BASE=" + settings.get("uid_base"),
                 "GERMLINE_LIBEXEC=" + settings.get("libexec_dir"),
                 "GERMLINE_KILL_WAIT_S=" + settings.get("kill_wait_s")};
    return spec;
  };
  const auto hide_keys = [](child_spec& spec) {
    spec.without.insert(spec.without.end(), {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"});
  };
  supervisor_plan plan;
  plan.coordinator = child(
      "coordinator", {"coordinator", "--listen", address, "--state-dir", state + "/coordinator"});
  plan.coordinator.log_path = state + "/logs/coordinator.log";
  plan.coordinator.uid = uids.coordinator;
  plan.coordinator.gid = uids.group;
  hide_keys(plan.coordinator);
  plan.worker = child("worker", {"worker", "--coordinator", address, "--state-dir",
                                 state + "/worker", "--slots", settings.get("worker.slots")});
  plan.worker.log_path = state + "/logs/worker.log";
  if (!gateway_config.empty()) {
    plan.worker.words.insert(plan.worker.words.end(), {"--gateway-config", gateway_config});
  }
  plan.probe = child("probe", {"ps", "--workers", "--coordinator", address});
  hide_keys(plan.probe);
  plan.socket_path = socket_path_of(address);
  plan.socket_owner = uids.node;
  return plan;
}

exit_code run_up(const session& with, const up_options& options) {
  if (::geteuid() != 0) {
    return with.fail({error_code::permission_denied,
                      "up needs root, since making sandboxes does; its services then give root "
                      "up. Try: sudo germline up"});
  }
  if (const auto ours = check_owner(with.settings); !ours) return with.fail(ours.error());
  if (const auto ready = lay_out(with.settings); !ready) return with.fail(ready.error());
  const auto lock = take_lock(with.settings.get("state_dir"));
  if (!lock) return with.fail(lock.error());
  unique_fd waiting_parent;
  if (options.detach) {
    auto detached = detach_process(with);
    if (!detached) return with.fail(detached.error());
    waiting_parent = std::move(*detached);
  }
  if (const auto written = write_pid(*lock); !written) return with.fail(written.error());

  std::error_code failed;
  const auto self = fs::read_symlink("/proc/self/exe", failed).string();
  auto gateway_config = with.settings.get("worker.gateway_config");
  if (const char* key = ::getenv("ANTHROPIC_API_KEY");
      gateway_config.empty() && key != nullptr && *key != '\0') {
    auto written = write_default_gateway(with.settings, options.price_file);
    if (!written) return with.fail(written.error());
    gateway_config = std::move(*written);
    with.message("germline: with the key in ANTHROPIC_API_KEY, models are asked at Anthropic (" +
                 gateway_config + ")");
  }
  const auto plan = plan_of(with.settings, self, gateway_config);
  supervisor_events events;
  events.announce = [&](const std::string& text) { with.message("germline: " + text); };
  events.ready = [&] {
    if (!options.detach) return say_ready(with);
    const char word = '1';
    const bool told = ::write(waiting_parent.get(), &word, 1) == 1;
    waiting_parent.reset();
    if (told) close_terminal();
  };
  const auto ended = supervise(plan, events, *with.time);
  if (!ended) return with.fail(ended.error());
  with.message("germline: ended");
  return exit_code::done;
}

}  // namespace germline::cli
