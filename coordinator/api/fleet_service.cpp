#include "coordinator/api/fleet_service.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <deque>
#include <mutex>

#include "common/artefact/artefact_store.hpp"
#include "common/artefact/tar.hpp"
#include "common/grpc_status.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/gate.hpp"
#include "coordinator/api/session.hpp"
#include "coordinator/durable_file.hpp"
#include "coordinator/store/reader.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline {
namespace {

constexpr std::size_t chunk_bytes = 1 << 20;
constexpr std::int64_t max_pack_bytes = 256 << 20;
constexpr std::int64_t max_artefact_bytes = 512 << 20;
constexpr std::size_t max_outbox = 4'096;
constexpr int max_wanted = 64;

class join_reactor;

/// The outbox between actors and one reactor. Outlives the reactor; then it swallows.
class stream_link final : public worker_link {
 public:
  explicit stream_link(join_reactor* reactor) : reactor_(reactor) {}

  void send(v1::CoordinatorMessage message) override;
  void read_more() override;
  void close(const std::string& why) override { end({grpc::StatusCode::FAILED_PRECONDITION, why}); }
  void end(const grpc::Status& status);
  void write_done(bool ok);
  void detach() {
    const std::lock_guard lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  std::mutex mutex_;
  join_reactor* reactor_;
  std::deque<v1::CoordinatorMessage> outbox_;  // the front is being written while writing_
  bool writing_ = false;
  bool finished_ = false;
};

class join_reactor final
    : public grpc::ServerBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage> {
 public:
  join_reactor(caf::actor_system& system, const dispatcher_actor& dispatcher, caller who,
               const gate* guard)
      : who_(std::move(who)),
        guard_(guard),
        link_(std::make_shared<stream_link>(this)),
        session_(system.spawn(session_behavior, worker_link_ptr(link_), dispatcher)) {
    StartRead(&incoming_);
  }

  void read_next() { StartRead(&incoming_); }

  void OnReadDone(bool ok) override {
    if (!ok) return link_->end(grpc::Status::OK);
    if (const auto allowed = check(incoming_); !allowed) return link_->end(to_status(allowed));
    auto message = std::make_shared<v1::WorkerMessage>();
    message->Swap(&incoming_);
    // From here on incoming_ must not be touched: the session may have armed the next read into it
    // before anon_send returns.
    caf::anon_send(session_, worker_message_ptr(std::move(message)));
  }
  void OnWriteDone(bool ok) override { link_->write_done(ok); }
  void OnCancel() override { link_->end(grpc::Status::CANCELLED); }
  void OnDone() override {
    link_->detach();
    caf::anon_send(session_, left_atom_v);
    delete this;
  }

 private:
  /// With each message: a certificate may be revoked, or be over, while a stream stands.
  result<void> check(const v1::WorkerMessage& message) const {
    if (who_.certificate && guard_ != nullptr) {
      GERMLINE_TRY(guard_->check_standing(*who_.certificate));
    }
    return message.has_hello() ? check_speaks_for(who_, message.hello().worker_id())
                               : result<void>();
  }

  const caller who_;
  const gate* const guard_;
  v1::WorkerMessage incoming_;
  std::shared_ptr<stream_link> link_;
  session_actor session_;
};

void stream_link::send(v1::CoordinatorMessage message) {
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr || finished_) return;
    if (outbox_.size() < max_outbox) {
      outbox_.push_back(std::move(message));
      if (!writing_) {
        writing_ = true;
        reactor_->StartWrite(&outbox_.front());
      }
      return;
    }
  }
  end({grpc::StatusCode::RESOURCE_EXHAUSTED, "the worker does not read what it is sent"});
}

void stream_link::read_more() {
  const std::lock_guard lock(mutex_);
  if (reactor_ != nullptr && !finished_) reactor_->read_next();
}

void stream_link::end(const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr || finished_) return;
  finished_ = true;
  reactor_->Finish(status);
}

void stream_link::write_done(bool ok) {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (!outbox_.empty()) outbox_.pop_front();
  if (reactor_ == nullptr || finished_ || !ok || outbox_.empty()) return;
  writing_ = true;
  reactor_->StartWrite(&outbox_.front());
}

/// Receives a whole PutRequest stream under bounds; returns its bytes once size and hash are right.
result<spool> receive(grpc::ServerReader<v1::PutRequest>& stream, const caller& who,
                      record_reader& reader, std::int64_t max_bytes, v1::PutHeader& header,
                      spool bytes) {
  v1::PutRequest request;
  if (!stream.Read(&request) || !request.has_header()) {
    return error(error_code::invalid_argument, "the first message must be the header");
  }
  header = request.header();
  GERMLINE_TRY(check_speaks_for(who, header.worker_id()));
  if (header.size_bytes() < 0 || header.size_bytes() > max_bytes) {
    return error(error_code::resource_exhausted,
                 "at most " + std::to_string(max_bytes) + " bytes are taken");
  }
  GERMLINE_TRY(attempt_id::parse(header.attempt_id()));
  GERMLINE_TRY_ASSIGN(const bool holds,
                      reader.holds_fence(header.attempt_id(), header.fence(), header.worker_id()));
  if (!holds) {
    return error(error_code::failed_precondition, "this attempt no longer holds the lease");
  }
  sha256 sum;
  while (stream.Read(&request)) {
    const auto& data = request.chunk().data();
    if (data.size() > chunk_bytes ||
        bytes.size() + static_cast<std::int64_t>(data.size()) > header.size_bytes()) {
      return error(error_code::resource_exhausted, "more bytes came than the header declares");
    }
    sum.update(data);
    GERMLINE_TRY(bytes.append(data));
  }
  if (bytes.size() != header.size_bytes() || sum.finish_hex() != header.sha256()) {
    return error(error_code::data_loss, "size or SHA-256 is not what the header declares");
  }
  return bytes;
}

grpc::Status send_chunks(grpc::ServerWriter<v1::Chunk>& stream, const std::string& bytes) {
  v1::Chunk chunk;
  for (std::size_t at = 0; at < bytes.size(); at += chunk_bytes) {
    chunk.set_data(bytes.substr(at, chunk_bytes));
    if (!stream.Write(chunk)) return {grpc::StatusCode::CANCELLED, "the worker went away"};
  }
  return grpc::Status::OK;
}

class fleet_service final : public v1::Fleet::WithCallbackMethod_Join<v1::Fleet::Service> {
 public:
  fleet_service(caf::actor_system& system, dispatcher_actor dispatcher, record_reader& reader,
                refs::git_refs& repository, refs::repository_places places, const gate* guard)
      : system_(system),
        dispatcher_(std::move(dispatcher)),
        reader_(reader),
        repository_(repository),
        places_(std::move(places)),
        guard_(guard) {}

  grpc::ServerBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage>* Join(
      grpc::CallbackServerContext* context) override {
    return new join_reactor(system_, dispatcher_, caller_of(*context),
                            guard_);  // deletes itself in OnDone
  }

  grpc::Status FetchObjects(grpc::ServerContext* context, const v1::FetchObjectsRequest* request,
                            grpc::ServerWriter<v1::Chunk>* stream) override {
    if (const auto own = check_speaks_for(caller_of(*context), request->worker_id()); !own) {
      return to_status(own);
    }
    if (request->want_size() == 0 || request->want_size() > max_wanted ||
        request->have_size() > max_wanted) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "1 to 64 commits may be wanted"};
    }
    const auto pack = repository_.make_pack({request->want().begin(), request->want().end()},
                                            {request->have().begin(), request->have().end()});
    return pack ? send_chunks(*stream, *pack) : to_status(pack.error());
  }

  grpc::Status PutObjects(grpc::ServerContext* context, grpc::ServerReader<v1::PutRequest>* stream,
                          v1::PutReply* reply) override {
    return to_status([&]() -> result<void> {
      GERMLINE_TRY_ASSIGN(const auto artefacts, artefact::artefact_store::open(places_.artefacts));
      GERMLINE_TRY_ASSIGN(auto into, artefacts.make_spool());
      v1::PutHeader header;
      GERMLINE_TRY_ASSIGN(auto pack, receive(*stream, caller_of(*context), reader_, max_pack_bytes,
                                             header, std::move(into)));
      GERMLINE_TRY_ASSIGN(const auto bytes, pack.view());
      GERMLINE_TRY(write_durably(refs::quarantined_pack(places_, header.attempt_id()), bytes));
      reply->set_id(header.sha256());
      return {};
    }());
  }

  grpc::Status FetchArtefact(grpc::ServerContext* context, const v1::FetchArtefactRequest* request,
                             grpc::ServerWriter<v1::Chunk>* stream) override {
    return to_status([&]() -> result<void> {
      GERMLINE_TRY(check_speaks_for(caller_of(*context), request->worker_id()));
      GERMLINE_TRY_ASSIGN(const auto artefacts, artefact::artefact_store::open(places_.artefacts));
      v1::Chunk chunk;
      return artefacts.write_tar(request->artefact_id(),
                                 [&](std::string_view bytes) -> result<void> {
                                   chunk.set_data(std::string(bytes));
                                   if (stream->Write(chunk)) return {};
                                   return error(error_code::cancelled, "the worker went away");
                                 });
    }());
  }

  grpc::Status PutArtefact(grpc::ServerContext* context, grpc::ServerReader<v1::PutRequest>* stream,
                           v1::PutReply* reply) override {
    return to_status([&]() -> result<void> {
      GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
      GERMLINE_TRY_ASSIGN(auto into, artefacts.make_spool());
      v1::PutHeader header;
      GERMLINE_TRY_ASSIGN(auto tar, receive(*stream, caller_of(*context), reader_,
                                            max_artefact_bytes, header, std::move(into)));
      GERMLINE_TRY_ASSIGN(const auto bytes, tar.view());
      GERMLINE_TRY_ASSIGN(const auto files, artefact::read_tar(bytes, {}, {}));
      GERMLINE_TRY_ASSIGN(*reply->mutable_id(), artefacts.put(files));
      return {};
    }());
  }

 private:
  caf::actor_system& system_;
  dispatcher_actor dispatcher_;
  record_reader& reader_;
  refs::git_refs& repository_;
  refs::repository_places places_;
  const gate* guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_fleet_service(caf::actor_system& system,
                                                  const actor_handles& actors,
                                                  record_reader& reader, refs::git_refs& repository,
                                                  const refs::repository_places& places,
                                                  const gate* guard) {
  return std::make_unique<fleet_service>(system, actors.dispatcher, reader, repository, places,
                                         guard);
}

}  // namespace germline
