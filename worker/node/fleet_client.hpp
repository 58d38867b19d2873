// fleet_client: the worker's side of fleet.proto's control stream, which is dialled again with
// backoff and jitter when it breaks, less and less often where it is refused. It knows nothing of
// attempts; what messages mean is node_state's. Bulk has a connection of its own (bulk_client).
// Owns two threads (reader, writer). Callbacks come from the reader thread; `send` may be called
// from any.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>

#include "common/assert.hpp"
#include "common/random.hpp"
#include "germline/v1/fleet.pb.h"

namespace germline::worker {

class fleet_client {
 public:
  struct callbacks {
    std::function<void()> connected;
    std::function<void()> disconnected;
    std::function<void(const v1::CoordinatorMessage&)> message;
    /// For people, where nothing could be reached; may block. Empty, or none: nothing is known.
    std::function<std::string()> why_unreachable;
    /// For people, what brings back a worker that is refused for good.
    std::string if_refused;
  };

  fleet_client(std::shared_ptr<grpc::Channel> channel, random_source& random);
  ~fleet_client();
  fleet_client(const fleet_client&) = delete;
  fleet_client& operator=(const fleet_client&) = delete;

  /// Starts dialling. REQUIRES that it was not started before.
  void start(callbacks handlers);
  /// Ends the stream, once what is queued was read at its other end (3 s at most), and the threads;
  /// no callback comes after it returned.
  void stop();

  /// Queues a message for the present stream. Messages queued while none stands are dropped: the
  /// node says what matters again on the next connect. At most 4,096 wait; beyond that progress is
  /// dropped and anything else breaks the stream.
  void send(v1::WorkerMessage message);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace germline::worker
