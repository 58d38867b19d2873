// service: the whole coordinator in one object: record, repository, artefacts, actors, and the gRPC
// server in front of them. One process may hold one for each state directory; a second one for the
// same directory is refused. It listens on a Unix socket (0600, its owner's) or on loopback, and
// for other machines on one more address, with TLS and only for who has a certificate.
// Start and stop from one thread; everything else comes over the wire.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/amount.hpp"
#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "coordinator/dispatch/dispatch_state.hpp"

namespace germline {

struct coordinator_config {
  std::string state_dir;       // made when it is not there, 0700
  std::string listen_address;  // "unix:/path" or "127.0.0.1:PORT" (0: any free one)
  std::string tls_listen;      // "HOST:PORT" (0: any free one); empty: none
  std::string tls_dir;         // credentials that were brought along; empty: of an authority
  std::string pki_dir;         // of the authority; empty: state_dir/pki
  per_unit<std::string> fleet_budget;  // for parse_spending_limit; empty: as the record has it
  dispatch::timing times;              // heartbeats, leases, how long a kill waits for its proof
  // How often branches are compared to the record, and packs looked for that nobody waits for.
  std::int64_t look_ms = 5'000;
  int actor_threads = 2;
  int max_server_threads = 64;
};

class coordinator_service {
 public:
  /// Takes up the record and serves. Errors say what is wrong with the configuration or machine.
  /// REQUIRES that `time` and `random` outlive the service.
  static result<std::unique_ptr<coordinator_service>> start(const coordinator_config& config,
                                                            const clock& time,
                                                            random_source& random);
  ~coordinator_service();
  coordinator_service(const coordinator_service&) = delete;
  coordinator_service& operator=(const coordinator_service&) = delete;

  /// Where it listens, with the port that was taken.
  std::string address() const;
  /// The same of the TLS address; empty: there is none.
  std::string tls_address() const;
  /// Ends streams, then actors. What runs on workers goes on under its leases.
  void stop();

 private:
  struct impl;
  explicit coordinator_service(std::unique_ptr<impl> started);
  std::unique_ptr<impl> impl_;
};

/// Serves until SIGTERM or SIGINT; returns the exit code. REQUIRES to be called from the main
/// thread, before other threads are started.
result<int> run_coordinator(const coordinator_config& config);

}  // namespace germline
