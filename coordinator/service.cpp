#include "coordinator/service.hpp"

#include <fcntl.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/log.hpp"
#include "common/unique_fd.hpp"
#include "common/unix_socket.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/control_service.hpp"
#include "coordinator/api/fleet_service.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/dispatch/dispatcher.hpp"
#include "coordinator/lineage/runs_actor.hpp"
#include "coordinator/refs/refs_actor.hpp"
#include "coordinator/store/reader.hpp"
#include "coordinator/store/store_actor.hpp"

namespace germline {
namespace {

constexpr int max_message_bytes = 4 << 20;
constexpr std::size_t max_socket_path_bytes = 107;

/// The path of a Unix socket; empty: a TCP address on loopback.
result<std::string> check_address(const std::string& address) {
  if (address.starts_with("unix:")) {
    const std::string path = address.substr(5);
    if (path.empty() || path.front() != '/' || path.size() > max_socket_path_bytes) {
      return error(error_code::invalid_argument,
                   "the socket's path must be absolute and at most 107 bytes: '" + address + "'");
    }
    return path;
  }
  const bool loopback = address.starts_with("127.0.0.1:") || address.starts_with("[::1]:") ||
                        address.starts_with("localhost:");
  if (!loopback) {
    return error(error_code::invalid_argument,
                 "without TLS the coordinator listens on a Unix socket or on loopback only, not on"
                 " '" +
                     address + "'");
  }
  const auto digits = std::string_view(address).substr(address.rfind(':') + 1);
  std::uint16_t port = 0;
  const auto* const end = digits.data() + digits.size();
  if (const auto [at, failed] = std::from_chars(digits.data(), end, port);
      failed != std::errc() || at != end) {
    return error(error_code::invalid_argument,
                 "'" + std::string(digits) + "' is no port, 0 to 65535, in '" + address + "'");
  }
  return std::string();
}

/// A socket that a dead coordinator left may be taken over; that of a living one, or of one that
/// this process may not ask, may not.
result<void> check_nobody_listens(const std::string& path) {
  const auto life = probe_unix_socket(path);
  if (life && *life != socket_life::alive) return {};
  return error(error_code::failed_precondition,
               (life ? "another coordinator listens on " + path
                     : path + " is another's: " + life.error().message()) +
                   "; end it, or give this one another socket by --coordinator or --listen");
}

error cannot_listen(const std::string& address, const std::string& why) {
  return {error_code::failed_precondition, "cannot listen on " + address + ": " + why};
}

/// Binds as gRPC will, which on failure says why in a dump of its own and to nobody else.
result<void> try_to_bind(const std::string& address, const std::string& socket_path) {
  if (!socket_path.empty()) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket_path.copy(at.sun_path, sizeof at.sun_path - 1);
    const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      return cannot_listen(address, std::strerror(errno));
    }
    ::unlink(socket_path.c_str());
    return {};
  }
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failed =
          ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &wanted, &found);
      failed != 0) {
    return cannot_listen(address, ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  int failure = 0;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    const unique_fd probe(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (probe) ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (probe && ::bind(probe.get(), each->ai_addr, each->ai_addrlen) == 0 &&
        ::listen(probe.get(), 1) == 0) {
      return {};
    }
    failure = errno;
  }
  return cannot_listen(address, std::strerror(failure));
}

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
    GERMLINE_TRY_ASSIGN(loaded, record->load());
    GERMLINE_TRY_ASSIGN(reader, record_reader::open(path));
    GERMLINE_TRY_ASSIGN(repository, refs::open_git_refs(places));
    store_handle = system.spawn<caf::detached>(
        store_behavior, std::make_shared<std::unique_ptr<store>>(std::move(record)), env);
    return {};
  }

  /// Starts the actors; returns once everything that was leased is in the dispatcher's hands.
  result<void> spawn_actors(const std::string& id) {
    const record_lookups lookups{
        [from = reader.get()](const std::string& attempt) { return from->is_leased(attempt); },
        [from = reader.get()] { return from->artefacts(); }};
    const std::chrono::milliseconds look(config.look_ms);
    refs_handle = system.spawn<caf::detached>(refs_behavior, repository, lookups, look);
    actors.dispatcher =
        system.spawn(dispatcher_behavior, dispatcher_config{env, store_handle, config.times, id});
    actors.runs = system.spawn(
        runs_behavior,
        runs_config{env, store_handle, refs_handle, actors.dispatcher, std::move(loaded), look});
    result<void> ready;
    const auto fail = [&](const caf::error& failure) { ready = from_caf(failure); };
    caf::scoped_actor self(system);
    self->request(actors.runs, caf::infinite, kill_atom_v, kill_target{})
        .receive([](const kill_outcomes&) {}, fail);
    self->request(actors.dispatcher, caf::infinite, status_atom_v)
        .receive([](const worker_statuses&) {}, fail);
    return ready;
  }

  result<void> serve(const std::string& id) {
    GERMLINE_TRY_ASSIGN(socket_path, check_address(config.listen_address));
    desk = std::make_unique<people>(system, actors, *reader, *repository, env, id,
                                    config.times.kill_wait_ms);
    fleet = make_fleet_service(system, actors, *reader, *repository, places);
    control = make_control_service(*desk, stopping);
    if (!socket_path.empty()) {
      GERMLINE_TRY(check_nobody_listens(socket_path));
      ::unlink(socket_path.c_str());
    }
    GERMLINE_TRY(try_to_bind(config.listen_address, socket_path));
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("coordinator");
    quota.SetMaxThreads(config.max_server_threads);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(max_message_bytes);
    builder.AddChannelArgument("grpc.so_reuseport", 0);
    builder.AddListeningPort(config.listen_address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(fleet.get());
    builder.RegisterService(control.get());
    const mode_t before = ::umask(0177);
    server = builder.BuildAndStart();
    ::umask(before);
    if (!server || (socket_path.empty() && port == 0)) {
      return cannot_listen(config.listen_address, "gRPC did not say why");
    }
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
  std::atomic<bool> stopping{false};
  records::loaded loaded;
  std::unique_ptr<record_reader> reader;
  std::shared_ptr<refs::git_refs> repository;
  caf::actor_system_config caf_config;
  caf::actor_system system;
  store_actor store_handle;
  refs_actor refs_handle;
  actor_handles actors;
  std::unique_ptr<people> desk;
  std::unique_ptr<grpc::Service> fleet, control;
  std::unique_ptr<grpc::Server> server;
};

coordinator_service::coordinator_service(std::unique_ptr<impl> started)
    : impl_(std::move(started)) {}
coordinator_service::~coordinator_service() {
  stop();
}

result<std::unique_ptr<coordinator_service>> coordinator_service::start(
    const coordinator_config& config, const clock& time, random_source& random) {
  GERMLINE_TRY(check_address(config.listen_address));
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
  return service;
}

std::string coordinator_service::address() const {
  const auto& listen = impl_->config.listen_address;
  if (!impl_->socket_path.empty()) return listen;
  return listen.substr(0, listen.rfind(':') + 1) + std::to_string(impl_->port);
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
  GERMLINE_TRY_ASSIGN(const auto service, coordinator_service::start(config, time, random));
  int signal = 0;
  ::sigwait(&ends, &signal);
  log_info("ending on signal {}", signal);
  service->stop();
  return 0;
}

}  // namespace germline
