#include "coordinator/store/store_actor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <cstdlib>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {
namespace {

using self_pointer = store_actor::stateful_pointer<store_actor_state>;

constexpr int events_per_attempt = 2'000;
constexpr std::size_t max_kept_events = 16'384;
constexpr auto look_interval = std::chrono::seconds(1);

/// For what only informs, or is written again later: the coordinator goes on without it.
caf::result<void> log_failure(const result<void>& outcome) {
  if (!outcome) log_error("the record could not be written: {}", outcome.error().message());
  return caf::unit;
}

/// Writes in order: what is owed first. A copy is held by each handler.
class writer {
 public:
  writer(self_pointer self, std::shared_ptr<health> well) : self_(self), well_(std::move(well)) {}

  template <class Work>
  std::invoke_result_t<Work> write(Work&& work) const {
    if (auto paid = pay(); !paid) return paid.error();
    auto outcome = work();
    note(outcome ? result<void>() : result<void>(outcome.error()));
    return outcome;
  }

  /// Once it can be done, where it cannot now.
  caf::result<void> write_surely(std::function<result<void>()> work) const {
    const auto outcome = write(work);
    if (outcome || !may_pass(outcome.error())) return reply(outcome);
    self_->state.owed.push_back(std::move(work));
    return caf::unit;
  }

  /// What does not fit is dropped: they only inform.
  void write_events(const std::vector<v1::ProgressEvent>& events) const {
    auto& kept = self_->state.events;
    for (const auto& event : events) {
      if (kept.size() < max_kept_events) kept.push_back(event);
    }
    static_cast<void>(pay());
  }

  /// Now and then: is there room, and can be written what could not?
  void look() const {
    well_->look();
    const bool owes = !self_->state.owed.empty() || !self_->state.events.empty();
    if (owes) static_cast<void>(pay());
    if (!owes && !well_->record_is_well()) note(self_->state.record->probe());
  }

 private:
  void note(const result<void>& outcome) const { well_->note_record(outcome); }

  result<void> pay() const {
    auto& s = self_->state;
    while (!s.owed.empty()) {
      const auto paid = s.owed.front()();
      note(paid);
      if (!paid && may_pass(paid.error())) return paid;
      if (!paid) {  // the record lacks what the others went on from
        log_error("store: {}; the coordinator ends, and goes on from its record",
                  paid.error().message());
        std::_Exit(1);
      }
      s.owed.pop_front();
    }
    if (s.events.empty()) return {};
    const auto told = s.record->add_events(s.events, events_per_attempt);
    note(told);
    if (!told && may_pass(told.error())) return told;
    if (!told) static_cast<void>(log_failure(told));
    s.events.clear();
    return {};
  }

  self_pointer self_;
  std::shared_ptr<health> well_;
};

}  // namespace

store_actor::behavior_type store_behavior(self_pointer self,
                                          std::shared_ptr<std::unique_ptr<store>> record,
                                          environment env, std::shared_ptr<health> well) {
  guard_actor(self);
  self->state.record = std::move(*record);
  store& db = *self->state.record;
  const auto now = [env] { return env.time->utc_ms(); };
  const writer to(self, std::move(well));
  self->send(self, tick_atom_v);
  // One transaction of the store, with its reply.
  const auto done = [to](auto work) { return reply(to.write(std::move(work))); };
  return {
      [&db, done](const records::new_run& run) { return done([&] { return db.create_run(run); }); },
      [&db, to](const records::grant_request& request) -> caf::result<lease_ptr> {
        auto lease = to.write([&] { return db.grant(request); });
        if (!lease) return to_caf(lease.error());
        return std::make_shared<const v1::Lease>(std::move(*lease));
      },
      [&db, now, to](lost_atom, const records::attempt_loss& loss) {
        return to.write_surely([&db, loss, at = now()] { return db.lose(loss, at); });
      },
      [&db, now, to](refused_atom, const attempt_id& attempt) {
        return log_failure(to.write([&] { return db.refuse_result(attempt, now()); }));
      },
      [&db, now, to](settle_atom, const records::attempt_loss& loss) {
        return to.write_surely([&db, loss, at = now()] { return db.settle(loss, at); });
      },
      [&db, done](const records::seed_end& end) { return done([&] { return db.end_seed(end); }); },
      [&db, done](const records::new_iteration& begin) {
        return done([&] { return db.begin_iteration(begin); });
      },
      [&db, done](const records::iteration_end& end) {
        return done([&] { return db.end_iteration(end); });
      },
      [&db](const records::policy_request& request) { return reply(db.judge_by_policy(request)); },
      [&db, done](const records::evaluation_end& end) {
        return done([&] { return db.end_evaluation(end); });
      },
      [&db, done](offer_atom, const item_id& item) {
        return done([&] { return db.offer_of(item); });
      },
      [&db, now, done](save_atom, const lineage::state& state) {
        return done([&] { return db.save_lineage(state, now()); });
      },
      [&db, now, done](kill_atom, const lineage::state& killed) {
        return done([&] { return db.kill_lineage(killed, now()); });
      },
      [&db, now, done](kill_atom, const lineage_id& lineage, const std::string& why) {
        return done([&] { return db.kill_evaluations(lineage, why, now()); });
      },
      [&db, now, done](kill_atom, const run_id& run, const std::string& why) {
        return done([&] { return db.kill_seed(run, why, now()); });
      },
      [&db](const records::ancestor_request& request) { return reply(db.ancestor_of(request)); },
      [&db, done](const records::rollback& back) {
        return done([&] { return db.roll_back(back); });
      },
      [&db, done](const records::new_fork& fork) { return done([&] { return db.fork(fork); }); },
      [&db, done](const records::clade_kill& kill) {
        return done([&] { return db.bar_clade(kill); });
      },
      [&db, done](const records::bar_request& request) {
        return done([&] { return db.bar_lineages(request); });
      },
      [&db](const records::parent_request& request) { return reply(db.choose_parent(request)); },
      [&db, done](const records::dropped_iteration& drop) {
        return done([&] { return db.drop_waiting(drop); });
      },
      [&db, to](const records::known_worker& worker) {
        return log_failure(to.write([&] { return db.note_worker(worker); }));
      },
      [&db, done](const records::cordon& word) { return done([&] { return db.cordon(word); }); },
      [&db, done](const records::share_change& change) {
        return done([&] { return db.set_share(change); });
      },
      [&db, done](const records::budget_change& change) {
        return done([&] { return db.set_budget(change); });
      },
      [&db, to](const records::late_accounts& told) -> caf::result<records::late_accounts_taken> {
        auto taken = to.write([&] { return db.reconcile(told); });
        if (!taken) return to_caf(taken.error());
        return std::move(*taken);
      },
      [&db, to](branch_atom, const lineage_id& lineage, const std::string& commit) {
        return log_failure(to.write([&] { return db.set_branch(lineage, commit); }));
      },
      [to](const event_batch& batch) { to.write_events(*batch); },
      [self, to](tick_atom) {
        to.look();
        self->delayed_send(self, look_interval, tick_atom_v);
      },
  };
}

}  // namespace germline
