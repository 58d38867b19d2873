#include "worker/node/service.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <filesystem>

#include "common/grpc_tls.hpp"
#include "common/log.hpp"
#include "common/uid_range.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/native.hpp"
#include "worker/gateway/account_journal.hpp"
#include "worker/gateway/api_keys.hpp"
#include "worker/mirror/client.hpp"
#include "worker/node/account_reporter.hpp"
#include "worker/node/base_digest.hpp"
#include "worker/node/bulk_client.hpp"
#include "worker/node/channel.hpp"
#include "worker/node/deps.hpp"
#include "worker/node/fleet_client.hpp"
#include "worker/node/gateway_access.hpp"
#include "worker/node/identity.hpp"
#include "worker/node/iteration.hpp"
#include "worker/node/node_actor.hpp"
#include "worker/node/place.hpp"
#include "worker/node/privileges.hpp"
#include "worker/node/sandbox_validator.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view version = "0.1.0";
/// An attempt may hold its own sandbox and one for the importer or the judge while it moves on.
constexpr int sandboxes_per_slot = 2;

struct layout {
  std::string exports;    // what the zygote may mount lies beneath
  std::string artefacts;  // exports/artefacts
  std::string deps;       // exports/deps
  std::string programs;   // exports/programs
  std::string objects;
  std::string journals;  // of accounts: the gateway's and the node's
};

result<void> make_directory(const std::string& path, uid_t owner, gid_t group, mode_t mode) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return errno_error("making " + path, failed.value());
  if (::chown(path.c_str(), owner, group) != 0) return errno_error("chown of " + path, errno);
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod of " + path, errno);
  return {};
}

/// Held until the process ends: a second worker would take the folder from the first.
result<unique_fd> take_folder(const std::string& state_dir) {
  std::error_code failed;
  fs::create_directories(state_dir, failed);
  if (failed) return errno_error("making " + state_dir, failed.value());
  const auto path = state_dir + "/lock";
  unique_fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return errno_error("opening " + path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return error(error_code::failed_precondition,
                 "another worker uses the state folder " + state_dir +
                     "; end it, or give this one a folder of its own (--state-dir)");
  }
  return lock;
}

/// The worker had another range of uids before: what its node owned is the present node's.
result<void> take_over(const std::string& state_dir, uid_t node) {
  struct stat known = {};
  if (::stat((state_dir + "/exports").c_str(), &known) != 0) return {};  // it is new
  const auto former = known.st_uid;
  if (former == 0 || former == node) return {};
  log_info("{} was of uid {} and is of uid {} from here on", state_dir, former, node);
  std::error_code failed;
  for (fs::recursive_directory_iterator at(state_dir, failed), end; !failed && at != end;
       at.increment(failed)) {
    const auto path = at->path().string();
    if (::lstat(path.c_str(), &known) != 0 || known.st_uid != former) continue;
    if (::lchown(path.c_str(), node, static_cast<gid_t>(-1)) != 0) {
      return errno_error("chown of " + path, errno);
    }
  }
  if (failed) return errno_error("reading " + state_dir, failed.value());
  return {};
}

/// Sandboxes see copies of the programs that run inside, not the build or install directory.
result<void> copy_program(const std::string& from_dir, const std::string& to_dir,
                          const std::string& name) {
  std::error_code failed;
  const auto target = to_dir + "/" + name;
  fs::copy_file(from_dir + "/" + name, target + ".new", fs::copy_options::overwrite_existing,
                failed);
  if (failed) return errno_error("copying " + from_dir + "/" + name, failed.value());
  if (::chmod((target + ".new").c_str(), 0555) != 0) return errno_error("chmod", errno);
  fs::rename(target + ".new", target, failed);
  if (failed) return errno_error("renaming " + target, failed.value());
  return {};
}

result<layout> lay_out(const worker_config& config, const std::string& libexec) {
  layout made;
  made.exports = config.state_dir + "/exports";
  made.artefacts = made.exports + "/artefacts";
  made.deps = made.exports + "/deps";
  made.programs = made.exports + "/programs";
  GERMLINE_TRY(take_over(config.state_dir, config.node_uid));
  GERMLINE_TRY(make_directory(config.state_dir, config.node_uid, config.services_gid, 0755));
  made.objects = config.state_dir + "/objects";
  GERMLINE_TRY(make_directory(made.objects, config.node_uid, config.services_gid, 0700));
  made.journals = config.state_dir + "/accounts";
  GERMLINE_TRY(make_directory(made.journals, config.node_uid, config.services_gid, 0770));
  // No other account of the machine comes in; what sandboxes see is mounted by root.
  GERMLINE_TRY(make_directory(made.exports, config.node_uid, config.services_gid, 0700));
  GERMLINE_TRY(make_directory(made.artefacts, config.node_uid, config.services_gid, 0755));
  GERMLINE_TRY(make_directory(made.deps, config.node_uid, config.services_gid, 0755));
  // Root's own: the node cannot put another program in the place of these.
  GERMLINE_TRY(make_directory(made.programs, 0, 0, 0755));
  for (const auto* name : {"germline-importer", "germline-stand-in"}) {
    GERMLINE_TRY(copy_program(libexec, made.programs, name));
  }
  return made;
}

std::string directory_of_this_program() {
  std::error_code failed;
  return fs::read_symlink("/proc/self/exe", failed).parent_path().string();
}

/// A process that this one cannot do without, and, since it gave root up, cannot start again.
struct companion {
  std::string name;
  unique_fd process;
};

result<companion> watch(std::string name, pid_t pid) {
  // By number: glibc 2.36 declares pidfd_open for C alone.
  unique_fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return errno_error("watching " + name, errno);
  return companion{std::move(name), std::move(process)};
}

/// Waits for one of the signals `ends`, or for the end of a companion, which is an error.
result<void> wait_for_end(const sigset_t& ends, const std::vector<companion>& companions) {
  const unique_fd signals(::signalfd(-1, &ends, SFD_CLOEXEC));
  if (!signals) return errno_error("signalfd", errno);
  std::vector<pollfd> watched{{signals.get(), POLLIN, 0}};
  for (const auto& each : companions) watched.push_back({each.process.get(), POLLIN, 0});
  while (::poll(watched.data(), watched.size(), -1) < 0) {
    if (errno != EINTR) return errno_error("poll", errno);
  }
  for (std::size_t i = 1; i < watched.size(); ++i) {
    if (watched[i].revents == 0) continue;
    return error(error_code::unavailable, companions[i - 1].name +
                                              " has ended, and this worker with it: started anew "
                                              "by root, it has both again");
  }
  signalfd_siginfo received{};
  if (::read(signals.get(), &received, sizeof received) == sizeof received) {
    log_info("ending on signal {}", received.ssi_signo);
  }
  return {};
}

/// Where what attempts came to is written down.
struct account_book {
  std::string directory;
  std::string boot_id;
};

/// The attempt as `made` runs it. Until a gateway opens its door it has spent nothing, and that is
/// written down: where it is not, a lost attempt is charged whole.
std::shared_ptr<running_attempt> with_account(const account_book& book, const v1::Lease& lease,
                                              std::shared_ptr<running_attempt> made) {
  if (lease.limits().budget_nanousd() == 0) return made;
  auto begun = begin_account(book.directory, lease.attempt_id(), book.boot_id);
  if (!begun) {
    log_warning("{}: {}", lease.attempt_id(), begun.error().message());
    return made;
  }
  auto* attempt = made.get();
  auto held = std::make_shared<std::pair<std::shared_ptr<running_attempt>, unique_fd>>(
      std::move(made), std::move(*begun));
  return {std::move(held), attempt};
}

/// Runs actors until SIGTERM or SIGINT, then ends the attempts and returns.
result<int> serve(const worker_config& config, const iteration_context& shared, fleet_client& fleet,
                  gateway_access* models, const account_book& book, const sigset_t& ends,
                  const std::vector<companion>& companions) {
  caf::actor_system_config settings;
  settings.add_message_types<caf::id_block::germline_worker>();
  settings.set("scheduler.policy", caf::atom("sharing"));
  settings.set("scheduler.max-threads", std::size_t{2});
  caf::actor_system system(settings);
  GERMLINE_TRY_ASSIGN(const auto place, place_of(config.sandbox_uid_base));
  node_actor_config node_config;
  node_config.self = {shared.worker_id, shared.base_digest, std::string(version),
                      config.slots,     config.tags,        place};
  node_config.time = shared.time;
  node_config.trouble = [&shared] { return shared.disk->trouble(); };
  node_config.send = [&fleet](v1::WorkerMessage message) { fleet.send(std::move(message)); };
  node_config.make_attempt = [&shared, &book](const v1::Lease& lease, std::int64_t until,
                                              progress_sink progress) {
    return with_account(book, lease, make_iteration(shared, lease, until, std::move(progress)));
  };
  const node_actor node = system.spawn(node_behavior, node_config);
  if (models != nullptr) {
    models->report_to([node](v1::AttemptProgress update) {
      caf::anon_send(node, attempt_progress_ptr(
                               std::make_shared<const v1::AttemptProgress>(std::move(update))));
    });
  }
  account_reporter accounts(book.directory, book.boot_id, [node](v1::LateAccounts told) {
    caf::anon_send(node,
                   late_accounts_ptr(std::make_shared<const v1::LateAccounts>(std::move(told))));
  });
  fleet_client::callbacks callbacks;
  callbacks.connected = [node] { caf::anon_send(node, connected_atom_v); };
  callbacks.disconnected = [node] { caf::anon_send(node, broken_atom_v); };
  callbacks.why_unreachable = [&config] { return why_unreachable(config); };
  callbacks.if_refused = way_back(config);
  callbacks.message = [node, &accounts](const v1::CoordinatorMessage& message) {
    if (message.has_welcome()) accounts.look();
    if (message.has_accounts_reply()) accounts.forget(message.accounts_reply());
    caf::anon_send(
        node, coordinator_message_ptr(std::make_shared<const v1::CoordinatorMessage>(message)));
  };
  fleet.start(std::move(callbacks));
  log_info("worker {} serves {} with {} slots", shared.worker_id, config.coordinator, config.slots);
  const auto ended = wait_for_end(ends, companions);
  if (!ended) log_error("{}", ended.error().message());
  {
    caf::scoped_actor waiter(system);
    caf::anon_send(node, stop_atom_v);
    waiter->wait_for(node);
  }
  fleet.stop();
  if (models != nullptr) models->report_to(nullptr);
  if (!ended) return ended.error();
  return 0;
}

}  // namespace

result<int> run_worker(const worker_config& config) {
  return run_worker_with_validator(config, nullptr);
}

result<int> run_worker_with_validator(const worker_config& config, const validator_seam& seam) {
  if (::geteuid() != 0) {
    return error(error_code::permission_denied,
                 "a worker starts as root, since making sandboxes needs it; it gives root up once "
                 "its zygote stands");
  }
  if (config.slots < 1 || config.slots > 64) {
    return error(error_code::invalid_argument,
                 "slots is " + std::to_string(config.slots) + "; it must be 1 to 64");
  }
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::signal(SIGPIPE, SIG_IGN);

  const auto libexec =
      config.libexec_dir.empty() ? directory_of_this_program() : config.libexec_dir;
  GERMLINE_TRY_ASSIGN(const auto uids, take_uid_range(config.sandbox_uid_base));
  GERMLINE_TRY_ASSIGN(const auto folder, take_folder(config.state_dir));
  GERMLINE_TRY_ASSIGN(const auto places, lay_out(config, libexec));
  native_options options;
  options.zygote_path = libexec + "/germline-zygote";
  options.init_path = libexec + "/germline-init";
  options.as_candidate_path = libexec + "/germline-as-candidate";
  options.exports_root = places.exports;
  options.slots = static_cast<std::uint32_t>(config.slots * sandboxes_per_slot);
  options.uid_base = config.sandbox_uid_base;
  options.instance = std::to_string(config.sandbox_uid_base);
  GERMLINE_TRY_ASSIGN(const auto backend, native_backend::start(options));
  GERMLINE_TRY(backend->recover());

  // Blocked before the first thread starts, so that only serve() takes them; after the zygote was
  // forked, so that it does not inherit this.
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const system_clock_source time;
  std::unique_ptr<gateway_access> models;
  GERMLINE_TRY_ASSIGN(auto keys, take_api_keys(config.gateway_config));
  if (!config.gateway_config.empty()) {
    gateway_spec spec;
    spec.binary = libexec + "/germline-gateway";
    spec.config_file = config.gateway_config;
    spec.uid = config.gateway_uid;
    spec.gid = config.services_gid;
    spec.keys = std::move(keys);
    spec.journals_directory = places.journals;
    GERMLINE_TRY_ASSIGN(models, gateway_access::start(std::move(spec), time));
  }
  std::unique_ptr<mirror_client> mirrors;
  GERMLINE_TRY_ASSIGN(auto mirrored, load_mirrors(config.mirrors, config.mirrors_config));
  if (!mirrored.empty()) {
    mirror_spec spec;
    spec.binary = libexec + "/germline-mirror";
    spec.mirrors = std::move(mirrored);
    spec.uid = config.mirror_uid;
    spec.gid = config.mirror_uid;  // it has no part in what the others share
    GERMLINE_TRY_ASSIGN(mirrors, mirror_client::start(spec));
  }
  std::vector<companion> companions(1);
  GERMLINE_TRY_ASSIGN(companions[0], watch("the zygote", backend->zygote_pid()));
  if (models) {
    GERMLINE_TRY_ASSIGN(auto gateway, watch("the gateway", models->pid()));
    companions.push_back(std::move(gateway));
  }
  if (mirrors) {
    GERMLINE_TRY_ASSIGN(auto mirror, watch("the mirror", mirrors->pid()));
    companions.push_back(std::move(mirror));
  }
  GERMLINE_TRY(take_credentials_along(config));
  GERMLINE_TRY(drop_privileges(config.node_uid, config.services_gid, config.socket_gid));

  iteration_context shared;
  GERMLINE_TRY_ASSIGN(shared.worker_id, identify(config, time));
  GERMLINE_TRY_ASSIGN(shared.base_digest, compute_base_digest("/var/lib/dpkg", "/usr"));
  GERMLINE_TRY_ASSIGN(auto store, artefact::artefact_store::open(places.artefacts));
  GERMLINE_TRY(store.clear_unfinished());
  artefact_cache artefacts(store, config.kept_artefact_bytes);
  GERMLINE_TRY_ASSIGN(auto objects, object_cache::open(places.objects, config.kept_object_bytes));
  GERMLINE_TRY_ASSIGN(const auto layers, layer_cache::open(places.deps, config.kept_deps_bytes));
  deps_store deps(*layers, mirrors.get(), {});
  storage disk(
      places.objects, config.lease_room_bytes,
      [&artefacts, &objects, &layers] {
        objects.clear();
        artefacts.clear();
        layers->clear();
      },
      time);
  sandbox_validator judge(artefacts, places.programs);
  system_random random;
  GERMLINE_TRY_ASSIGN(const auto coordinator,
                      watching_endpoint_at(config.coordinator, tls_folder_of(config)));
  GERMLINE_TRY_ASSIGN(const auto boot_id, read_boot_id());
  const certificate_keeper keeper(config, time, random);
  fleet_client fleet(make_channel(coordinator), random);
  bulk_client bulk(make_channel(coordinator));
  shared.backend = backend.get();
  shared.bulk = &bulk;
  const auto replaced = seam ? seam(judge) : nullptr;
  shared.judge = replaced ? replaced.get() : &judge;
  shared.models = models.get();
  shared.time = &time;
  shared.artefacts = &artefacts;
  shared.objects = &objects;
  shared.disk = &disk;
  shared.deps = &deps;
  shared.programs_dir = places.programs;
  return serve(config, shared, fleet, models.get(), {places.journals, boot_id}, ends, companions);
}

}  // namespace germline::worker
