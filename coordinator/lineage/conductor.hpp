// conductor: carries out the transitions and effects of one lineage, one job at a time: the next
// waits until the record has answered. A part of the lineage's actor, whose state it works on: each
// handler holds a copy. conductor.cpp has the jobs' order and what is saved, ending.cpp what
// becomes of results, taking_back.cpp rollbacks and retirement. The actor's own thread alone.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/lineage/lineage_actor.hpp"

namespace germline {

class conductor {
 public:
  using self_pointer = lineage_actor::stateful_pointer<lineage_actor_state>;

  conductor(self_pointer self, lineage_config config) : self_(self), config_(std::move(config)) {}

  /// Runs `job` when nothing else is under way. The job must lead to exactly one done().
  void enqueue(std::function<void()> job) const;
  void done() const;
  /// At each check: what could not be stored before is tried again.
  void try_again() const;
  bool waits_for_storage() const { return self_->state.again != nullptr; }
  /// For people, who are not to wait behind it.
  error storage_error() const;

  void perform(const std::vector<lineage::effect>& effects) const;
  /// Applies `what` to the lineage, saves it, and does what follows. For events whose only trace is
  /// the lineage's row. `settle` gets the outcome.
  void change(const lineage::event& what, std::function<void(result<void>)> settle) const;
  /// The same of what nobody would ask for a second time: until it is saved.
  void change_surely(const lineage::event& what) const;

  void judge(const item_id& item, const result_ptr& result,
             caf::typed_response_promise<judgement> promise) const;
  void give_up(const item_id& item, const std::string& why) const;
  /// The live iteration is not to be run any more, and was not: it is no iteration of the
  /// lineage's.
  void give_back(const item_id& item, const std::string& why) const;
  void kill(const std::string& why, caf::typed_response_promise<kill_outcome> promise) const;
  /// By a person.
  void roll_back(const generation_id& to, const std::string& why,
                 std::function<void(result<void>)> settle) const;
  /// Final. The branch is brought to the head first: who retires has nobody left to do it later.
  void retire(const std::string& why, std::function<void(result<void>)> settle) const;
  /// Retires now, or with the end of the iteration that a worker has.
  void drain(const std::string& why, std::function<void(result<void>)> settle) const;
  /// Where the next parent could not be chosen yet.
  void choose_again() const;

  void project() const;

 private:
  /// Part of a job that failed for want of storage: it is tried again at the next check. `abandon`
  /// ends the job instead, where a kill wants to come first.
  void again_later(const caf::error& failure, std::function<void()> job,
                   std::function<void()> abandon) const;
  /// Goes on when no earlier request to move the branch is under way any more: with a kill's proof
  /// it must not move, and requests are dealt with one after the other.
  void once_the_branch_rests(std::function<void()> go_on) const;

  /// What is left to run of a lineage that retired.
  void kill_evaluations(const std::string& why,
                        caf::typed_response_promise<kill_outcome> promise) const;

  void start_next() const;
  /// The last of a job: applies `what`, saves the lineage, and does what follows.
  void save(const lineage::event& what, std::function<void(result<void>)> settle) const;
  void save_surely(const lineage::event& what) const;
  /// Of a job that gave way. Its turn comes after those that wait now.
  void enqueue_behind_kills(std::function<void()> job) const;

  /// Part of a job: goes on once no iteration waits that nobody runs. One that was offered to
  /// nobody when the lineage was paused would never end by itself.
  void drop_waiting(const std::string& why, std::function<void(result<void>)> settle,
                    std::function<void()> go_on) const;
  using reason_for = std::function<std::string(const records::ancestor&)>;
  /// The last of a job: the commit first, then the record; the branch follows from the record.
  void take_back(const generation_id& to, const reason_for& reason,
                 std::function<void(result<void>)> settle) const;
  void author_rollback(const records::ancestor& to, const std::string& why,
                       std::function<void(result<void>)> settle) const;
  void record_rollback(const records::ancestor& to, const std::string& why,
                       const std::string& commit, std::function<void(result<void>)> settle) const;

  void adopt(const lineage::transition& t) const;
  void one(const lineage::begin_iteration&) const;
  /// Parts of one job: the parent is chosen, the branch brought there, and the iteration recorded.
  void begin() const;
  void begin_from(const records::parent& parent) const;
  void show_inspirations(const lineage::iteration_begun& what, const records::parent& parent) const;
  void give_source(const lineage::iteration_begun& what, const records::parent& parent) const;
  void record_iteration(const lineage::iteration_begun& what, const records::parent& parent) const;
  void begin_later(const caf::error& failure) const;
  /// Others of a replay may wait for this lineage.
  void tell_others() const;
  void one(const lineage::roll_back&) const;
  void one(const lineage::kill_by_policy&) const;
  void one(const lineage::offer_item&) const;
  void one(const lineage::withdraw_item&) const;
  void one(const lineage::project_branch&) const { project(); }
  void one(const lineage::prove_killed&) const {}  // done by kill(), which has the promise

  /// Objects first, then the record; the branch follows from the record.
  void take_in(const item_id& item, const result_ptr& result,
               caf::typed_response_promise<judgement> promise) const;
  /// What the worker brought may be unfit to be stored; that the coordinator has no room is no
  /// fault of it.
  void store_objects(const refs::ingest_request& request, const records::verdict& verdict,
                     const std::optional<records::birth>& born,
                     const std::function<void(const judgement&)>& settle) const;
  /// The judgement is left for another time.
  void give_way(const caf::error& failure,
                const std::function<void(const judgement&)>& settle) const;
  /// Records an ending to which no worker's commit belongs: the context commit, from which the next
  /// generation learns of it, is authored here.
  void commit_own_context(records::verdict verdict,
                          std::function<void(const judgement&)> settle) const;
  /// What becomes of a result whose objects or artefact the coordinator cannot take.
  records::verdict unusable(records::verdict verdict, const std::string& why) const;
  records::birth make_birth(const v1::AttemptResult& result) const;
  void measure(const records::birth& born) const;
  /// What is to be recorded of an ending, complete but for what the last steps add: how much there
  /// is of it, and what the run's policy says.
  struct ended_iteration {
    records::verdict verdict;
    std::optional<records::birth> born;
    std::function<void(const judgement&)> settle;
    records::tree_sizes sizes = {};
    records::findings found = {};
  };
  using ended_ptr = std::shared_ptr<ended_iteration>;
  void commit(records::verdict verdict, std::optional<records::birth> born,
              std::function<void(const judgement&)> settle) const;
  void weigh(const ended_ptr& ended) const;
  void judge_by_policy(const ended_ptr& ended) const;
  void record(const ended_ptr& ended) const;

  void projected(const refs::project_request& request, const refs::projection& p) const;

  self_pointer self_;
  lineage_config config_;
};

}  // namespace germline
