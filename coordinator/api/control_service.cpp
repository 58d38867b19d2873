#include "coordinator/api/control_service.hpp"

#include "common/grpc_status.hpp"
#include "coordinator/api/gate.hpp"
#include "coordinator/api/people.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline {
namespace {

constexpr int max_watchers = 16;
constexpr std::size_t max_seed_bytes = 256 << 20;
constexpr std::size_t chunk_bytes = 1 << 20;

template <class Reply>
grpc::Status answer(result<Reply> outcome, Reply* reply) {
  if (!outcome) {
    // Inside it means that the disk is full, or such; at the wire that nobody answers here.
    const bool ours = outcome.error().code() == error_code::unavailable;
    return to_status(ours ? error(error_code::internal, outcome.error().message())
                          : outcome.error());
  }
  *reply = std::move(*outcome);
  return grpc::Status::OK;
}

class control_service final : public v1::Control::Service {
 public:
  control_service(people& people, const std::atomic<bool>& stopping, const gate* guard)
      : people_(people), stopping_(stopping), guard_(guard) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusReply* reply) override {
    return answer(people_.status(), reply);
  }
  grpc::Status PutSeed(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                       v1::PutSeedReply* reply) override {
    std::string pack;
    v1::SeedChunk chunk;
    while (stream->Read(&chunk)) {
      pack += chunk.data();
      if (pack.size() > max_seed_bytes) {
        return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the seed's history is larger than 256 MiB"};
      }
    }
    return answer(people_.put_seed(pack), reply);
  }
  grpc::Status PutHeldOut(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                          v1::HeldOut* reply) override {
    constexpr std::size_t max_tar_bytes = 32 << 20;  // headers and padding among it
    std::string tar;
    v1::SeedChunk chunk;
    while (stream->Read(&chunk)) {
      tar += chunk.data();
      if (tar.size() > max_tar_bytes) {
        return {grpc::StatusCode::RESOURCE_EXHAUSTED,
                "held-out files are at most 16 MiB and 1,000 files"};
      }
    }
    return answer(people_.put_held_out(tar), reply);
  }
  grpc::Status CreateRun(grpc::ServerContext* context, const v1::CreateRunRequest* request,
                         v1::CreateRunReply* reply) override {
    // The paths of this machine are not the business of who calls from another.
    if (caller_of(*context).is_remote && request->seed_id().empty()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "from elsewhere a seed is brought by PutSeed"};
    }
    return answer(people_.create_run(*request), reply);
  }
  grpc::Status Replay(grpc::ServerContext*, const v1::ReplayRequest* request,
                      v1::CreateRunReply* reply) override {
    return answer(people_.replay(*request), reply);
  }
  grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest*,
                        v1::ListRunsReply* reply) override {
    return answer(people_.list_runs(), reply);
  }
  grpc::Status ListLineages(grpc::ServerContext*, const v1::ListLineagesRequest* request,
                            v1::ListLineagesReply* reply) override {
    return answer(people_.list_lineages(request->run()), reply);
  }
  grpc::Status GetTree(grpc::ServerContext*, const v1::GetTreeRequest* request,
                       v1::GetTreeReply* reply) override {
    return answer(people_.tree(*request), reply);
  }
  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest* request,
                    v1::ShowReply* reply) override {
    return answer(people_.show(request->target()), reply);
  }
  grpc::Status Diff(grpc::ServerContext*, const v1::DiffRequest* request,
                    v1::DiffReply* reply) override {
    return answer(people_.diff(*request), reply);
  }
  grpc::Status FetchGeneration(grpc::ServerContext*, const v1::FetchGenerationRequest* request,
                               grpc::ServerWriter<v1::PackChunk>* stream) override {
    const auto pack = people_.fetch_generation(*request);
    if (!pack) return to_status(pack.error());
    v1::PackChunk piece;
    for (std::size_t at = 0; at < pack->size(); at += chunk_bytes) {
      piece.set_data(pack->substr(at, chunk_bytes));
      if (!stream->Write(piece)) return {grpc::StatusCode::CANCELLED, "the caller went away"};
    }
    return grpc::Status::OK;
  }
  grpc::Status Kill(grpc::ServerContext*, const v1::KillRequest* request,
                    v1::KillReply* reply) override {
    return answer(people_.kill(*request), reply);
  }
  grpc::Status Pause(grpc::ServerContext*, const v1::LineageRequest* request,
                     v1::LineageReply* reply) override {
    return answer(people_.pause(*request), reply);
  }
  grpc::Status Resume(grpc::ServerContext*, const v1::LineageRequest* request,
                      v1::LineageReply* reply) override {
    return answer(people_.resume(*request), reply);
  }
  grpc::Status Rollback(grpc::ServerContext*, const v1::RollbackRequest* request,
                        v1::RollbackReply* reply) override {
    return answer(people_.rollback(*request), reply);
  }
  grpc::Status Fork(grpc::ServerContext*, const v1::ForkRequest* request,
                    v1::LineageReply* reply) override {
    return answer(people_.fork(*request), reply);
  }
  grpc::Status Scale(grpc::ServerContext*, const v1::ScaleRequest* request,
                     v1::ScaleReply* reply) override {
    return answer(people_.scale(*request), reply);
  }
  grpc::Status SetShare(grpc::ServerContext*, const v1::SetShareRequest* request,
                        v1::SetShareReply* reply) override {
    return answer(people_.set_share(*request), reply);
  }
  grpc::Status GetBudgets(grpc::ServerContext*, const v1::GetBudgetsRequest* request,
                          v1::Budgets* reply) override {
    return answer(people_.budgets(request->target()), reply);
  }
  grpc::Status SetBudget(grpc::ServerContext*, const v1::SetBudgetRequest* request,
                         v1::Budgets* reply) override {
    return answer(people_.set_budget(*request), reply);
  }
  grpc::Status TestPolicy(grpc::ServerContext*, const v1::TestPolicyRequest* request,
                          v1::TestPolicyReply* reply) override {
    return answer(people_.test_policy(*request), reply);
  }
  grpc::Status Retire(grpc::ServerContext*, const v1::LineageRequest* request,
                      v1::LineageReply* reply) override {
    return answer(people_.retire(*request), reply);
  }
  grpc::Status Cordon(grpc::ServerContext*, const v1::CordonRequest* request,
                      v1::CordonReply* reply) override {
    return answer(people_.cordon(*request), reply);
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::WatchEvent>* stream) override {
    if (watchers_.fetch_add(1) >= max_watchers) {
      watchers_.fetch_sub(1);
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many watchers; try again later"};
    }
    const auto who = caller_of(*context);
    result<void> allowed;
    const auto ended = people_.watch(*request, [&](const v1::WatchEvent& event) {
      if (stopping_ || context->IsCancelled()) return false;
      // A certificate may be revoked, or be over, while somebody watches.
      if (guard_ != nullptr && who.certificate) {
        allowed = guard_->check_standing(*who.certificate);
        if (!allowed) return false;
      }
      return event.kind_case() == v1::WatchEvent::KIND_NOT_SET || stream->Write(event);
    });
    watchers_.fetch_sub(1);
    // Not the end of what is watched: who follows comes back.
    if (ended && stopping_) return {grpc::StatusCode::UNAVAILABLE, "the coordinator is ending"};
    return to_status(allowed ? ended : allowed);
  }

 private:
  people& people_;
  const std::atomic<bool>& stopping_;
  const gate* const guard_;
  std::atomic<int> watchers_{0};
};

}  // namespace

std::unique_ptr<grpc::Service> make_control_service(people& people,
                                                    const std::atomic<bool>& stopping,
                                                    const gate* guard) {
  return std::make_unique<control_service>(people, stopping, guard);
}

}  // namespace germline
