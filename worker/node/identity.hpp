// identity: who a worker is to its coordinator: an id of its own making on one machine, and over
// TLS the name in its certificate, which it asks for with a join token, keeps in its state folder,
// and renews. Owns the folder's `tls`, and `tls-brought`, a copy of what was brought along, which
// leaves the worker's own alone. Blocks on disk and network.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"

namespace germline::worker {

struct worker_config;

/// Where the worker's credentials are, for endpoints.
std::string tls_folder_of(const worker_config& config);

/// While root still is: what was brought along is laid where the node, which is not root, can read
/// it. Does nothing where nothing was. invalid_argument: it is not a worker's.
result<void> take_credentials_along(const worker_config& config);

/// The worker's id; where it needs a certificate and has none that holds, it is asked for. Where it
/// has one and a token was given, it is looked whether the coordinator still takes that one; only
/// where it does not, the token is used. REQUIRES to be the node's own account by now.
result<std::string> identify(const worker_config& config, const clock& time);

/// For the log, what keeps this worker from its coordinator; empty: nothing, by now. Blocks.
std::string why_unreachable(const worker_config& config);
/// For the log of a worker that its coordinator refuses: what a person may do. Empty: nothing.
std::string way_back(const worker_config& config);

/// Looks soon after its start, and then every ten minutes, whether the certificate is to be
/// renewed, in a thread of its own. Does nothing for a worker that needs none, or brought its own
/// along.
class certificate_keeper {
 public:
  certificate_keeper(const worker_config& config, const clock& time, random_source& random);
  ~certificate_keeper();
  certificate_keeper(const certificate_keeper&) = delete;
  certificate_keeper& operator=(const certificate_keeper&) = delete;

 private:
  void keep();
  void look();

  const std::string address_, folder_;
  const clock& time_;
  random_source& random_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace germline::worker
