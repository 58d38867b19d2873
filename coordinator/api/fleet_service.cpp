#include "coordinator/api/fleet_service.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <deque>
#include <mutex>

#include "common/grpc_status.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/bulk_transfers.hpp"
#include "coordinator/api/gate.hpp"
#include "coordinator/api/session.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline {
namespace {

constexpr std::size_t max_outbox = 4'096;

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

class fleet_service final : public v1::Fleet::WithCallbackMethod_Join<v1::Fleet::Service> {
 public:
  fleet_service(caf::actor_system& system, dispatcher_actor dispatcher, const clock& time,
                record_reader& reader, refs::git_refs& repository,
                const refs::repository_places& places, const gate* guard)
      : system_(system),
        dispatcher_(std::move(dispatcher)),
        bulk_(time, reader, repository, places),
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
    return to_status(bulk_.fetch_objects(*context, *request, *stream));
  }
  grpc::Status FetchArtefact(grpc::ServerContext* context, const v1::FetchArtefactRequest* request,
                             grpc::ServerWriter<v1::Chunk>* stream) override {
    if (const auto own = check_speaks_for(caller_of(*context), request->worker_id()); !own) {
      return to_status(own);
    }
    return to_status(bulk_.fetch_artefact(*context, *request, *stream));
  }
  grpc::Status GetPutOffset(grpc::ServerContext* context, const v1::PutHeader* request,
                            v1::PutOffset* reply) override {
    if (const auto own = check_speaks_for(caller_of(*context), request->worker_id()); !own) {
      return to_status(own);
    }
    const auto offset = bulk_.put_offset(*request);
    if (!offset) return to_status(offset.error());
    reply->set_offset(*offset);
    return grpc::Status::OK;
  }
  grpc::Status PutObjects(grpc::ServerContext* context, grpc::ServerReader<v1::PutRequest>* stream,
                          v1::PutReply* reply) override {
    return put(*context, *stream, transfers::content_kind::pack, *reply);
  }
  grpc::Status PutArtefact(grpc::ServerContext* context, grpc::ServerReader<v1::PutRequest>* stream,
                           v1::PutReply* reply) override {
    return put(*context, *stream, transfers::content_kind::artefact, *reply);
  }

 private:
  grpc::Status put(grpc::ServerContext& context, grpc::ServerReader<v1::PutRequest>& stream,
                   transfers::content_kind kind, v1::PutReply& reply) {
    const auto id = bulk_.put(context, stream, kind);
    if (!id) return to_status(id.error());
    reply.set_id(*id);
    return grpc::Status::OK;
  }

  caf::actor_system& system_;
  dispatcher_actor dispatcher_;
  bulk_transfers bulk_;
  const gate* guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_fleet_service(caf::actor_system& system,
                                                  const actor_handles& actors, const clock& time,
                                                  record_reader& reader, refs::git_refs& repository,
                                                  const refs::repository_places& places,
                                                  const gate* guard) {
  return std::make_unique<fleet_service>(system, actors.dispatcher, time, reader, repository,
                                         places, guard);
}

}  // namespace germline
