#include "worker/node/call_guard.hpp"

#include "common/grpc_status.hpp"

namespace germline::worker {

call_guard::call_guard(grpc::ClientContext& context, std::stop_token cancelled, patience limits)
    : context_(context),
      watcher_([this, cancelled = std::move(cancelled), limits] { watch(cancelled, limits); }) {}

call_guard::~call_guard() {
  {
    const std::scoped_lock lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

void call_guard::watch(const std::stop_token& cancelled, patience limits) {
  std::unique_lock lock(mutex_);
  while (!over_) {
    const auto seen = steps_;
    const auto limit = moving_ ? limits.stall : limits.work;
    const bool changed =
        changed_.wait_for(lock, cancelled, limit, [&] { return over_ || steps_ != seen; });
    if (over_ || (changed && !cancelled.stop_requested())) continue;
    how_ = cancelled.stop_requested() ? ended::cancelled : ended::stalled;
    context_.TryCancel();
    return;
  }
}

void call_guard::moved() {
  {
    const std::scoped_lock lock(mutex_);
    ++steps_;
    moving_ = true;
  }
  changed_.notify_all();
}

void call_guard::awaits_answer() {
  {
    const std::scoped_lock lock(mutex_);
    ++steps_;
    moving_ = false;
  }
  changed_.notify_all();
}

result<void> call_guard::conclude(const grpc::Status& status) {
  const std::scoped_lock lock(mutex_);
  over_ = true;
  if (status.ok()) return {};
  switch (how_) {
    case ended::cancelled:
      return error(error_code::cancelled, "the attempt was cancelled");
    case ended::stalled:
      return error(error_code::unavailable, "nothing moved for too long");
    case ended::by_itself:
      break;
  }
  // What gRPC says of calls whose connection or server went away, besides UNAVAILABLE.
  if (status.error_code() == grpc::StatusCode::CANCELLED ||
      status.error_code() == grpc::StatusCode::UNKNOWN) {
    return error(error_code::unavailable, status.error_message());
  }
  return from_status(status);
}

}  // namespace germline::worker
