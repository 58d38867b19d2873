// dispatch_state: which work item is leased to which worker, as a pure state machine. It knows
// fences, slots, leases and the proofs that a kill returns with. It is not an actor, does no I/O,
// reads no clock (every event carries `now_ms`, from clock::boot_ms) and makes no ids.
//
// One item at a time goes through
//   queued -> granting (being recorded) -> leased -> judging (its result is with its owner) -> gone
// and from any of these to `killing`, which ends only with a proof. A lease is granted again only
// after lease_ms + guard_ms without renewal, or after its worker said that all of it is gone.
// A plain value: held by the dispatcher alone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/ids.hpp"
#include "coordinator/dispatch/fair_shares.hpp"
#include "coordinator/dispatch/item_table.hpp"

namespace germline::dispatch {

/// An item whose worker failed at it is leased again only after a while, which doubles: so that a
/// worker in trouble has time to say so, and does not use up the item's attempts at once.
inline constexpr std::int64_t first_retry_ms = 500;
/// The same where a lease could not be recorded: until the record can be written.
inline constexpr std::int64_t longest_retry_ms = 30'000;
/// A worker that lacks the mirrors of a seed's [deps] is asked again when it joins, as it does with
/// new settings; and else after so long.
inline constexpr std::int64_t founding_retry_ms = 15 * 60'000;

/// For so long an evaluation is tried again whose model's provider is in trouble. After it such
/// attempts are lost as others are.
inline constexpr std::int64_t provider_patience_ms = 60 * 60'000;

/// When an item ends, its run mostly has another at once, of the same lineage or of what was born.
/// For so long its turn is kept, or a run with no more lineages than slots would have its part by
/// chance.
inline constexpr std::int64_t successor_wait_ms = 300;

struct timing {
  std::int64_t heartbeat_ms = 5'000;
  std::int64_t lease_ms = 20'000;
  std::int64_t guard_ms = 5'000;
  std::int64_t kill_wait_ms = 45'000;  // a kill without proof is answered so after this
  int lost_limit = 3;                  // after so many lost attempts an item is given up
};

enum class proof { nothing_ran, killed, lease_expired, none };

/// A killed attempt that is not known to be gone.
struct remaining_attempt {
  std::string attempt;
  std::string worker;
  bool connected = false;     // the worker is
  std::int64_t named_ms = 0;  // when it last said that it has the attempt; 0: never
};

/// How an attempt without an accepted result went.
struct departure {
  std::string why;             // for people
  std::optional<amount> cost;  // not known: its whole reservation counts as spent
  bool lasting = false;        // so would every further one, until a person mends it
  std::string trouble = {};    // its worker's own: it is no try of the item's
  bool no_provider = false;    // its model's provider is in trouble: neither is it
  bool by_gateway = false;     // with lasting: it is its worker's gateway that cannot serve it
};

// Events.
struct item_offered {
  item_offer offer;
};
/// Leaves the queue if it is not leased yet; otherwise nothing happens.
struct item_withdrawn {
  item_id item;
};
/// A person has given the run another share; what is leased goes on.
struct share_set {
  std::string run;
  run_share share;
};
/// At start: an attempt that the record says is leased (or was being killed).
struct lease_restored {
  item_offer offer;
  attempt_id attempt;
  std::string worker;
  bool killing = false;
  std::int64_t now_ms = 0;
};
struct worker_joined {
  std::string worker;
  std::string base_digest;
  int slots = 0;
  std::vector<std::string> running;
  std::int64_t now_ms = 0;
  std::vector<std::string> tags = {};  // sorted
  std::string version = {};
  std::string place = {};    // see why_not_taken
  std::string trouble = {};  // as in heartbeat
};
/// At start: a worker that the record knows, and that has not joined this coordinator yet.
struct worker_known {
  std::string worker;
  std::string base_digest;
  int slots = 0;
  std::int64_t last_seen_ms = 0;
  std::vector<std::string> tags;  // sorted
  std::string version;
  bool cordoned = false;
  std::string cordon_why;
  std::string place;
};
/// It is leased nothing more, whether it is here or not; or it is again. What it has goes on.
struct worker_cordoned {
  std::string worker;
  bool cordoned = false;
  std::string why;
};
struct worker_left {
  std::string worker;
};
struct heartbeat {
  std::string worker;
  std::vector<std::string> attempts;
  std::int64_t now_ms = 0;
  std::string trouble = {};  // what keeps the worker from taking leases; empty: nothing
};
struct grant_recorded {
  item_id item;
  attempt_id attempt;
  std::int64_t now_ms = 0;
};
/// `is_final`: it will never be, and the item leaves. Else the record could not be written, and it
/// is tried again after a while.
struct grant_refused {
  item_id item;
  bool is_final = true;
  std::string why = {};
  std::int64_t now_ms = 0;
};
/// Nothing at all is leased while `wait_for` is not empty; what is leased goes on.
struct leasing_held {
  std::string wait_for;
};
/// A worker reports a result only when nothing of the attempt is left, so a result is also the
/// proof that an attempt is gone.
struct result_arrived {
  std::string worker;
  std::string attempt;
  std::int64_t fence = 0;
  amount cost = {};
};
/// The owner's answer to `judge`. `is_final` is false where the result could not be recorded: the
/// attempt then counts as lost.
struct result_judged {
  item_id item;
  bool accepted = false;
  bool is_final = true;
  std::string why;
  std::int64_t now_ms = 0;
};
struct attempt_cleaned {
  std::string worker;
  std::string attempt;
  departure how;
  std::int64_t now_ms = 0;
};
struct kill_requested {
  std::string scope;
  std::int64_t now_ms = 0;
};
struct tick {
  std::int64_t now_ms = 0;
};

using event = std::variant<item_offered, item_withdrawn, share_set, lease_restored, worker_joined,
                           worker_known, worker_cordoned, worker_left, heartbeat, grant_recorded,
                           grant_refused, leasing_held, result_arrived, result_judged,
                           attempt_cleaned, kill_requested, tick>;

// Effects, in the order in which they are to be done.
/// Record a new attempt with this fence, then answer with grant_recorded or grant_refused.
struct record_grant {
  item_offer offer;  // with the new fence
  std::string worker;
};
struct send_lease {
  std::string worker;
  item_id item;
  attempt_id attempt;
};
struct send_welcome {
  std::string worker;
  std::vector<std::string> forget;
};
struct send_kill {
  std::string worker;
  std::string attempt;
};
struct judge {
  item_id item;
  attempt_id attempt;
};
struct reply_result {
  std::string worker;
  std::string attempt;
  bool accepted = false;
  std::string why;
};
struct record_lost {
  item_id item;
  attempt_id attempt;
  departure how;
  bool excused = false;  // it is no try of the item's
};
/// Too many attempts were lost; the item has left the dispatcher.
struct item_given_up {
  item_id item;
  std::string why;
};
/// No worker can serve it as things stand; the item has left the dispatcher, and is its owner's to
/// offer again.
struct item_held {
  item_id item;
  std::string why;
  std::string worker;
  bool by_gateway = false;
};
/// A killed attempt is known to be gone: its money can be settled.
struct attempt_gone {
  attempt_id attempt;
  departure how;
};
/// Every attempt of `scope` is gone. Once for each kill_requested that still waits.
struct kill_proved {
  std::string scope;
  proof how = proof::nothing_ran;
};

/// Something of `scope` may still run, and one who asked for the kill has waited for long enough:
/// the one who has waited longest. The kill itself goes on.
struct kill_unproved {
  std::string scope;
  std::vector<remaining_attempt> remaining;
};

using effect =
    std::variant<record_grant, send_lease, send_welcome, send_kill, judge, reply_result,
                 record_lost, item_given_up, item_held, attempt_gone, kill_proved, kill_unproved>;

struct worker_entry {
  std::string base_digest;
  int slots = 0;
  bool connected = false;
  std::int64_t last_seen_ms = 0;
  std::vector<std::string> tags;
  std::string version;
  bool cordoned = false;
  std::string cordon_why;
  std::string place;    // where it joined from; empty: it did not say
  std::string trouble;  // as it said last; while there is one it is leased nothing
};

/// That a worker could not serve an evaluation of a run, as it has no gateway, or no key or price
/// for the model. It is leased none of the run's until a while has passed, which doubles.
struct unserved {
  int times = 0;
  std::int64_t until_ms = 0;
  std::string why;
};

/// Items of a run that have ended, and whose successors are not offered yet.
struct expected_items {
  item_offer like;  // the last of them
  int count = 0;
  std::int64_t until_ms = 0;
};

struct pending_kill {
  proof how = proof::nothing_ran;
  std::deque<std::int64_t> asked_ms;  // of each kill_requested that waits for it, oldest first
};

struct state {
  timing times;
  item_table items;
  std::map<std::string, worker_entry> workers;
  std::map<std::string, pending_kill> kills;                            // by scope
  std::map<std::pair<std::string, std::string>, unserved> unserved_by;  // by run and worker
  fair_shares shares;
  std::map<std::string, expected_items> expected;  // by run
  std::string leases_wait_for;                     // empty: nothing is in the way of leases
  std::int64_t now_ms = 0;                         // of the newest event that said
};

/// Applies `what` to `current`, in place; returns what is to be done about it.
std::vector<effect> apply(state& current, const event& what);

/// Whether a worker that is connected has missed heartbeats. A stream may stand for long after its
/// worker was stopped or cut off; it is leased nothing until the next one, since that would only
/// cost the item an attempt.
bool is_silent(const state& current, const worker_entry& worker);

/// Whether a worker is here that would be leased it, had it a free slot.
bool has_fit_worker(const state& current, const item_offer& offer);

/// Why those workers that are here could not serve it, and are not leased it now; empty: some may.
std::string why_unserved(const state& current, const item_offer& offer);

/// Why a worker that joins from `place` is not taken; empty: it is. What is not named by who comes
/// from another place may run on at the former one: it is not lost before its lease is over, and
/// two that use one name must not take turns.
std::string why_not_taken(const state& current, const std::string& worker,
                          const std::string& place);

/// How many attempts hold a slot of `worker`.
int busy_slots(const state& current, const std::string& worker);

/// The attempts that `worker` has leased, those that are being killed or judged among them.
std::vector<std::string> attempts_of(const state& current, const std::string& worker);

}  // namespace germline::dispatch
