#include "worker/node/fleet_client.hpp"
#include "worker/node/wire_texts.hpp"

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
#include "common/hash.hpp"
#include "common/log.hpp"
#include "germline/v1/fleet.grpc.pb.h"
#include "worker/node/wire_texts.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;
constexpr std::size_t max_queued = 4'096;
constexpr auto bulk_deadline = std::chrono::minutes(2);
constexpr std::int64_t first_backoff_ms = 100;
constexpr std::int64_t last_backoff_ms = 5'000;

error failed_while(std::string_view doing, const grpc::Status& status) {
  return from_status(status).within(doing);
}

void set_deadline(grpc::ClientContext& context) {
  gpr_timespec span = gpr_time_from_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(bulk_deadline).count(), GPR_TIMESPAN);
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span));
}

/// Appends all chunks to `into`.
template <class Reader>
result<void> read_all(Reader& reader, grpc::ClientContext& context, std::int64_t max_bytes,
                      std::string_view doing, spool& into) {
  v1::Chunk chunk;
  while (reader.Read(&chunk)) {
    max_bytes -= static_cast<std::int64_t>(chunk.data().size());
    const auto taken = [&]() -> result<void> {
      if (max_bytes < 0) {
        return error(error_code::resource_exhausted, "more bytes came than the limit allows");
      }
      return into.append(chunk.data());
    }();
    if (!taken) {
      context.TryCancel();
      reader.Finish();
      return taken.error().within(doing);
    }
  }
  if (const auto status = reader.Finish(); !status.ok()) return failed_while(doing, status);
  return {};
}

template <class Writer>
void write_all(Writer& writer, const put_ticket& ticket, std::string_view bytes) {
  v1::PutRequest request;
  auto* header = request.mutable_header();
  header->set_worker_id(ticket.worker_id);
  header->set_attempt_id(ticket.attempt_id);
  header->set_fence(ticket.fence);
  header->set_sha256(sha256_hex(bytes));
  header->set_size_bytes(static_cast<std::int64_t>(bytes.size()));
  bool open = writer.Write(request);
  for (std::size_t at = 0; open && at < bytes.size(); at += chunk_bytes) {
    request.mutable_chunk()->set_data(std::string(bytes.substr(at, chunk_bytes)));
    open = writer.Write(request);
  }
  writer.WritesDone();
}

}  // namespace

struct fleet_client::impl {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Fleet::Stub> stub;
  random_source& random;
  callbacks handlers;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  bool standing = false;
  std::deque<v1::WorkerMessage> queue;
  grpc::ClientContext* context = nullptr;  // of the present stream
  std::string told;  // why there is no stream, as it was last told; empty: there was one since
  std::thread dialler;

  impl(const endpoint& coordinator, random_source& source) : random(source) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(8 << 20);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(last_backoff_ms));
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(first_backoff_ms));
    channel = coordinator.open(arguments);
    stub = v1::Fleet::NewStub(channel);
  }

  /// Writes what is queued until the stream ends.
  void write_loop(grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>& stream) {
    for (;;) {
      v1::WorkerMessage message;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stopping || !standing || !queue.empty(); });
        if (stopping || !standing) return;
        message = std::move(queue.front());
        queue.pop_front();
      }
      if (!stream.Write(message)) return;
    }
  }

  /// One stream from dialling to its end. True when the coordinator took it.
  bool converse() {
    grpc::ClientContext own;
    {
      const std::scoped_lock lock(mutex);
      if (stopping) return false;
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
      own.TryCancel();
      writer.join();
      handlers.disconnected();
    }
    own.TryCancel();
    const auto status = stream->Finish();
    const std::scoped_lock lock(mutex);
    context = nullptr;
    if (taken) told.clear();
    if (!stopping) tell(reached ? status : unreachable());
    return taken;
  }

  /// Why there is no stream, once for each reason. That it broke is told by the node.
  void tell(const grpc::Status& status) {
    if (status.ok() || status.error_code() == grpc::StatusCode::CANCELLED) return;
    if (status.error_message() == told) return;
    told = status.error_message();
    const bool away = status.error_code() == grpc::StatusCode::UNAVAILABLE;
    log_warning(
        "{}: {}",
        away ? "the coordinator cannot be reached" : "the coordinator does not take this worker",
        printable(told));
  }
  static grpc::Status unreachable() {
    return {grpc::StatusCode::UNAVAILABLE, "no connection, or no agreement on certificates"};
  }

  void dial_loop() {
    auto backoff_ms = first_backoff_ms;
    for (;;) {
      if (converse()) backoff_ms = first_backoff_ms;
      std::unique_lock lock(mutex);
      const auto wait_ms = random.below(static_cast<std::uint64_t>(backoff_ms)) + 1;
      changed.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping; });
      if (stopping) return;
      backoff_ms = std::min(backoff_ms * 2, last_backoff_ms);
    }
  }
};

fleet_client::fleet_client(const endpoint& coordinator, random_source& random)
    : impl_(std::make_unique<impl>(coordinator, random)) {}

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
    const std::scoped_lock lock(impl_->mutex);
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

result<void> fleet_client::fetch_objects(const std::string& worker_id,
                                         const std::vector<std::string>& want,
                                         std::int64_t max_bytes, spool& into) {
  grpc::ClientContext context;
  set_deadline(context);
  v1::FetchObjectsRequest request;
  request.set_worker_id(worker_id);
  for (const auto& id : want) request.add_want(id);
  auto reader = impl_->stub->FetchObjects(&context, request);
  return read_all(*reader, context, max_bytes, "fetching objects from the coordinator", into);
}

result<void> fleet_client::fetch_artefact(const std::string& worker_id,
                                          const std::string& artefact_id, std::int64_t max_bytes,
                                          spool& into) {
  grpc::ClientContext context;
  set_deadline(context);
  v1::FetchArtefactRequest request;
  request.set_worker_id(worker_id);
  request.set_artefact_id(artefact_id);
  auto reader = impl_->stub->FetchArtefact(&context, request);
  return read_all(*reader, context, max_bytes, "fetching an artefact from the coordinator", into);
}

result<void> fleet_client::put_objects(const put_ticket& ticket, const std::string& pack) {
  grpc::ClientContext context;
  set_deadline(context);
  v1::PutReply reply;
  auto writer = impl_->stub->PutObjects(&context, &reply);
  write_all(*writer, ticket, pack);
  if (const auto status = writer->Finish(); !status.ok()) {
    return failed_while("putting objects to the coordinator", status);
  }
  return {};
}

result<std::string> fleet_client::put_artefact(const put_ticket& ticket, std::string_view tar) {
  grpc::ClientContext context;
  set_deadline(context);
  v1::PutReply reply;
  auto writer = impl_->stub->PutArtefact(&context, &reply);
  write_all(*writer, ticket, tar);
  if (const auto status = writer->Finish(); !status.ok()) {
    return failed_while("putting the artefact to the coordinator", status);
  }
  return reply.id();
}

}  // namespace germline::worker
