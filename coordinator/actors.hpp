// Every typed actor interface of the coordinator, with its messages. Reads as its diagram:
//
//   worker ═stream═▶ session_actor ──────▶ dispatcher ◀── offers, kills ── lineage_actor
//                        ▲  what to send      │  ▲                            │  ▲  (one each)
//                        └────────────────────┘  └─ judge: result ────────────┘  │
//   people ─gRPC─▶ control handlers ──────▶ runs_actor ── founded, kill, pause ──┘
//                                             │
//             store_actor (detached: SQLite) ◀┴▶ refs_actor (detached: libgit2)
//
//   evaluations_actor owns what measures the generations, as a lineage does its iterations;
//   lineages and runs_actor name it what a birth brings, and it tells them when one is measured.
//
// Event-based actors never block; store and refs work in threads of their own. An error in a reply
// is a caf::error made by caf_error.hpp. Protos travel behind shared_ptr inside this process only;
// gRPC is the only wire.
#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/replies_to.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/refs/git_refs.hpp"
#include "coordinator/store/records.hpp"

namespace germline {

/// One worker's stream, as the actors see it. Implemented by the gRPC reactor, and in tests.
class worker_link {
 public:
  virtual ~worker_link() = default;
  /// Queues a message; never blocks. A link whose queue is full breaks its stream.
  virtual void send(v1::CoordinatorMessage message) = 0;
  /// The session has dealt with one message: the next may be read.
  virtual void read_more() = 0;
  /// Ends the stream.
  virtual void close(const std::string& why) = 0;
};

using worker_link_ptr = std::shared_ptr<worker_link>;
using worker_message_ptr = std::shared_ptr<const v1::WorkerMessage>;
using result_ptr = std::shared_ptr<const v1::AttemptResult>;
using lease_ptr = std::shared_ptr<const v1::Lease>;
using event_batch = std::shared_ptr<const std::vector<v1::ProgressEvent>>;

/// What the owner of an item made of a result.
struct judgement {
  bool accepted = false;
  bool is_final = true;  // false: it could not be recorded now
  std::string why;
};

/// How the kill of one lineage, or of a run's seed, was proved; or that it was not, in time.
struct kill_outcome {
  std::string scope;
  dispatch::proof how = dispatch::proof::nothing_ran;
  std::int64_t took_ms = 0;
  std::vector<dispatch::remaining_attempt> remaining;  // without proof; named_ms in UTC
};
using kill_outcomes = std::vector<kill_outcome>;

struct worker_status {
  std::string worker;
  std::string base_digest;
  bool connected = false;
  int slots = 0;
  int busy = 0;
  std::int64_t last_seen_ms_ago = 0;
  std::vector<std::string> tags;  // sorted
  std::string version;
  bool cordoned = false;
  std::string cordon_why;
  std::vector<std::string> attempts;  // that it has leased
  bool silent = false;                // connected, and not heard for a while
  std::string trouble;                // what keeps it from work, as it says
};
using worker_statuses = std::vector<worker_status>;

/// What the dispatcher tells of itself.
struct fleet_status {
  worker_statuses workers;
  std::string leases_wait_for;  // empty: nothing is in the way of leases
  std::map<std::string, std::string>
      held_back;  // by item: for what it waits though a worker is free
  // The run with the highest priority of those that wait for a slot; empty: none does.
  std::string first_run;
  int first_priority = 0;
};

struct kill_target {
  std::vector<run_id> runs;  // whose seed is to be killed too
  std::vector<lineage_id> lineages;
  std::optional<records::clade> clade;  // and all of it, with what is forked meanwhile
  std::string why;
};

}  // namespace germline

CAF_BEGIN_TYPE_ID_BLOCK(germline_coordinator, first_custom_type_id + 100)
CAF_ADD_ATOM(germline_coordinator, germline, offer_atom, "offer")
CAF_ADD_ATOM(germline_coordinator, germline, withdraw_atom, "withdraw")
CAF_ADD_ATOM(germline_coordinator, germline, restore_atom, "restore")
CAF_ADD_ATOM(germline_coordinator, germline, judge_atom, "judge")
CAF_ADD_ATOM(germline_coordinator, germline, given_up_atom, "givenup")
CAF_ADD_ATOM(germline_coordinator, germline, budget_atom, "budget")
CAF_ADD_ATOM(germline_coordinator, germline, held_atom, "held")
CAF_ADD_ATOM(germline_coordinator, germline, kill_atom, "kill")
CAF_ADD_ATOM(germline_coordinator, germline, lost_atom, "lost")
CAF_ADD_ATOM(germline_coordinator, germline, settle_atom, "settle")
CAF_ADD_ATOM(germline_coordinator, germline, refused_atom, "refused")
CAF_ADD_ATOM(germline_coordinator, germline, save_atom, "save")
CAF_ADD_ATOM(germline_coordinator, germline, branch_atom, "branch")
CAF_ADD_ATOM(germline_coordinator, germline, founded_atom, "founded")
CAF_ADD_ATOM(germline_coordinator, germline, pause_atom, "pause")
CAF_ADD_ATOM(germline_coordinator, germline, resume_atom, "resume")
CAF_ADD_ATOM(germline_coordinator, germline, rollback_atom, "rollback")
CAF_ADD_ATOM(germline_coordinator, germline, retire_atom, "retire")
CAF_ADD_ATOM(germline_coordinator, germline, drain_atom, "drain")
CAF_ADD_ATOM(germline_coordinator, germline, unwanted_atom, "unwanted")
CAF_ADD_ATOM(germline_coordinator, germline, scored_atom, "scored")
CAF_ADD_ATOM(germline_coordinator, germline, listen_atom, "listen")
CAF_ADD_ATOM(germline_coordinator, germline, check_atom, "check")
CAF_ADD_ATOM(germline_coordinator, germline, left_atom, "left")
CAF_ADD_ATOM(germline_coordinator, germline, tick_atom, "tick")
CAF_ADD_ATOM(germline_coordinator, germline, status_atom, "status")
CAF_END_TYPE_ID_BLOCK(germline_coordinator)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker_link_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker_message_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::result_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::lease_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::event_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::judgement)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::kill_outcome)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::kill_outcomes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::kill_target)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::fleet_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::run_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::lineage_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::generation_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::item_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::attempt_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::dispatch::item_offer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::lineage::state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::new_run)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::attempt_loss)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::grant_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::seed_end)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::new_iteration)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::parent_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::parent)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::policy_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::findings)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::iteration_end)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::evaluation_end)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::open_item)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::ancestor_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::ancestor)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::rollback)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::new_fork)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::forked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::dropped_iteration)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::known_worker)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::cordon)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::share_change)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::dispatch::run_share)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::budget_change)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::late_accounts)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::late_accounts_taken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::bar_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::clade_kill)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::records::clade_lineages)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::context_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::rollback_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::move_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::graft_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::size_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::sizes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::ingest_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::project_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::refs::projection)

namespace germline {

/// The record. Each message is one transaction of store.hpp; a reply without error is durable.
using store_actor = caf::typed_actor<
    caf::reacts_to<records::new_run>, caf::replies_to<records::grant_request>::with<lease_ptr>,
    caf::reacts_to<lost_atom, records::attempt_loss>, caf::reacts_to<refused_atom, attempt_id>,
    /// A killed attempt is gone: its reservation becomes spending.
    caf::reacts_to<settle_atom, records::attempt_loss>, caf::reacts_to<records::seed_end>,
    caf::reacts_to<records::new_iteration>,
    /// Whether what was born is to be measured.
    caf::replies_to<records::iteration_end>::with<bool>,
    /// What the run's policy says of an ending that is recorded next.
    caf::replies_to<records::policy_request>::with<records::findings>,
    /// Whether the run's best is to be measured again.
    caf::replies_to<records::evaluation_end>::with<bool>,
    /// The item's last fence and lost attempts, as the dispatcher needs them.
    caf::replies_to<offer_atom, item_id>::with<dispatch::item_offer>,
    caf::reacts_to<save_atom, lineage::state>, caf::reacts_to<kill_atom, lineage::state>,
    /// What a run, or a lineage that is retired, still has that may run.
    caf::reacts_to<kill_atom, run_id, std::string>,
    caf::reacts_to<kill_atom, lineage_id, std::string>,
    caf::replies_to<records::ancestor_request>::with<records::ancestor>,
    caf::reacts_to<records::rollback>, caf::replies_to<records::new_fork>::with<records::forked>,
    caf::replies_to<records::clade_kill>::with<records::clade_lineages>,
    caf::reacts_to<records::bar_request>,
    caf::replies_to<records::parent_request>::with<records::parent>,
    caf::reacts_to<records::dropped_iteration>, caf::reacts_to<records::known_worker>,
    caf::reacts_to<records::cordon>,
    caf::replies_to<records::share_change>::with<dispatch::run_share>,
    caf::reacts_to<records::budget_change>,
    /// What was charged whole, since nobody knew, is charged by what a worker's journals say.
    caf::replies_to<records::late_accounts>::with<records::late_accounts_taken>,
    caf::reacts_to<branch_atom, lineage_id, std::string>, caf::reacts_to<event_batch>,
    /// Looks at the disk, and writes what could not be written.
    caf::reacts_to<tick_atom>>;

/// The repository: brings objects in, moves branches behind the record.
using refs_actor =
    caf::typed_actor<caf::reacts_to<refs::ingest_request>,
                     /// The context commit's id.
                     caf::replies_to<refs::context_request>::with<std::string>,
                     /// The rollback commit's id.
                     caf::replies_to<refs::rollback_request>::with<std::string>,
                     /// The commit to go on from.
                     caf::replies_to<refs::move_request>::with<std::string>,
                     /// The commits' ids, in the order asked for.
                     caf::replies_to<refs::graft_request>::with<std::vector<std::string>>,
                     caf::replies_to<refs::size_request>::with<refs::sizes>,
                     caf::replies_to<refs::project_request>::with<refs::projection>,
                     /// Removes the packs of attempts that are over.
                     caf::reacts_to<tick_atom>>;

/// Who made an item: judges its results. Part of lineage_actor, runs_actor and evaluations_actor.
using item_owner = caf::typed_actor<
    /// A result for this item from the attempt that holds the lease; the worker's base digest.
    caf::replies_to<judge_atom, item_id, result_ptr, std::string>::with<judgement>,
    /// Too many attempts were lost; why, for people.
    caf::reacts_to<given_up_atom, item_id, std::string>,
    /// No worker can serve the item before a person mends what is said; and whether it is of a
    /// gateway.
    caf::reacts_to<held_atom, item_id, std::string, bool>,
    /// The item is open, and was not leased, since nobody is to run it any more; why, for people.
    caf::reacts_to<unwanted_atom, item_id, std::string>,
    /// The item could not be leased: what is left of the run's budget does not cover it; and why.
    caf::reacts_to<budget_atom, item_id, std::string>>;

/// Who is told that an evaluation ended. Part of runs_actor and lineage_actor.
using score_listener = caf::typed_actor<caf::reacts_to<scored_atom>>;

/// Owns evaluations: has them leased and records how they end.
using evaluations_actor = item_owner::extend<  /// One that was recorded.
    caf::reacts_to<offer_atom, item_id>,
    /// Of each that ends from now on the listener is told, once it is recorded.
    caf::reacts_to<listen_atom, score_listener>, caf::reacts_to<tick_atom>>;

/// One lineage. Alone writes its row in the record; deals with one thing at a time.
using lineage_actor =
    item_owner::extend<caf::reacts_to<founded_atom, generation_id, std::string>,
                       caf::reacts_to<refused_atom, std::string>,
                       /// Fences, then replies with proof, or after kill_wait_ms without one.
                       caf::replies_to<kill_atom, std::string>::with<kill_outcome>,
                       caf::reacts_to<pause_atom, std::string>,
                       caf::reacts_to<resume_atom, std::string>,
                       /// To an ancestor of the head, or, where it is empty, to the head's parent.
                       caf::reacts_to<rollback_atom, generation_id, std::string>,
                       caf::reacts_to<retire_atom, std::string>,
                       /// Retires it now, or with the end of the iteration that a worker has.
                       caf::reacts_to<drain_atom, std::string>,
                       /// If it waited for its newest generation to be measured, it may be now.
                       caf::reacts_to<scored_atom>,
                       /// Looks whether the branch is where the record says.
                       caf::reacts_to<check_atom>>;

/// Founds runs (judges found items) and knows every lineage's actor.
using runs_actor =
    item_owner::extend<caf::reacts_to<records::new_run>,
                       caf::replies_to<kill_atom, kill_target>::with<kill_outcomes>,
                       caf::reacts_to<pause_atom, lineage_id, std::string>,
                       caf::reacts_to<resume_atom, lineage_id, std::string>,
                       caf::reacts_to<rollback_atom, lineage_id, generation_id, std::string>,
                       /// Founds a lineage from a generation that is there.
                       caf::reacts_to<records::new_fork>,
                       /// After it the lineage has no actor.
                       caf::reacts_to<retire_atom, lineage_id, std::string>,
                       caf::reacts_to<drain_atom, lineage_id, std::string>,
                       /// Passed on to each lineage.
                       caf::reacts_to<scored_atom>, caf::reacts_to<tick_atom>>;

/// Leases items to workers. See dispatch/dispatch_state.hpp for what it decides.
using dispatcher_actor =
    caf::typed_actor<caf::reacts_to<offer_atom, dispatch::item_offer, item_owner>,
                     caf::reacts_to<withdraw_atom, item_id>,
                     /// At start: an attempt that was leased, or was being killed.
                     caf::reacts_to<restore_atom, records::open_item, item_owner>,
                     caf::replies_to<kill_atom, std::string>::with<kill_outcome>,
                     /// From a session: what its worker says. The link is how to answer.
                     caf::reacts_to<worker_message_ptr, worker_link_ptr, std::string>,
                     caf::reacts_to<left_atom, worker_link_ptr, std::string>,
                     /// Of a worker that is here or was. Recorded, when it replies.
                     caf::reacts_to<records::cordon>,
                     /// Recorded, and then it is so from the next lease on.
                     caf::reacts_to<records::share_change>,
                     /// Recorded. What waits for money is tried again within half a minute.
                     caf::reacts_to<records::budget_change>, caf::reacts_to<tick_atom>,
                     caf::replies_to<status_atom>::with<fleet_status>>;

/// One worker's stream: checks the order of messages and passes them on with credit.
using session_actor =
    caf::typed_actor<caf::reacts_to<worker_message_ptr>, caf::reacts_to<left_atom>>;

}  // namespace germline
