#include "cli/up/up.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/render/render.hpp"
#include "cli/up/default_gateway.hpp"
#include "cli/up/gateway_files.hpp"
#include "cli/up/handing_over.hpp"
#include "cli/up/up_lock.hpp"
#include "common/amount.hpp"
#include "common/log.hpp"
#include "common/uid_range.hpp"
#include "common/unique_fd.hpp"
#include "worker/mirror/config.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

std::string socket_path_of(const std::string& address) {
  constexpr std::string_view scheme = "unix:";
  return address.starts_with(scheme) ? address.substr(scheme.size()) : "";
}

service_uids uids_from(std::int64_t first) {
  const auto base = static_cast<uid_t>(first);
  return {base + 1, base + 2, base + 3, base + 1, base + 4, base + 5};
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

/// Whether the socket can be where it is wanted. A folder that others use, such as /tmp, must not
/// change its owner.
result<void> check_socket_place(const config& settings) {
  const auto socket = socket_path_of(settings.get("coordinator"));
  if (socket.empty()) return {};
  constexpr std::size_t longest_socket_path = 107;
  if (socket.size() > longest_socket_path) {
    return error(error_code::invalid_argument,
                 "the socket's path is longer than 107 characters: " + socket);
  }
  const auto folder = fs::path(socket).parent_path();
  std::error_code failed;
  if (folder.filename() != "germline" && fs::exists(folder, failed) &&
      !fs::is_empty(folder, failed) && !fs::exists(socket, failed)) {
    return error(error_code::invalid_argument,
                 "the socket needs a folder of its own, and " + folder.string() +
                     " has other things in it; name one with --coordinator unix:" +
                     (folder / "germline" / fs::path(socket).filename()).string());
  }
  return {};
}

/// Where the coordinator has what was brought along for it.
std::string brought_folder(const config& settings) {
  return settings.get("state_dir") + "/coordinator-tls";
}

/// What root has prepared for serving other machines.
result<void> prepare_tls(const config& settings) {
  if (settings.get("tls_listen").empty()) return {};
  const auto uids = uids_of(settings);
  if (const auto& from = settings.get("tls_dir"); !from.empty()) {
    GERMLINE_TRY(make_folder(brought_folder(settings), uids.coordinator, uids.group, 0700));
    return copy_credentials(from, brought_folder(settings));
  }
  const auto& named = settings.get("pki_dir");
  if (named.empty()) {
    return hand_over_authority(settings.get("state_dir") + "/coordinator/pki", uids.coordinator,
                               uids.group);
  }
  std::error_code failed;
  if (!fs::exists(named, failed)) {
    GERMLINE_TRY(make_folder(named, uids.coordinator, uids.group, 0700));
  }
  const auto folder = fs::canonical(named, failed).string();
  if (failed) return errno_error("reading " + named, failed.value());
  GERMLINE_TRY(check_way_to(folder, uids.coordinator, uids.group));
  return hand_over_authority(folder, uids.coordinator, uids.group);
}

/// The state folder can be passed by all services; what is in it belongs to one each.
result<void> lay_out(const config& settings, std::int64_t workers) {
  const auto uids = uids_of(settings);
  const auto& state = settings.get("state_dir");
  GERMLINE_TRY(make_folder(state + "/logs", 0, 0, 0700));
  GERMLINE_TRY(make_folder(state + "/coordinator", uids.coordinator, uids.group, 0700));
  for (std::size_t i = 0; i < static_cast<std::size_t>(workers); ++i) {
    const auto its = uids_of_worker(settings, i);
    GERMLINE_TRY(make_folder(state + "/" + worker_name(i), its.node, its.group, 0755));
  }
  GERMLINE_TRY(prepare_tls(settings));
  const auto socket = socket_path_of(settings.get("coordinator"));
  if (socket.empty()) return {};
  return make_folder(fs::path(socket).parent_path().string(), uids.coordinator, uids.group, 0755);
}

/// Makes the state folder, takes it for this process alone, and then what is in it and the socket.
result<up_lock> take_places(const config& settings, std::int64_t workers) {
  GERMLINE_TRY(check_uid_room(settings, workers));
  GERMLINE_TRY(check_owner(settings));
  GERMLINE_TRY(check_socket_place(settings));
  const auto& state = settings.get("state_dir");
  GERMLINE_TRY(make_folder(state, 0, 0, 0711));
  GERMLINE_TRY_ASSIGN(auto lock, up_lock::take(state));
  // Before anything is made with them: a folder belongs to its uids from then on.
  for (std::size_t i = 0; i < static_cast<std::size_t>(workers); ++i) {
    GERMLINE_TRY(take_uid_range(static_cast<std::uint32_t>(uid_base_of(settings, i))));
  }
  GERMLINE_TRY(clear_dead_socket(socket_path_of(settings.get("coordinator"))));
  GERMLINE_TRY(lay_out(settings, workers));
  return lock;
}

/// Who waits for the detached process; its handler of signals needs to know.
volatile sig_atomic_t detached_pid = 0;

/// Ctrl-C while it starts is meant for all of it.
void pass_on(int) {
  ::kill(detached_pid, SIGTERM);
}

/// Goes on in a child without a terminal; the parent waits for its word that all is ready. Returns
/// the descriptor to say it on; in the parent it does not return but ends the process.
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
  detached_pid = child;
  struct sigaction action {};
  action.sa_handler = &pass_on;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
  char word = 0;
  if (::read(reader.get(), &word, 1) == 1) {
    with.data(with.json ? "{\"pid\": " + std::to_string(child) + "}\n"
                        : std::to_string(child) + "\n");
    ::_exit(static_cast<int>(exit_code::done));
  }
  // It has said why, and ends with the code that fits.
  int status = 0;
  ::waitpid(child, &status, 0);
  const bool told = WIFEXITED(status) && WEXITSTATUS(status) != 0;
  ::_exit(told ? WEXITSTATUS(status) : static_cast<int>(exit_code::failed));
}

/// What a detached `up` has to say goes to a log of its own, in the form of the other logs.
class announcer {
 public:
  explicit announcer(const session& with) : with_(with) {}

  /// From here on the terminal may go away. `parent` waits for the word.
  void move_to(const unique_fd& log, unique_fd& parent) {
    ::signal(SIGPIPE, SIG_IGN);  // it may be gone already
    const char word = '1';
    (void)!::write(parent.get(), &word, 1);
    ::signal(SIGPIPE, SIG_DFL);
    parent.reset();
    const unique_fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(log.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
    init_logging("up");
    logs_ = true;
    log_info("all runs; process {} goes on without a terminal", ::getpid());
  }
  void say(const std::string& text) const {
    if (logs_) return log_warning("{}", text);
    with_.message("germline: " + text);
  }
  exit_code conclude(const result<void>& ended) const {
    if (!ended && logs_) log_error("{}", ended.error().message());
    if (!ended) return logs_ ? exit_code_of(ended.error().code()) : with_.fail(ended.error());
    if (logs_) {
      log_info("ended, as it was asked to");
    } else {
      with_.message("germline: ended");
    }
    return exit_code::done;
  }

 private:
  const session& with_;
  bool logs_ = false;
};

void say_ready(const session& with) {
  const auto& state = with.settings.get("state_dir");
  const auto& tls = with.settings.get("tls_listen");
  if (with.json) {
    with.data("{\"coordinator\": " + json_string(with.coordinator()) +
              (tls.empty() ? "" : ", \"tls_listen\": " + json_string(tls)) + ", \"state_dir\": " +
              json_string(state) + ", \"pid\": " + std::to_string(::getpid()) + "}\n");
    return;
  }
  with.message("germline: coordinator listens on " + with.coordinator());
  if (!tls.empty()) {
    with.message("germline: for other machines, over TLS, it listens on " + tls);
  }
  with.message("germline: state in " + state + ", logs in " + state + "/logs");
  const per_unit<const char*> keys{"fleet_budget", "fleet_token_budget", "fleet_request_budget"};
  for (const auto of : all_units) {
    const auto said = parse_spending_limit(of, with.settings.get(keys[of]));
    if (!said || said->is_none || said->most > 0) continue;
    with.message("germline: the fleet's " + std::string(budget_word(of)) + " is said to be " +
                 format_amount(of, 0) + ": nothing that asks a model will run");
  }
  with.message("germline: stop with Ctrl-C or: germline down --state-dir " + state);
}

}  // namespace

service_uids uids_of(const config& settings) {
  return uids_from(settings.get_int("uid_base"));
}

std::int64_t uid_base_of(const config& settings, std::size_t worker) {
  return settings.get_int("uid_base") + static_cast<std::int64_t>(worker) * uids_per_worker;
}

service_uids uids_of_worker(const config& settings, std::size_t worker) {
  return uids_from(uid_base_of(settings, worker));
}

std::string worker_name(std::size_t worker) {
  return worker == 0 ? "worker" : "worker-" + std::to_string(worker + 1);
}

result<void> check_uid_room(const config& settings, std::int64_t workers) {
  constexpr std::int64_t top = 0xFFFF'0000;
  const auto base = settings.get_int("uid_base");
  if (workers == 1 || base + workers * uids_per_worker <= top) return {};
  return error(error_code::invalid_argument,
               std::to_string(workers) + " workers need " +
                   std::to_string(workers * uids_per_worker) + " uids, and from uid_base " +
                   std::to_string(base) + " on there are " + std::to_string(top - base) +
                   ": set GERMLINE_UID_BASE to " + std::to_string(top - workers * uids_per_worker) +
                   " or less, or have fewer workers");
}

supervisor_plan plan_of(const config& settings, const std::string& self,
                        const std::vector<std::string>& gateway_configs) {
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
                 "GERMLINE_KILL_WAIT_S=" + settings.get("kill_wait_s"),
                 "GERMLINE_FLEET_BUDGET=" + settings.get("fleet_budget"),
                 "GERMLINE_FLEET_TOKEN_BUDGET=" + settings.get("fleet_token_budget"),
                 "GERMLINE_FLEET_REQUEST_BUDGET=" + settings.get("fleet_request_budget")};
    return spec;
  };
  const auto hide_keys = [](child_spec& spec) {
    spec.without.insert(spec.without.end(), {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"});
  };
  supervisor_plan plan;
  plan.coordinator = child(
      "coordinator", {"coordinator", "--listen", address, "--state-dir", state + "/coordinator"});
  if (const auto& tls = settings.get("tls_listen"); !tls.empty()) {
    const auto& named = settings.get("pki_dir");
    auto& words = plan.coordinator.words;
    words.insert(words.end(), {"--tls-listen", tls});
    if (!named.empty()) words.insert(words.end(), {"--pki-dir", named});
    if (!settings.get("tls_dir").empty()) {
      words.insert(words.end(), {"--tls-dir", brought_folder(settings)});
    }
  }
  plan.coordinator.log_path = state + "/logs/coordinator.log";
  plan.coordinator.uid = uids.coordinator;
  plan.coordinator.gid = uids.group;
  hide_keys(plan.coordinator);
  const bool several = gateway_configs.size() > 1;
  for (std::size_t i = 0; i < gateway_configs.size(); ++i) {
    const auto name = worker_name(i);
    auto worker = child(name, {"worker", "--coordinator", address, "--state-dir",
                               state + "/" + name, "--slots", settings.get("worker.slots")});
    worker.log_path = state + "/logs/" + name + ".log";
    worker.with[0] = "GERMLINE_UID_BASE=" + std::to_string(uid_base_of(settings, i));
    worker.with.push_back("GERMLINE_WORKER_TAGS=" + settings.get("worker.tags"));
    worker.with.push_back("GERMLINE_WORKER_MIRRORS=" + settings.get("worker.mirrors"));
    worker.with.push_back("GERMLINE_WORKER_MIRRORS_CONFIG=" +
                          settings.get("worker.mirrors_config"));
    if (!gateway_configs[i].empty()) {
      worker.words.insert(worker.words.end(), {"--gateway-config", gateway_configs[i]});
    }
    if (several) {
      worker.words.insert(worker.words.end(),
                          {"--socket-group", std::to_string(uids.socket_group)});
    }
    plan.workers.push_back(std::move(worker));
  }
  plan.probe = child("probe", {"ps", "--workers", "--coordinator", address});
  hide_keys(plan.probe);
  plan.worker_probe =
      child("worker probe", {"ps", "--workers", "--joined=" + std::to_string(plan.workers.size()),
                             "--coordinator", address});
  hide_keys(plan.worker_probe);
  plan.socket_path = socket_path_of(address);
  plan.socket_owner = uids.node;
  if (several) plan.socket_group = uids.socket_group;
  return plan;
}

exit_code run_up(const session& with, const up_options& options) {
  if (::geteuid() != 0) {
    return with.fail({error_code::permission_denied,
                      "up needs root, since making sandboxes does; its services then give root "
                      "up. Try: sudo germline up"});
  }
  // A worker that cannot read them would end again and again.
  if (const auto mirrors = worker::load_mirrors(with.settings.get("worker.mirrors"),
                                                with.settings.get("worker.mirrors_config"));
      !mirrors) {
    return with.fail(mirrors.error());
  }
  const auto workers = options.workers.value_or(1);
  const auto lock = take_places(with.settings, workers);
  if (!lock) return with.fail(lock.error());
  for (std::size_t i = 0; i < static_cast<std::size_t>(workers); ++i) {
    const auto its = uids_of_worker(with.settings, i);
    const auto fits = check_gateway_files(with.settings.get("worker.gateway_config"), its.gateway,
                                          its.group, workers > 1);
    if (!fits) return with.fail(fits.error());
  }
  for (const auto& missing : missing_keys(with.settings.get("worker.gateway_config"))) {
    with.message("germline: " + missing +
                 ": its models are not asked until `up` is started with it");
  }
  const auto& state = with.settings.get("state_dir");
  unique_fd waiting_parent;
  unique_fd log;
  if (options.detach) {
    auto opened = open_log(state + "/logs/up.log");
    if (!opened) return with.fail(opened.error());
    log = std::move(*opened);
    auto detached = detach_process(with);
    if (!detached) return with.fail(detached.error());
    waiting_parent = std::move(*detached);
  }
  if (const auto written = lock->write_pid(); !written) return with.fail(written.error());

  std::error_code failed;
  const auto self = fs::read_symlink("/proc/self/exe", failed).string();
  std::vector<std::string> gateway_configs(static_cast<std::size_t>(workers),
                                           with.settings.get("worker.gateway_config"));
  if (const char* key = ::getenv("ANTHROPIC_API_KEY");
      gateway_configs[0].empty() && key != nullptr && *key != '\0') {
    for (std::size_t i = 0; i < gateway_configs.size(); ++i) {
      auto written = write_default_gateway(with.settings, options.price_file, i);
      if (!written) return with.fail(written.error());
      gateway_configs[i] = std::move(*written);
    }
    with.message("germline: with the key in ANTHROPIC_API_KEY, models are asked at Anthropic (" +
                 gateway_configs[0] + ")");
  }
  const auto plan = plan_of(with.settings, self, gateway_configs);
  announcer announcing(with);
  supervisor_events events;
  events.announce = [&](const std::string& text) { announcing.say(text); };
  events.ready = [&] {
    if (!options.detach) return say_ready(with);
    announcing.move_to(log, waiting_parent);
  };
  return announcing.conclude(supervise(plan, events, *with.time));
}

}  // namespace germline::cli
