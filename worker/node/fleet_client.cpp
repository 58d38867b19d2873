#include "worker/node/fleet_client.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/grpc_status.hpp"
#include "common/log.hpp"
#include "germline/v1/fleet.grpc.pb.h"
#include "worker/node/wire_texts.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_queued = 4'096;
constexpr std::int64_t first_backoff_ms = 100;
constexpr std::int64_t last_backoff_ms = 5'000;
/// Of who is refused, which only a person changes, or another certificate.
constexpr std::int64_t last_refused_backoff_ms = 60'000;
constexpr std::chrono::seconds last_words{3};

}  // namespace

struct fleet_client::impl {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Fleet::Stub> stub;
  random_source& random;
  callbacks handlers;

  std::mutex mutex;
  std::condition_variable changed;
  bool leaving = false;   // no other stream is begun; what is queued is still written
  bool stopping = false;  // nor that
  bool standing = false;
  std::deque<v1::WorkerMessage> queue;
  grpc::ClientContext* context = nullptr;  // of the present stream
  std::string told;      // why there is no stream, as it was last told; empty: there was one since
  bool refused = false;  // at the last dialling; the dialler's alone
  std::thread dialler;

  impl(std::shared_ptr<grpc::Channel> over, random_source& source)
      : channel(std::move(over)), stub(v1::Fleet::NewStub(channel)), random(source) {}

  /// Writes what is queued until the stream ends; who leaves ends it then.
  void write_loop(grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>& stream) {
    for (;;) {
      v1::WorkerMessage message;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return leaving || stopping || !standing || !queue.empty(); });
        if (stopping || !standing) return;
        if (queue.empty()) break;
        message = std::move(queue.front());
        queue.pop_front();
      }
      if (!stream.Write(message)) return;
    }
    stream.WritesDone();  // the coordinator ends the stream once it has read all
  }

  /// One stream from dialling to its end. True when the coordinator took it.
  bool converse() {
    grpc::ClientContext own;
    {
      const std::scoped_lock lock(mutex);
      if (leaving) return false;
      context = &own;
    }
    bool taken = false;
    auto stream = stub->Join(&own);
    const bool reached = channel->GetState(false) == GRPC_CHANNEL_READY ||
                         channel->WaitForConnected(gpr_time_from_millis(2'000, GPR_TIMESPAN));
    if (reached) {
      {
        const std::scoped_lock lock(mutex);
        queue.clear();
        standing = true;
      }
      handlers.connected();
      std::thread writer([&] { write_loop(*stream); });
      v1::CoordinatorMessage message;
      while (stream->Read(&message)) {
        taken = true;
        handlers.message(message);
      }
      {
        const std::scoped_lock lock(mutex);
        standing = false;
      }
      changed.notify_all();
      writer.join();  // what it writes fails, since the stream has ended
      handlers.disconnected();
    } else {
      own.TryCancel();
    }
    const auto ended = stream->Finish();
    const auto status = reached ? ended : unreachable();
    refused = status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
    const std::scoped_lock lock(mutex);
    context = nullptr;
    if (taken) told.clear();
    if (!leaving) tell(status);
    return taken;
  }

  /// Why there is no stream, once for each reason. That it broke is told by the node.
  void tell(const grpc::Status& status) {
    if (status.ok() || status.error_code() == grpc::StatusCode::CANCELLED) return;
    if (status.error_message() == told) return;
    told = status.error_message();
    const bool away = status.error_code() == grpc::StatusCode::UNAVAILABLE;
    log_warning(
        "{}: {}{}",
        away ? "the coordinator cannot be reached" : "the coordinator does not take this worker",
        printable(told), refused && !handlers.if_refused.empty() ? ". " + handlers.if_refused : "");
  }
  grpc::Status unreachable() const {
    const auto why = handlers.why_unreachable ? handlers.why_unreachable() : "";
    return {grpc::StatusCode::UNAVAILABLE,
            why.empty() ? "no connection, or no agreement on certificates" : why};
  }

  void dial_loop() {
    auto backoff_ms = first_backoff_ms;
    for (;;) {
      if (converse()) backoff_ms = first_backoff_ms;
      std::unique_lock lock(mutex);
      const auto wait_ms = random.below(static_cast<std::uint64_t>(backoff_ms)) + 1;
      changed.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return leaving; });
      if (leaving) return;
      backoff_ms = std::min(backoff_ms * 2, refused ? last_refused_backoff_ms : last_backoff_ms);
    }
  }
};

fleet_client::fleet_client(std::shared_ptr<grpc::Channel> channel, random_source& random)
    : impl_(std::make_unique<impl>(std::move(channel), random)) {}

fleet_client::~fleet_client() {
  stop();
}

void fleet_client::start(callbacks handlers) {
  GERMLINE_ASSERT(!impl_->dialler.joinable());
  impl_->handlers = std::move(handlers);
  impl_->dialler = std::thread([this] { impl_->dial_loop(); });
}

void fleet_client::stop() {
  {
    // What became of the last attempts is to arrive: nobody else knows it.
    std::unique_lock lock(impl_->mutex);
    impl_->leaving = true;
    impl_->changed.notify_all();
    impl_->changed.wait_for(lock, last_words, [this] { return !impl_->standing; });
    impl_->stopping = true;
    if (impl_->context != nullptr) impl_->context->TryCancel();
  }
  impl_->changed.notify_all();
  if (impl_->dialler.joinable()) impl_->dialler.join();
}

void fleet_client::send(v1::WorkerMessage message) {
  make_texts_valid(message);
  {
    const std::scoped_lock lock(impl_->mutex);
    if (!impl_->standing) return;
    if (impl_->queue.size() >= max_queued) {
      if (message.has_progress()) return;
      if (impl_->context != nullptr) impl_->context->TryCancel();
      return;
    }
    impl_->queue.push_back(std::move(message));
  }
  impl_->changed.notify_all();
}

}  // namespace germline::worker
