// lineage_state: what one lineage does next, as a pure state machine: (state, event) -> (state,
// effects). It decides when an iteration begins, what an ending does to the head, when the lineage
// pauses, and when it is rolled back. It is not an actor, writes nothing, and knows neither workers
// nor git. A plain value: held by the lineage's actor, and written whole by the store with each
// transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/ids.hpp"

namespace germline::lineage {

enum class status { active = 1, paused = 2, killed = 3, retired = 4 };
enum class pause_reason {
  none = 0,
  person = 1,
  policy = 2,
  diverged = 3,
  budget = 4,
  approval = 5,
  done = 6,
  gateway = 7,
  worker = 8,
};
/// `scored` is an evaluation's, and no iteration's.
enum class ending {
  none = 0,
  evolved = 1,
  stalled = 2,
  rejected = 3,
  failed = 4,
  killed = 5,
  scored = 6,
};

/// What a rule of the run's policy does about a lineage, the mildest first.
enum class policy_action {
  none = 0,
  warn = 1,  // it is put into the record, and nothing else
  pause = 2,
  roll_back = 3,   // to the parent of the head
  kill = 4,        // the lineage
  kill_clade = 5,  // and all that descends from it
};

struct state {
  lineage_id id;
  status at = status::active;
  pause_reason why_paused = pause_reason::none;
  std::string details;            // why it is in this state, for people
  generation_id head_generation;  // empty until the seed is founded
  std::string head_commit;        // of the head generation, or of a context commit after it
  std::int64_t depth = 0;
  std::int64_t last_number = 0;  // the newest generation's number; never used again
  std::int64_t iterations_done = 0;
  std::int64_t max_iterations = 0;  // 0: no end
  int failures_in_row = 0;
  item_id live;           // the live iteration's item; empty when there is none
  bool unproven = false;  // the head was born, and every iteration that it carried has failed
  int own_failures = 0;   // of the agent itself, under this head; an unproven head's are in a row
  bool draining = false;  // it retires when its live iteration ends
  // What the run's policy decided and is not done yet: roll_back, kill or kill_clade. It is paused
  // while a kill is due; that of a clade stays due until all of the clade is killed.
  policy_action due = policy_action::none;
  std::string due_why;

  bool operator==(const state&) const = default;
};

/// After so many `failed` iterations in a row the lineage pauses for a person to look.
constexpr int failures_before_pause = 5;

/// After so many failures of its own a head that never carried an iteration to another ending is
/// rolled back.
constexpr int failures_before_rollback = 3;

// Events.
struct founded {
  generation_id generation;
  std::string commit;
};
struct seed_refused {
  std::string details;
};
/// Where an iteration starts from that is not the head: `commit` has the head and the generation as
/// its parents, and the generation's source and context.
struct new_parent {
  generation_id generation;
  std::string commit;
  std::int64_t depth = 0;
};
/// The item that begin_iteration asked for is recorded.
struct iteration_begun {
  item_id item;
  bool is_chosen = false;  // by a strategy, which judges by itself whether a generation is any good
  std::optional<new_parent> parent = std::nullopt;  // which is the head from now on
};
/// `commit` is the new head where there is one (evolved: the generation's; else the context's).
struct iteration_ended {
  ending how = ending::failed;
  std::string commit;
  generation_id generation;  // evolved only
  std::string reason;
  policy_action act = policy_action::none;  // that the run's policy takes for it
  std::string act_why;
  bool is_again = false;  // of a replay, whose record says what follows: failures have no effect
};
struct pause_requested {
  pause_reason why = pause_reason::person;
  std::string details;
};
struct resume_requested {
  std::string why;
};
struct kill_requested {
  std::string why;
};
/// The head is to be this ancestor of it from now on; `commit` has its source and the newest
/// context.
struct rolled_back {
  generation_id to;
  std::string commit;
  std::int64_t depth = 0;
  std::string details;
};
/// Of a paused lineage: its live iteration, which waited and was not leased, is ended in the
/// record.
struct waiting_dropped {};
/// The live iteration was not leased, and is ended in the record: nobody is to run it.
struct given_back {};
struct retire_requested {
  std::string why;
};
/// All of the clade that the run's policy killed is dead.
struct clade_killed {};
/// A worker has the live iteration: with its end the lineage retires.
struct drain_requested {
  std::string why;
};
/// The same where no worker has any: what waited is ended in the record.
struct drained {
  std::string why;
};

using event = std::variant<founded, seed_refused, iteration_begun, iteration_ended, pause_requested,
                           resume_requested, kill_requested, rolled_back, waiting_dropped,
                           given_back, retire_requested, drain_requested, drained, clade_killed>;

// Effects.
/// Record a work item of the next iteration, from the head, and offer it.
struct begin_iteration {};
/// Take the lineage back to the parent of its head.
struct roll_back {};
/// Have the lineage killed, or with all that descends from it: as the run's policy says.
struct kill_by_policy {
  bool clade = false;
};
/// Offer the live item to the dispatcher (again).
struct offer_item {};
/// Take the live item back if it is not leased.
struct withdraw_item {};
/// Bring the branch to the head.
struct project_branch {};
/// Prove that nothing runs.
struct prove_killed {};

using effect = std::variant<begin_iteration, roll_back, kill_by_policy, offer_item, withdraw_item,
                            project_branch, prove_killed>;

struct transition {
  state next;
  std::vector<effect> effects;
  std::string refused;  // not empty: the event does not fit the state; `next` is unchanged
};

transition apply(const state& current, const event& what);

/// Whether the head is to be rolled back before anything else begins.
bool must_roll_back(const state& s);
/// Why the lineage cannot be rolled back in this state; empty: it can.
std::string why_no_rollback(const state& s);
/// Whether the live iteration is not offered to any worker; one may still have it from before.
bool may_wait_withdrawn(const state& s);
/// Whether a failure for this reason says something of the agent.
bool is_agents_own(const std::string& reason);

/// What a lineage that was just loaded from the record has to do.
std::vector<effect> after_load(const state& loaded);

const char* to_string(status value);
const char* to_string(pause_reason value);
const char* to_string(ending value);
/// As people write it: "kill-clade".
const char* to_string(policy_action value);

}  // namespace germline::lineage
