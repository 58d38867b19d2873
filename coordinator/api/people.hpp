// people: what control.proto's calls do, without gRPC: each is a function from a request to a reply
// or an error. They read through record_reader and act through the actors, waiting for their
// answers. Blocking: called from the server's handler threads, never from an actor.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "coordinator/api/waiting.hpp"
#include "coordinator/environment.hpp"
#include "coordinator/store/records.hpp"
#include "germline/v1/control.pb.h"

namespace caf {
class actor_system;
}

namespace germline {

class record_reader;
struct actor_handles;
struct kill_outcome;
struct kill_target;
class health;
struct fleet_status;
struct worker_needs;
namespace refs {
class git_refs;
}

class people {
 public:
  people(caf::actor_system& system, const actor_handles& actors, record_reader& reader,
         refs::git_refs& repository, environment env, std::string coordinator_id,
         std::int64_t kill_wait_ms, const health& well)
      : system_(system),
        actors_(actors),
        reader_(reader),
        repository_(repository),
        env_(env),
        coordinator_id_(std::move(coordinator_id)),
        kill_wait_ms_(kill_wait_ms),
        well_(well) {}

  result<v1::GetStatusReply> status();
  result<v1::HeldOut> put_held_out(const std::string& tar);
  result<v1::PutSeedReply> put_seed(const std::string& pack);
  result<v1::CreateRunReply> create_run(const v1::CreateRunRequest& request);
  result<v1::CreateRunReply> replay(const v1::ReplayRequest& request);
  result<v1::ListRunsReply> list_runs();
  result<v1::ListLineagesReply> list_lineages(const std::string& run);
  result<v1::GetTreeReply> tree(const v1::GetTreeRequest& request);
  result<v1::ShowReply> show(const std::string& target);
  result<v1::DiffReply> diff(const v1::DiffRequest& request);
  /// The pack that FetchGeneration sends.
  result<std::string> fetch_generation(const v1::FetchGenerationRequest& request);
  result<v1::KillReply> kill(const v1::KillRequest& request);
  result<v1::LineageReply> pause(const v1::LineageRequest& request);
  result<v1::LineageReply> resume(const v1::LineageRequest& request);
  result<v1::RollbackReply> rollback(const v1::RollbackRequest& request);
  result<v1::LineageReply> fork(const v1::ForkRequest& request);
  result<v1::LineageReply> retire(const v1::LineageRequest& request);
  result<v1::ScaleReply> scale(const v1::ScaleRequest& request);
  result<v1::Budgets> budgets(const std::string& target);
  result<v1::Budgets> set_budget(const v1::SetBudgetRequest& request);
  result<v1::SetShareReply> set_share(const v1::SetShareRequest& request);
  result<v1::TestPolicyReply> test_policy(const v1::TestPolicyRequest& request);
  result<v1::CordonReply> cordon(const v1::CordonRequest& request);

  /// Calls `emit` with each event of the target from the record on; with `follow` until the target
  /// ends. `emit` returns false to stop; an event without a kind only asks whether to go on.
  result<void> watch(const v1::WatchRequest& request,
                     const std::function<bool(const v1::WatchEvent&)>& emit);

 private:
  result<void> add_seed_of(const lineage_id& lineage, kill_target& target);
  result<kill_target> target_of(const v1::KillRequest& request);
  result<kill_target> seeds_left_by(const std::vector<kill_outcome>& outcomes,
                                    const kill_target& by);
  result<records::new_run> prepare_run(const v1::CreateRunRequest& request, const run_id& id);
  result<v1::RunPlan> plan_of(const records::new_run& run, int lineages);
  result<fleet_status> fleet();
  /// What keeps the coordinator, or a worker that has joined, from its work.
  std::vector<std::string> troubles_of(const fleet_status& known) const;
  waiting_teller waiting();
  void stop_adding();
  result<v1::KillReply> carry_out(const kill_target& target, bool all);
  result<void> add_lineages(const v1::RunInfo& run, int count, const std::string& why,
                            v1::ScaleReply& reply);
  result<void> kill_all(const std::vector<std::string>& lineages, const std::string& why,
                        v1::ScaleReply& reply);
  result<void> drain_all(const std::vector<std::string>& lineages, const std::string& why,
                         v1::ScaleReply& reply);
  result<lineage_id> lineage_of(const std::string& given);
  result<lineage_id> steered(const std::string& given, const std::string& why);
  result<generation_id> generation_of(const std::string& given, const std::string& what);
  result<std::string> commit_of(const std::string& id, std::string* parent);
  result<std::string> raw_commit_of(const v1::IterationInfo& iteration);
  result<std::string> context_at(const std::string& run, const std::string& commit);

  caf::actor_system& system_;
  const actor_handles& actors_;
  record_reader& reader_;
  refs::git_refs& repository_;
  environment env_;
  std::string coordinator_id_;
  std::int64_t kill_wait_ms_;  // for a proof, once the kill is recorded
  const health& well_;
  std::mutex scaling_;                    // one at a time: each counts what there is
  std::timed_mutex adding_;               // while a lineage is added
  std::atomic<std::uint64_t> kills_ = 0;  // that were asked for; whoever adds lineages stops then
};

}  // namespace germline
