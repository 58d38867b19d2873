#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "coordinator/actors.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/api/waiting.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {
namespace {

constexpr auto poll_interval = std::chrono::milliseconds(200);
constexpr int events_per_poll = 256;
constexpr std::int64_t told_waiting_after_ms = 1'000;

/// One watcher: reads the record again and again and tells what is new. What it has not told yet is
/// in the record, so a slow watcher costs no memory and misses nothing.
class watcher {
 public:
  using emitter = std::function<bool(const v1::WatchEvent&)>;

  watcher(record_reader& reader, const clock& time, resolved_target target, emitter emit,
          waiting_teller::fleet_reader ask)
      : reader_(reader),
        time_(time),
        target_(std::move(target)),
        emit_(std::move(emit)),
        ask_fleet_(std::move(ask)) {}

  /// Tells what is new, of each lineage in the order in which it happened: an iteration's
  /// beginning, its events, its ending, and only then the next one's beginning; between them what
  /// happened to the lineage itself. False: the watcher has gone.
  result<bool> poll() {
    // Asked first: what is written meanwhile is told by this poll or the next.
    GERMLINE_TRY_ASSIGN(const auto version, reader_.version());
    if (std::exchange(version_, version) == version) return tell_waiting();
    bool more = true;
    while (more) {
      GERMLINE_TRY_ASSIGN(auto now,
                          reader_.watched(target_, last_event_, last_change_, events_per_poll));
      std::erase_if(now.iterations, [&](const auto& each) { return !concerns(each); });
      std::erase_if(now.lineages, [&](const auto& each) { return !concerns(each); });
      std::erase_if(now.evaluations, [&](const auto& each) { return !concerns(each); });
      more = static_cast<int>(now.events.size()) == events_per_poll;
      if (!tell(now, more)) return false;
      note_waiting(now);
      ended_ = has_ended(now.iterations, now.lineages) &&
               std::ranges::none_of(now.evaluations, [](const auto& each) {
                 return each.ending() == v1::ENDING_UNSPECIFIED;
               });
    }
    return tell_waiting();
  }

  bool ended() const { return ended_; }

 private:
  using kind = resolved_target::kind;

  bool concerns(const v1::IterationInfo& each) const {
    switch (target_.what) {
      case kind::run:
        return true;
      case kind::lineage:
        return each.lineage_id() == target_.id || each.lineage_id().empty();
      case kind::generation:
        return each.generation_id() == target_.id ||
               (is_evaluation(each) && each.parent_generation() == target_.id);
      case kind::item:
        return each.item_id() == target_.id;
      case kind::attempt:
        return std::any_of(each.attempts().begin(), each.attempts().end(),
                           [&](const auto& a) { return a.attempt_id() == target_.id; });
    }
    return false;
  }
  static bool is_evaluation(const v1::IterationInfo& each) {
    return each.kind() == v1::WORK_KIND_EVALUATE;
  }
  bool concerns(const v1::LineageInfo& each) const {
    return target_.what == kind::run ||
           (target_.what == kind::lineage && each.lineage_id() == target_.id);
  }

  /// `more`: of what follows some is not in `now`, so nothing is told but its events and what went
  /// before them.
  bool tell(const watched_part& now, bool more) {
    gather(now, more);
    return tell_gathered();
  }

  /// Of each lineage in its order.
  void gather(const watched_part& now, bool more) {
    const auto places = places_of(now.iterations);
    auto change = now.changes.begin();
    const auto tell_changes_before = [&](std::int64_t event) {
      for (; change != now.changes.end() && change->after_event < event; ++change) {
        tell_change(places, *change);
      }
    };
    for (const auto& stored : now.events) {
      tell_changes_before(stored.seq);
      const auto& its = places.at(stored.item);
      tell_beginning(places, its, begun_by(*its.self, stored.event.attempt_id()));
      tell_event(stored);
      last_event_ = stored.seq;
    }
    if (more) return;
    tell_changes_before(std::numeric_limits<std::int64_t>::max());
    for (const auto& each : now.iterations) {
      tell_beginning(places, places.at(each.item_id()), each.attempts_size());
      tell_ending(each);
    }
    for (const auto& each : now.evaluations) tell_score(each);
  }

  /// Tells what was gathered: of lineages beside each other by its times, of each in its order,
  /// whatever clocks the times come from.
  bool tell_gathered() {
    auto all = std::exchange(gathered_, {});
    // The founding is of all lineages, and before them all.
    const auto founding = std::find_if(all.rbegin(), all.rend(), [](const auto& each) {
      return each.lineage_id().empty() && !is_evaluation(each.iteration());
    });
    std::map<std::string, std::int64_t> newest_ms;  // by lineage, or evaluation
    std::vector<std::pair<std::int64_t, const v1::WatchEvent*>> by_time;
    const auto first = founding.base();
    for (auto each = first; each != all.end(); ++each) {
      // What is measured goes on beside its lineage.
      auto& its_ms = newest_ms[is_evaluation(each->iteration()) ? each->iteration().item_id()
                                                                : each->lineage_id()];
      its_ms = std::max(its_ms, each->time_ms());
      by_time.emplace_back(its_ms, &*each);
    }
    std::stable_sort(by_time.begin(), by_time.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    return std::all_of(all.begin(), first, emit_) &&
           std::all_of(by_time.begin(), by_time.end(),
                       [&](const auto& each) { return emit_(*each.second); });
  }

  /// How many attempts have begun when `attempt` says something.
  static int begun_by(const v1::IterationInfo& each, const std::string& attempt) {
    const auto& all = each.attempts();
    const auto its = std::find_if(all.begin(), all.end(),
                                  [&](const auto& a) { return a.attempt_id() == attempt; });
    return static_cast<int>(its - all.begin()) + (its == all.end() ? 0 : 1);
  }

  /// Of the iterations that have waited for a while: for what, and again when that changes, which
  /// the record does not show.
  bool tell_waiting() {
    std::optional<result<fleet_status>> fleet;
    return std::all_of(waiting_.begin(), waiting_.end(), [&](auto& entry) {
      auto& each = entry.second;
      if (time_.utc_ms() - each.since_ms < told_waiting_after_ms) return true;
      if (!fleet) fleet = ask_fleet_();
      const auto why =
          *fleet ? waits_for(**fleet, each.iteration.item_id(), each.needs) : "a worker";
      if (std::exchange(each.told, why) == why) return true;
      v1::WatchEvent event;
      *event.mutable_iteration() = each.iteration;
      event.mutable_iteration()->set_waits_for(why);
      event.set_lineage_id(each.iteration.lineage_id());
      event.set_time_ms(time_.utc_ms());
      return emit_(event);
    });
  }

  void note_waiting(const watched_part& now) {
    for (const auto& each : now.iterations) {
      if (!waits(now, each)) {
        waiting_.erase(each.item_id());
        continue;
      }
      auto since_ms = each.started_ms();
      for (const auto& attempt : each.attempts()) {
        since_ms = std::max(since_ms, attempt.ended_ms());
      }
      auto& noted = waiting_[each.item_id()];
      if (std::exchange(noted.since_ms, since_ms) != since_ms) noted.told.clear();
      noted.iteration = each;
      noted.needs = now.needs;
      if (each.kind() == v1::WORK_KIND_FOUND) noted.needs.base_digest.clear();
    }
  }

  bool waits(const watched_part& now, const v1::IterationInfo& each) const {
    if (!is_unleased(each)) return false;
    const auto goes_on = [&](const auto& lineage) {
      const bool its = each.lineage_id().empty() || each.lineage_id() == lineage.lineage_id();
      return its && lineage.state() == v1::LINEAGE_STATE_ACTIVE;
    };
    return std::any_of(now.lineages.begin(), now.lineages.end(), goes_on) ||
           target_.what == kind::item;
  }

  void tell_event(const stored_event& stored) {
    v1::WatchEvent event;
    *event.mutable_progress() = stored.event;
    event.set_lineage_id(stored.lineage);
    event.set_time_ms(stored.event.time_ms());
    gathered_.push_back(std::move(event));
  }

  struct waiting {
    v1::IterationInfo iteration;
    worker_needs needs;
    std::int64_t since_ms = 0;
    std::string told;  // for what it waits
  };

  /// An iteration, and the one that went before it in its lineage.
  struct place {
    const v1::IterationInfo* self = nullptr;
    const v1::IterationInfo* before = nullptr;
  };
  using place_map = std::map<std::string, place>;  // by item

  /// `iterations` are in the order in which they began.
  static place_map places_of(const std::vector<v1::IterationInfo>& iterations) {
    place_map places;
    std::map<std::string, const v1::IterationInfo*> newest;  // by lineage
    const v1::IterationInfo* founding = nullptr;             // is of all lineages
    for (const auto& each : iterations) {
      auto& before = newest.try_emplace(each.lineage_id(), founding).first->second;
      places[each.item_id()] = {&each, before};
      before = &each;
      if (each.lineage_id().empty()) founding = &each;
    }
    return places;
  }

  /// The first `attempts` beginnings of an iteration, after all that went before in its lineage.
  void tell_beginning(const place_map& places, const place& wanted, int attempts) {
    std::vector<const v1::IterationInfo*> untold;
    for (const auto* at = wanted.before; at != nullptr; at = places.at(at->item_id()).before) {
      if (ended_items_.contains(at->item_id())) break;
      untold.push_back(at);
    }
    for (auto each = untold.rbegin(); each != untold.rend(); ++each) {
      tell_ending(**each);
    }
    tell_attempts(*wanted.self, attempts);
  }

  /// An iteration begins when an attempt of it is leased, and again with each further one.
  void tell_attempts(const v1::IterationInfo& each, int wanted) {
    for (int& told = attempts_[each.item_id()]; told < wanted; ++told) {
      v1::WatchEvent event;
      auto& beginning = *event.mutable_iteration();
      beginning.set_item_id(each.item_id());
      beginning.set_lineage_id(each.lineage_id());
      beginning.set_parent_generation(each.parent_generation());
      beginning.set_number(each.number());
      beginning.set_kind(each.kind());
      beginning.set_started_ms(each.started_ms());
      for (int i = 0; i <= told; ++i) *beginning.add_attempts() = each.attempts(i);
      auto& newest = *beginning.mutable_attempts(told);
      newest.set_state(v1::ATTEMPT_STATE_LEASED);
      newest.clear_ended_ms();
      newest.clear_details();
      event.set_lineage_id(each.lineage_id());
      event.set_time_ms(newest.leased_ms());
      gathered_.push_back(std::move(event));
    }
  }

  void tell_ending(const v1::IterationInfo& each) {
    if (each.ending() == v1::ENDING_UNSPECIFIED) return;
    if (!ended_items_.insert(each.item_id()).second) return;
    tell_attempts(each, each.attempts_size());
    v1::WatchEvent event;
    *event.mutable_iteration() = each;
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(each.ended_ms() != 0 ? each.ended_ms() : each.started_ms());
    gathered_.push_back(std::move(event));
  }

  /// Of an evaluation only its ending is told.
  void tell_score(const v1::IterationInfo& each) {
    if (each.ending() == v1::ENDING_UNSPECIFIED) return;
    if (!ended_items_.insert(each.item_id()).second) return;
    v1::WatchEvent event;
    *event.mutable_iteration() = each;
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(each.ended_ms());
    gathered_.push_back(std::move(event));
  }

  void tell_change(const place_map& places, const stored_change& each) {
    const auto& newest = places.at(each.item);
    const auto& attempts = newest.self->attempts();
    const auto begun = std::count_if(attempts.begin(), attempts.end(), [&](const auto& attempt) {
      return attempt.leased_ms() <= each.at_ms;
    });
    tell_beginning(places, newest, static_cast<int>(begun));
    if (each.item_ended) tell_ending(*newest.self);
    last_change_ = each.seq;
    v1::WatchEvent event;
    *event.mutable_lineage() = each.change;
    event.set_lineage_id(each.lineage);
    event.set_time_ms(each.at_ms);
    gathered_.push_back(std::move(event));
  }

  bool has_ended(const std::vector<v1::IterationInfo>& iterations,
                 const std::vector<v1::LineageInfo>& lineages) const {
    const auto runs = [](const v1::IterationInfo& each) {
      return each.ending() == v1::ENDING_UNSPECIFIED &&
             std::any_of(each.attempts().begin(), each.attempts().end(),
                         [](const auto& a) { return a.state() == v1::ATTEMPT_STATE_LEASED; });
    };
    if (target_.what == kind::run || target_.what == kind::lineage) {
      return std::none_of(iterations.begin(), iterations.end(), runs) &&
             std::none_of(lineages.begin(), lineages.end(), [](const auto& each) {
               return each.state() == v1::LINEAGE_STATE_ACTIVE;
             });
    }
    return std::none_of(iterations.begin(), iterations.end(),
                        [](const auto& each) { return each.ending() == v1::ENDING_UNSPECIFIED; });
  }

  record_reader& reader_;
  const clock& time_;
  resolved_target target_;
  emitter emit_;
  waiting_teller::fleet_reader ask_fleet_;
  std::vector<v1::WatchEvent> gathered_;  // by one reading of the record, and not told yet
  std::int64_t last_event_ = 0;
  std::int64_t last_change_ = 0;
  std::map<std::string, int> attempts_;  // by item: how many were told
  std::set<std::string> ended_items_;
  std::map<std::string, waiting> waiting_;  // by item
  std::int64_t version_ = -1;               // of the record, as last read
  bool ended_ = false;
};

}  // namespace

result<void> people::watch(const v1::WatchRequest& request,
                           const std::function<bool(const v1::WatchEvent&)>& emit) {
  resolved_target target;
  if (request.target().empty()) {
    GERMLINE_TRY_ASSIGN(target.run, reader_.newest_run());
    target.id = target.run;
  } else {
    GERMLINE_TRY_ASSIGN(target, reader_.resolve(request.target()));
  }
  watcher each(reader_, *env_.time, target, emit, [this] { return fleet(); });
  for (;;) {
    GERMLINE_TRY_ASSIGN(const bool there, each.poll());
    if (!there || !request.follow() || each.ended()) return {};
    std::this_thread::sleep_for(poll_interval);
    if (!emit({})) return {};  // an event without a kind: only asks whether to go on
  }
}

}  // namespace germline
