#include "coordinator/service.hpp"

#include <fcntl.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "common/log.hpp"
#include "common/unique_fd.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/control_service.hpp"
#include "coordinator/api/enrolment.hpp"
#include "coordinator/api/fleet_service.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/api/tls_front.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/dispatch/dispatcher.hpp"
#include "coordinator/evolution/evaluations_actor.hpp"
#include "coordinator/health.hpp"
#include "coordinator/keep_alive.hpp"
#include "coordinator/lineage/runs_actor.hpp"
#include "coordinator/listening.hpp"
#include "coordinator/refs/refs_actor.hpp"
#include "coordinator/store/reader.hpp"
#include "coordinator/store/store_actor.hpp"

namespace germline {
namespace {

constexpr int max_message_bytes = 4 << 20;

result<unique_fd> lock_directory(const std::string& dir) {
  std::error_code failed;
  const bool fresh = std::filesystem::create_directories(dir, failed);
  if (failed) return errno_error("making " + dir, failed.value());
  if (fresh) std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
  const std::string path = dir + "/lock";
  unique_fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return errno_error("opening " + path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return error(error_code::failed_precondition, "another coordinator already uses " + dir);
  }
  return lock;
}

/// The coordinator's own id, made at its first start.
result<std::string> own_id(const std::string& dir, const environment& env) {
  const std::string path = dir + "/coordinator_id";
  std::string id;
  if (std::ifstream in(path); in >> id) return id;
  id = "crd_" + make_uuid7_hex(*env.time, *env.random);
  std::ofstream out(path);
  out << id << "\n";
  out.close();
  if (!out) return error(error_code::internal, "writing " + path + " failed");
  return id;
}

std::string with_port(const std::string& address, int port) {
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

caf::actor_system_config& configure(caf::actor_system_config& config, int threads) {
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", static_cast<std::size_t>(threads));
  return config;
}

}  // namespace

struct coordinator_service::impl {
  impl(const coordinator_config& given, const clock& time, random_source& entropy)
      : config(given),
        random(entropy),
        env{&time, &random},
        places{given.state_dir + "/objects.git", given.state_dir + "/incoming",
               given.state_dir + "/artefacts"},
        system(configure(caf_config, given.actor_threads)) {}

  result<void> open_record() {
    const std::string path = config.state_dir + "/record.sqlite";
    GERMLINE_TRY_ASSIGN(auto record, store::open(path));
    for (const auto each : all_units) {
      const auto configured = record->configure_fleet_budget(each, config.fleet_budget[each]);
      if (!configured)
        return configured.error().within("the fleet's " + std::string(budget_word(each)));
    }
    GERMLINE_TRY_ASSIGN(loaded, record->load());
    GERMLINE_TRY_ASSIGN(reader, record_reader::open(path));
    GERMLINE_TRY_ASSIGN(repository, refs::open_git_refs(places));
    store_handle = system.spawn<caf::detached>(
        store_behavior, std::make_shared<std::unique_ptr<store>>(std::move(record)), env, well);
    return {};
  }

  /// Starts the actors; returns once everything that was leased is in the dispatcher's hands.
  result<void> spawn_actors(const std::string& id) {
    const record_lookups lookups{
        [from = reader.get()](const std::string& attempt) { return from->is_leased(attempt); },
        [from = reader.get()] { return from->artefacts(); }};
    const std::chrono::milliseconds look(config.look_ms);
    refs_handle = system.spawn<caf::detached>(refs_behavior, repository, lookups, well, look);
    actors.dispatcher =
        system.spawn(dispatcher_behavior,
                     dispatcher_config{env, store_handle, config.times, id, loaded.workers, well});
    evaluations_handle =
        system.spawn(evaluations_behavior,
                     evaluations_config{env, store_handle, actors.dispatcher, loaded.items, look});
    actors.runs =
        system.spawn(runs_behavior, runs_config{env, store_handle, refs_handle, actors.dispatcher,
                                                evaluations_handle, std::move(loaded), look});
    result<void> ready;
    const auto fail = [&](const caf::error& failure) { ready = from_caf(failure); };
    caf::scoped_actor self(system);
    self->request(actors.runs, caf::infinite, kill_atom_v, kill_target{})
        .receive([](const kill_outcomes&) {}, fail);
    // Of no item, so that nothing comes of it but the answer.
    self->request(evaluations_handle, caf::infinite, budget_atom_v, item_id(), std::string())
        .receive([] {}, fail);
    self->request(actors.dispatcher, caf::infinite, status_atom_v)
        .receive([](const fleet_status&) {}, fail);
    return ready;
  }

  result<void> serve(const std::string& id) {
    GERMLINE_TRY_ASSIGN(socket_path, check_local_address(config.listen_address));
    if (!config.tls_listen.empty()) {
      const auto pki = config.pki_dir.empty() ? config.state_dir + "/pki" : config.pki_dir;
      GERMLINE_TRY_ASSIGN(front, tls_front::make(config.tls_dir, pki, *env.time));
    }
    desk = std::make_unique<people>(system, actors, *reader, *repository, env, id,
                                    config.times.kill_wait_ms, *well);
    fleet = make_fleet_service(system, actors, *env.time, *reader, *repository, places,
                               front ? &front->guard() : nullptr);
    control = make_control_service(*desk, stopping, front ? &front->guard() : nullptr);
    enrolment = make_enrolment_service(front ? front->authority() : nullptr, *env.time);
    if (!socket_path.empty()) {
      GERMLINE_TRY(check_nobody_listens(socket_path));
      ::unlink(socket_path.c_str());
    }
    GERMLINE_TRY(try_to_bind(config.listen_address, socket_path));
    if (front) GERMLINE_TRY(try_to_bind(config.tls_listen, ""));
    return listen();
  }

  result<void> listen() {
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("coordinator");
    quota.SetMaxThreads(config.max_server_threads);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(max_message_bytes);
    builder.AddChannelArgument("grpc.so_reuseport", 0);
    keep_alive(builder);
    if (front) renew_connections(builder);
    builder.AddListeningPort(config.listen_address, grpc::InsecureServerCredentials(), &port);
    if (front) builder.AddListeningPort(config.tls_listen, front->credentials(), &tls_port);
    for (auto* each : {fleet.get(), control.get(), enrolment.get()}) builder.RegisterService(each);
    const mode_t before = ::umask(0177);
    server = builder.BuildAndStart();
    ::umask(before);
    if (!server || (socket_path.empty() && port == 0)) {
      return cannot_listen(config.listen_address, "gRPC did not say why");
    }
    if (front && tls_port == 0) return cannot_listen(config.tls_listen, "gRPC did not say why");
    if (!socket_path.empty() && ::chmod(socket_path.c_str(), 0600) != 0) {
      return errno_error("restricting " + socket_path, errno);
    }
    return {};
  }

  void stop() {
    if (stopping.exchange(true)) return;
    if (server) server->Shutdown(gpr_time_from_millis(0, GPR_TIMESPAN));
    if (server) server->Wait();
    const bool served = server != nullptr;
    server.reset();
    if (served && !socket_path.empty()) ::unlink(socket_path.c_str());
    caf::anon_send_exit(actors.runs, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(evaluations_handle, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(actors.dispatcher, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(refs_handle, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(store_handle, caf::exit_reason::user_shutdown);
  }

  coordinator_config config;
  locked_random random;
  environment env;
  refs::repository_places places;
  unique_fd lock;
  std::string socket_path;
  int port = 0;
  int tls_port = 0;
  std::atomic<bool> stopping{false};
  std::shared_ptr<health> well = std::make_shared<health>(config.state_dir);
  records::loaded loaded;
  std::unique_ptr<record_reader> reader;
  std::shared_ptr<refs::git_refs> repository;
  caf::actor_system_config caf_config;
  caf::actor_system system;
  store_actor store_handle;
  refs_actor refs_handle;
  evaluations_actor evaluations_handle;
  actor_handles actors;
  std::unique_ptr<people> desk;
  std::unique_ptr<tls_front> front;  // null: nobody dials from elsewhere
  std::unique_ptr<grpc::Service> fleet, control, enrolment;
  std::unique_ptr<grpc::Server> server;
};

coordinator_service::coordinator_service(std::unique_ptr<impl> started)
    : impl_(std::move(started)) {}
coordinator_service::~coordinator_service() {
  stop();
}

result<std::unique_ptr<coordinator_service>> coordinator_service::start(
    const coordinator_config& config, const clock& time, random_source& random) {
  GERMLINE_TRY(check_local_address(config.listen_address));
  if (!config.tls_listen.empty()) GERMLINE_TRY(check_tls_address(config.tls_listen));
  GERMLINE_TRY_ASSIGN(auto lock, lock_directory(config.state_dir));
  auto fresh = std::make_unique<impl>(config, time, random);
  fresh->lock = std::move(lock);
  auto service = std::unique_ptr<coordinator_service>(new coordinator_service(std::move(fresh)));
  impl& it = *service->impl_;
  GERMLINE_TRY(it.open_record());
  GERMLINE_TRY_ASSIGN(const std::string id, own_id(config.state_dir, it.env));
  GERMLINE_TRY(it.spawn_actors(id));
  GERMLINE_TRY(it.serve(id));
  log_info("coordinator {} listens on {}", id, service->address());
  if (it.front) log_info("and, over TLS, on {}", service->tls_address());
  return service;
}

std::string coordinator_service::address() const {
  const auto& listen = impl_->config.listen_address;
  return impl_->socket_path.empty() ? with_port(listen, impl_->port) : listen;
}

std::string coordinator_service::tls_address() const {
  return impl_->front ? with_port(impl_->config.tls_listen, impl_->tls_port) : "";
}

void coordinator_service::stop() {
  impl_->stop();
}

result<int> run_coordinator(const coordinator_config& config) {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &ends, nullptr) != 0) {
    return error(error_code::internal, "signals cannot be blocked");
  }
  static const system_clock_source time;
  static system_random random;
  raise_descriptor_limit();
  GERMLINE_TRY_ASSIGN(const auto service, coordinator_service::start(config, time, random));
  int signal = 0;
  ::sigwait(&ends, &signal);
  log_info("ending on signal {}", signal);
  service->stop();
  return 0;
}

}  // namespace germline
