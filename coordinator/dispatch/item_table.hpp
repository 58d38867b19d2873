// item_table: the items of dispatch_state, with what finds them by attempt, worker, scope and turn,
// so that no event costs more with more items that it has nothing to do with. What it finds them
// by is changed through it alone. A plain value: part of dispatch_state, and held by the
// dispatcher alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/amount.hpp"
#include "common/ids.hpp"
#include "coordinator/dispatch/fair_shares.hpp"

namespace germline::dispatch {

/// What is asked to be leased. `scope` is what a kill names: the lineage, or the run of a found
/// item. A kill may name the item itself, too. `base_digest` is empty where any worker will do.
struct item_offer {
  item_id item;
  std::string scope;
  std::int64_t fence = 0;  // the last fence used; the next lease has a greater one
  int lost = 0;            // attempts lost so far
  std::string base_digest;
  std::vector<std::string> required_tags = {};  // sorted; a worker must have all of them
  std::string run = {};
  run_share share = {};  // of the run, where the dispatcher does not know better
  bool is_evaluation = false;
  bool has_choice = false;   // of models: another may be had where one cannot be served
  bool is_again = false;     // of a replay: what answers for its model is on some workers alone
  bool is_founding = false;  // no lineage waits for a person yet: it waits for a worker itself

  /// What a worker is remembered not to serve for now; empty: nothing is remembered.
  std::string served_as() const {
    if (is_again || is_founding) return item.str();
    return is_evaluation ? run : std::string();
  }

  bool operator==(const item_offer&) const = default;
};

enum class phase { queued, granting, leased, judging, killing };

class item_entry {
 public:
  explicit item_entry(item_offer asked) : offer(std::move(asked)) {}

  item_offer offer;  // of it only `fence` and `lost` change
  std::int64_t expires_ms = 0;
  std::int64_t named_ms = 0;   // when its worker last named it in a heartbeat
  std::optional<amount> cost;  // in `judging`: what the result says
  bool kill_when_granted = false;
  int failed_grants = 0;      // in a row
  int excused = 0;            // attempts that ended by a worker's own trouble
  std::string wait_for;       // in `queued`, after a failed grant or another's trouble
  int provider_failures = 0;  // attempts that ended so
  std::optional<std::int64_t> provider_failed_ms;  // when the first of them did
  slot_use use;                                    // in all phases but `queued`

  std::string id() const { return offer.item.str(); }
  phase at() const { return at_; }
  /// Of those of its run: first come, first leased.
  std::uint64_t order() const { return order_; }
  /// From `leased` on.
  const attempt_id& attempt() const { return attempt_; }
  /// From `granting` on.
  const std::string& worker() const { return worker_; }
  /// In `queued`: when it may be leased again.
  std::int64_t not_before_ms() const { return not_before_ms_; }

 private:
  friend class item_table;

  phase at_ = phase::queued;
  std::uint64_t order_ = 0;
  attempt_id attempt_;
  std::string worker_;
  std::int64_t not_before_ms_ = 0;
  bool is_ready_ = false;  // in `queued`: it is in its run's queue
};

class item_table {
 public:
  /// By item id.
  using map = std::map<std::string, item_entry>;
  /// The items of a run that may be leased now, the next one first. An evaluation comes before
  /// iterations of its run: they choose better once it is done, and where births outran their
  /// measuring it would never be caught up with.
  using queue = std::map<std::pair<bool, std::uint64_t>, std::string>;

  map::const_iterator begin() const { return items_.begin(); }
  map::const_iterator end() const { return items_.end(); }
  bool empty() const { return items_.empty(); }
  bool contains(const std::string& item) const { return items_.contains(item); }
  const item_entry& at(const std::string& item) const { return items_.at(item); }
  item_entry& at(const std::string& item) { return items_.at(item); }
  /// None: nullptr. An entry stays where it is until it is erased.
  item_entry* find(const std::string& item);
  item_entry* by_attempt(const std::string& attempt);
  /// What a kill that names `scope` means: the items of it, or the item. By id.
  std::vector<item_entry*> of_scope(const std::string& scope);
  std::vector<const item_entry*> of_scope(const std::string& scope) const;
  bool has_scope(const std::string& scope) const;
  /// Those in other phases than `queued` that hold a slot of `worker`. By id.
  const std::set<std::string>& held_by(const std::string& worker) const;
  const std::map<std::string, std::set<std::string>>& held() const { return held_; }
  /// By run; no queue is empty. What was to wait is in it once make_ready was told so.
  const std::map<std::string, queue>& queues() const { return queues_; }
  void make_ready(std::int64_t now_ms);

  /// In the phase `queued`, behind all others of its run. There must be none of the same id.
  item_entry& add(item_offer offer);
  void erase(const item_entry& entry);
  /// It has a slot, and leaves the queue.
  void hold(item_entry& entry, phase at, const std::string& worker);
  /// Between phases other than `queued`.
  void move_to(item_entry& entry, phase at);
  void name(item_entry& entry, const attempt_id& attempt);
  /// It is queued again at its former place, without attempt and worker.
  void release(item_entry& entry, std::int64_t not_before_ms);

  /// The ids of items that were erased since this was asked last.
  std::vector<std::string> take_erased() { return std::exchange(erased_, {}); }

 private:
  void enqueue(item_entry& entry);
  void dequeue(item_entry& entry);
  void forget_attempt(const item_entry& entry);
  void forget_worker(const item_entry& entry);

  map items_;
  std::map<std::string, std::string> attempts_;             // to items
  std::map<std::string, std::set<std::string>> scopes_;     // to items
  std::map<std::string, std::set<std::string>> held_;       // by worker
  std::map<std::string, queue> queues_;                     // by run
  std::set<std::pair<std::int64_t, std::string>> delayed_;  // by when they may be leased
  std::uint64_t next_order_ = 0;
  std::vector<std::string> erased_;
};

}  // namespace germline::dispatch
