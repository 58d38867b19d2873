#include "worker/node/service.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <filesystem>
#include <fstream>

#include "common/ids.hpp"
#include "common/log.hpp"
#include "sandbox/native.hpp"
#include "worker/node/base_digest.hpp"
#include "worker/node/fleet_client.hpp"
#include "worker/node/gateway_access.hpp"
#include "worker/node/iteration.hpp"
#include "worker/node/node_actor.hpp"
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
  std::string programs;   // exports/programs
};

result<void> make_directory(const std::string& path, uid_t owner, gid_t group, mode_t mode) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return errno_error("making " + path, failed.value());
  if (::chown(path.c_str(), owner, group) != 0) return errno_error("chown of " + path, errno);
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod of " + path, errno);
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
  made.programs = made.exports + "/programs";
  GERMLINE_TRY(make_directory(config.state_dir, config.node_uid, config.services_gid, 0755));
  GERMLINE_TRY(make_directory(made.exports, config.node_uid, config.services_gid, 0755));
  GERMLINE_TRY(make_directory(made.artefacts, config.node_uid, config.services_gid, 0755));
  // Root's own: the node cannot put another program in the place of these.
  GERMLINE_TRY(make_directory(made.programs, 0, 0, 0755));
  for (const auto* name : {"germline-importer", "germline-stand-in"}) {
    GERMLINE_TRY(copy_program(libexec, made.programs, name));
  }
  return made;
}

result<std::string> own_id(const worker_config& config, const clock& time) {
  if (!config.worker_id.empty()) return config.worker_id;
  const auto path = config.state_dir + "/worker_id";
  std::string id;
  if (std::ifstream in(path); in >> id) return id;
  system_random random;
  id = "wrk_" + make_uuid7_hex(time, random);
  std::ofstream out(path);
  out << id << '\n';
  if (!out.flush()) return error(error_code::internal, "writing " + path + " failed");
  return id;
}

/// The provider's key, taken out of this process's environment.
std::string take_api_key() {
  const char* value = ::getenv("ANTHROPIC_API_KEY");
  std::string key = value == nullptr ? "" : value;
  ::unsetenv("ANTHROPIC_API_KEY");
  return key;
}

std::string directory_of_this_program() {
  std::error_code failed;
  return fs::read_symlink("/proc/self/exe", failed).parent_path().string();
}

/// Runs actors until SIGTERM or SIGINT, then ends the attempts and returns.
result<int> serve(const worker_config& config, const iteration_context& shared, fleet_client& fleet,
                  gateway_access* models, const sigset_t& ends) {
  caf::actor_system_config settings;
  settings.add_message_types<caf::id_block::germline_worker>();
  settings.set("caf.scheduler.policy", "sharing");
  settings.set("caf.scheduler.max-threads", std::size_t{2});
  caf::actor_system system(settings);
  node_actor_config node_config;
  node_config.self = {shared.worker_id, shared.base_digest, std::string(version), config.slots};
  node_config.time = shared.time;
  node_config.send = [&fleet](v1::WorkerMessage message) { fleet.send(std::move(message)); };
  node_config.make_attempt = [&shared](const v1::Lease& lease, std::int64_t until,
                                       progress_sink progress) {
    return make_iteration(shared, lease, until, std::move(progress));
  };
  const node_actor node = system.spawn(node_behavior, node_config);
  if (models != nullptr) {
    models->report_to([node](v1::AttemptProgress update) {
      caf::anon_send(node, attempt_progress_ptr(
                               std::make_shared<const v1::AttemptProgress>(std::move(update))));
    });
  }
  fleet_client::callbacks callbacks;
  callbacks.connected = [node] { caf::anon_send(node, connected_atom_v); };
  callbacks.disconnected = [node] { caf::anon_send(node, broken_atom_v); };
  callbacks.message = [node](const v1::CoordinatorMessage& message) {
    caf::anon_send(
        node, coordinator_message_ptr(std::make_shared<const v1::CoordinatorMessage>(message)));
  };
  fleet.start(std::move(callbacks));
  log_info("worker {} serves {} with {} slots", shared.worker_id, config.coordinator, config.slots);
  int received = 0;
  ::sigwait(&ends, &received);
  log_info("ending on signal {}", received);
  {
    caf::scoped_actor waiter(system);
    caf::anon_send(node, stop_atom_v);
    waiter->wait_for(node);
  }
  fleet.stop();
  if (models != nullptr) models->report_to(nullptr);
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
  GERMLINE_TRY_ASSIGN(const auto places, lay_out(config, libexec));
  native_options options;
  options.zygote_path = libexec + "/germline-zygote";
  options.init_path = libexec + "/germline-init";
  options.as_candidate_path = libexec + "/germline-as-candidate";
  options.exports_root = places.exports;
  options.slots = static_cast<std::uint32_t>(config.slots * sandboxes_per_slot);
  options.uid_base = config.sandbox_uid_base;
  GERMLINE_TRY_ASSIGN(const auto backend, native_backend::start(options));
  GERMLINE_TRY(backend->recover());

  // Blocked before the first thread starts, so that only serve() takes them; after the zygote was
  // forked, so that it does not inherit this.
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const system_clock_source time;
  std::unique_ptr<gateway_access> models;
  auto key = take_api_key();
  if (!config.gateway_config.empty()) {
    gateway_spec spec;
    spec.binary = libexec + "/germline-gateway";
    spec.config_file = config.gateway_config;
    spec.uid = config.gateway_uid;
    spec.gid = config.services_gid;
    spec.api_key = std::move(key);
    GERMLINE_TRY_ASSIGN(models, gateway_access::start(std::move(spec), time));
  }
  GERMLINE_TRY(drop_privileges(config.node_uid, config.services_gid));

  iteration_context shared;
  GERMLINE_TRY_ASSIGN(shared.worker_id, own_id(config, time));
  GERMLINE_TRY_ASSIGN(shared.base_digest, compute_base_digest("/var/lib/dpkg", "/usr"));
  GERMLINE_TRY_ASSIGN(auto store, artefact::artefact_store::open(places.artefacts));
  sandbox_validator judge(store, places.programs);
  system_random random;
  fleet_client fleet(config.coordinator, random);
  shared.backend = backend.get();
  shared.bulk = &fleet;
  const auto replaced = seam ? seam(judge) : nullptr;
  shared.judge = replaced ? replaced.get() : &judge;
  shared.models = models.get();
  shared.time = &time;
  shared.artefacts = &store;
  shared.programs_dir = places.programs;
  return serve(config, shared, fleet, models.get(), ends);
}

}  // namespace germline::worker
