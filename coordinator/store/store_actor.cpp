#include "coordinator/store/store_actor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {
namespace {

constexpr int events_per_attempt = 2'000;

/// For what only informs, or is written again later: the coordinator goes on without it.
caf::result<void> log_failure(const result<void>& outcome) {
  if (!outcome) log_error("the record could not be written: {}", outcome.error().message());
  return caf::unit;
}

}  // namespace

store_actor::behavior_type store_behavior(store_actor::stateful_pointer<store_actor_state> self,
                                          std::shared_ptr<std::unique_ptr<store>> record,
                                          environment env) {
  guard_actor(self);
  self->state.record = std::move(*record);
  store& db = *self->state.record;
  const auto now = [env] { return env.time->utc_ms(); };
  return {
      [&db](const records::new_run& run) { return reply(db.create_run(run)); },
      [&db](const records::grant_request& request) -> caf::result<lease_ptr> {
        auto lease = db.grant(request);
        if (!lease) return to_caf(lease.error());
        return std::make_shared<const v1::Lease>(std::move(*lease));
      },
      [&db, now](lost_atom, const records::attempt_loss& loss) {
        return reply(db.lose(loss, now()));
      },
      [&db, now](refused_atom, const attempt_id& attempt) {
        return log_failure(db.refuse_result(attempt, now()));
      },
      [&db, now](settle_atom, const records::attempt_loss& loss) {
        return reply(db.settle(loss, now()));
      },
      [&db](const records::seed_end& end) { return reply(db.end_seed(end)); },
      [&db](const records::new_iteration& begin) { return reply(db.begin_iteration(begin)); },
      [&db](const records::iteration_end& end) { return reply(db.end_iteration(end)); },
      [&db](offer_atom, const item_id& item) { return reply(db.offer_of(item)); },
      [&db, now](save_atom, const lineage::state& state) {
        return reply(db.save_lineage(state, now()));
      },
      [&db, now](kill_atom, const lineage::state& killed) {
        return reply(db.kill_lineage(killed, now()));
      },
      [&db, now](kill_atom, const run_id& run, const std::string& why) {
        return reply(db.kill_seed(run, why, now()));
      },
      [&db](const records::ancestor_request& request) { return reply(db.ancestor_of(request)); },
      [&db](const records::rollback& back) { return reply(db.roll_back(back)); },
      [&db](const records::new_fork& fork) { return reply(db.fork(fork)); },
      [&db](const records::dropped_iteration& drop) { return reply(db.drop_waiting(drop)); },
      [&db](branch_atom, const lineage_id& lineage, const std::string& commit) {
        return log_failure(db.set_branch(lineage, commit));
      },
      [&db](const event_batch& batch) {
        return log_failure(db.add_events(*batch, events_per_attempt));
      },
  };
}

}  // namespace germline
