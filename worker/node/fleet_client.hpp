// fleet_client: the worker's side of fleet.proto. One control stream that is dialled again with
// backoff and jitter when it breaks, and bulk transfers, each on a call of its own.
// It knows nothing of attempts; what messages mean is node_state's.
// Owns two threads (reader, writer). Callbacks come from the reader thread; `send` and the bulk
// calls may be made from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/grpc_tls.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "germline/v1/fleet.pb.h"
#include "worker/node/transport.hpp"

namespace germline::worker {

class fleet_client final : public transport {
 public:
  struct callbacks {
    std::function<void()> connected;
    std::function<void()> disconnected;
    std::function<void(const v1::CoordinatorMessage&)> message;
  };

  fleet_client(const endpoint& coordinator, random_source& random);
  ~fleet_client() override;
  fleet_client(const fleet_client&) = delete;
  fleet_client& operator=(const fleet_client&) = delete;

  /// Starts dialling. REQUIRES that it was not started before.
  void start(callbacks handlers);
  /// Ends the stream and the threads; no callback comes after it returned.
  void stop();

  /// Queues a message for the present stream. Messages queued while none stands are dropped: the
  /// node says what matters again on the next connect. At most 4,096 wait; beyond that progress is
  /// dropped and anything else breaks the stream.
  void send(v1::WorkerMessage message);

  result<void> fetch_objects(const std::string& worker_id, const std::vector<std::string>& want,
                             std::int64_t max_bytes, spool& into) override;
  result<void> fetch_artefact(const std::string& worker_id, const std::string& artefact_id,
                              std::int64_t max_bytes, spool& into) override;
  result<void> put_objects(const put_ticket& ticket, const std::string& pack) override;
  result<std::string> put_artefact(const put_ticket& ticket, std::string_view tar) override;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace germline::worker
