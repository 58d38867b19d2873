// call_guard: ends a blocking gRPC call when its attempt is cancelled, or when no byte of it moves
// for too long. There is no limit for the whole: what is large takes its time on a slow link.
// Owns one thread as long as the call lasts; the rest belongs to the thread of the call.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

#include "common/result.hpp"

namespace germline::worker {

struct patience {
  std::chrono::milliseconds stall = std::chrono::seconds(30);
  /// For the coordinator's own work, before the first byte and after the last: packing, storing.
  std::chrono::milliseconds work = std::chrono::minutes(2);
};

class call_guard {
 public:
  /// REQUIRES that `context` outlives the guard.
  call_guard(grpc::ClientContext& context, std::stop_token cancelled, patience limits);
  ~call_guard();
  call_guard(const call_guard&) = delete;
  call_guard& operator=(const call_guard&) = delete;

  /// Bytes moved; more are to move.
  void moved();
  /// All bytes moved: the coordinator's answer is waited for.
  void awaits_answer();
  /// How the call ended, by what gRPC says of it and by why this ended it. A call that broke for
  /// any reason that is not in what was asked is `unavailable`.
  result<void> conclude(const grpc::Status& status);

 private:
  enum class ended { by_itself, stalled, cancelled };
  void watch(const std::stop_token& cancelled, patience limits);

  grpc::ClientContext& context_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t steps_ = 0;
  bool moving_ = false;
  bool over_ = false;
  ended how_ = ended::by_itself;
  std::thread watcher_;
};

}  // namespace germline::worker
