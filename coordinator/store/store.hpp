// store: the coordinator's record in SQLite (WAL, synchronous=FULL, foreign keys). Every method
// that writes is one transaction: when it returned without error, its effect survives any crash;
// otherwise nothing of it is there. A fence is checked in the same transaction that uses it.
// Owns the database connection. One thread at a time: held by the store actor. For reading beside
// it see reader.hpp.
#pragma once

#include <memory>
#include <string>

#include "common/result.hpp"
#include "coordinator/store/records.hpp"

namespace germline {

class store {
 public:
  /// Opens or makes the record at `path` and migrates it.
  static result<std::unique_ptr<store>> open(const std::string& path);
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  result<void> create_run(const records::new_run& run);

  /// Records an attempt with a new fence and reserves its slice. What is returned is complete but
  /// for lease_ms. `resource_exhausted`: a budget leaves nothing to lease with.
  /// `failed_precondition`: the item has ended, or the fence is not newer than the last.
  /// `cancelled`: it is open, and nobody is to run it: what it starts from was killed, or its
  /// lineage drains.
  result<v1::Lease> grant(const records::grant_request& request);
  /// The attempt ended without a verdict: it is `lost`. Without a known cost its whole reservation
  /// counts as spent.
  result<void> lose(const records::attempt_loss& loss, std::int64_t now_ms);
  /// Ends the reservation of a killed attempt, in the same way.
  result<void> settle(const records::attempt_loss& loss, std::int64_t now_ms);

  /// The seed is founded or refused. `failed_precondition`: the fence does not stand.
  result<void> end_seed(const records::seed_end& end);
  /// By the run's strategy, from what the record has now; asked again, and nothing else having
  /// changed, the same. Where that wants a candidate measured first, the evaluation is made.
  result<records::parent> choose_parent(const records::parent_request& request);
  /// `failed_precondition`: its parent was chosen, and may not be one any more.
  result<void> begin_iteration(const records::new_iteration& begin);
  /// What the run's policy says of an ending of the lineage's live iteration, were it recorded now.
  /// Nothing is written.
  result<records::findings> judge_by_policy(const records::policy_request& request);
  /// An ending, and with `born` a birth: fence, ledger, generation and lineage in one. Whether what
  /// was born is to be measured: not where a generation of the run has its source and is measured.
  /// `failed_precondition`: the fence does not stand, or the lineage is killed.
  result<bool> end_iteration(const records::iteration_end& end);
  /// An evaluation is over, with a score or without. Whether `again` was made of the run's best.
  /// `failed_precondition`: the fence does not stand.
  result<bool> end_evaluation(const records::evaluation_end& end);
  /// Marks an attempt whose result was refused, without touching its item.
  result<void> refuse_result(const attempt_id& attempt, std::int64_t now_ms);

  /// A change of its state is put into the record with its time, as by all that write a lineage.
  result<void> save_lineage(const lineage::state& state, std::int64_t now_ms);
  /// The fence first: the lineage is killed, its live item ended, the fence advanced.
  result<void> kill_lineage(const lineage::state& killed, std::int64_t now_ms);
  /// The evaluations of a lineage that is retired, which stays so.
  result<void> kill_evaluations(const lineage_id& lineage, const std::string& why,
                                std::int64_t now_ms);
  /// The same for what of a run belongs to no lineage: the founding, and evaluations of the seed.
  result<void> kill_seed(const run_id& run, const std::string& why, std::int64_t now_ms);
  /// The generation that a rollback would go to. failed_precondition: it is no ancestor, or there
  /// is none.
  result<records::ancestor> ancestor_of(const records::ancestor_request& request);
  result<void> roll_back(const records::rollback& back);
  /// The lineage as it is recorded, with the generation as its head. not_found: no such generation.
  result<records::forked> fork(const records::new_fork& fork);
  /// What the lineages bore is no parent of others any more.
  result<void> bar_lineages(const records::bar_request& request);
  /// The generations of the clade are no parents of others any more, and are not measured; the
  /// lineages of it, as the record is at this moment. A lineage that waits for the founding is of
  /// its seed's.
  result<records::clade_lineages> bar_clade(const records::clade_kill& kill);
  /// failed_precondition: a worker has the iteration.
  result<void> drop_waiting(const records::dropped_iteration& drop);
  result<void> set_branch(const lineage_id& lineage, const std::string& commit);

  /// Keeps progress events, up to `limit` for each attempt; more are dropped. Sets the items'
  /// phases.
  result<void> add_events(const std::vector<v1::ProgressEvent>& events, int limit);

  /// The worker has joined, or is gone again. Keeps whether it is cordoned. Of more than a thousand
  /// the ones seen longest ago are forgotten, but for those that are cordoned.
  result<void> note_worker(const records::known_worker& worker);
  /// Whether it may be leased anything, until somebody says otherwise.
  result<void> cordon(const records::cordon& word);
  /// What the journals of a worker's gateway say of its attempts. Of one that was charged whole,
  /// since nobody knew what it had spent, that is charged in its place: no more than it held, and
  /// once, however often it is said. Of another worker's attempts, and of those whose end told what
  /// they spent, nothing is changed.
  result<records::late_accounts_taken> reconcile(const records::late_accounts& told);
  /// From the next lease on. not_found: no such run or lineage. failed_precondition: it is less
  /// than a run or lineage has spent and holds, or no limit for a run. The coordinator's may be
  /// any.
  result<void> set_budget(const records::budget_change& change);
  /// `text` is what was said at this start of what the whole coordinator may spend of it, as
  /// parse_spending_limit reads it. It is set where it is not what was said at the start before:
  /// what a person has set since then stands. Empty: nothing was said.
  result<void> configure_fleet_budget(unit of, const std::string& text);
  /// As it is then.
  result<dispatch::run_share> set_share(const records::share_change& change);

  /// Writes nothing of note: whether the record can be written.
  result<void> probe();

  /// What the dispatcher needs to lease an open item.
  result<dispatch::item_offer> offer_of(const item_id& item);
  /// Everything that goes on after a start.
  result<records::loaded> load();

 private:
  struct impl;
  explicit store(std::unique_ptr<impl> opened);
  std::unique_ptr<impl> impl_;
};

}  // namespace germline
