#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "coordinator/api/people.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {
namespace {

constexpr auto poll_interval = std::chrono::milliseconds(200);
constexpr int events_per_poll = 256;

/// One watcher: reads the record again and again and tells what is new. What it has not told yet is
/// in the record, so a slow watcher costs no memory and misses nothing.
class watcher {
 public:
  using emitter = std::function<bool(const v1::WatchEvent&)>;

  watcher(record_reader& reader, resolved_target target, emitter emit)
      : reader_(reader), target_(std::move(target)), emit_(std::move(emit)) {}

  /// Tells what is new, of each lineage in the order in which it happened: an iteration's
  /// beginning, its events, its ending, and only then the next one's beginning; between them what
  /// happened to the lineage itself. False: the watcher has gone.
  result<bool> poll() {
    bool more = true;
    while (more) {
      GERMLINE_TRY_ASSIGN(auto now,
                          reader_.watched(target_, last_event_, last_change_, events_per_poll));
      std::erase_if(now.iterations, [&](const auto& each) { return !concerns(each); });
      std::erase_if(now.lineages, [&](const auto& each) { return !concerns(each); });
      more = static_cast<int>(now.events.size()) == events_per_poll;
      if (!tell(now, more)) return false;
      ended_ = has_ended(now.iterations, now.lineages);
    }
    return true;
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
        return each.generation_id() == target_.id;
      case kind::item:
        return each.item_id() == target_.id;
      case kind::attempt:
        return std::any_of(each.attempts().begin(), each.attempts().end(),
                           [&](const auto& a) { return a.attempt_id() == target_.id; });
    }
    return false;
  }
  bool concerns(const v1::LineageInfo& each) const {
    return target_.what == kind::run ||
           (target_.what == kind::lineage && each.lineage_id() == target_.id);
  }

  /// `more`: of what follows some is not in `now`, so nothing is told but its events and what went
  /// before them.
  bool tell(const watched_part& now, bool more) {
    const auto places = places_of(now.iterations);
    auto change = now.changes.begin();
    const auto tell_changes_before = [&](std::int64_t event) {
      for (; change != now.changes.end() && change->after_event < event; ++change) {
        if (!tell_change(places, *change)) return false;
      }
      return true;
    };
    for (const auto& stored : now.events) {
      if (!tell_changes_before(stored.seq)) return false;
      if (!tell_beginning(places, places.at(stored.item)) || !tell_event(stored)) return false;
      last_event_ = stored.seq;
    }
    if (more) return true;
    if (!tell_changes_before(std::numeric_limits<std::int64_t>::max())) return false;
    return std::all_of(now.iterations.begin(), now.iterations.end(), [&](const auto& each) {
      return tell_beginning(places, places.at(each.item_id())) && tell_ending(each);
    });
  }

  bool tell_event(const stored_event& stored) {
    v1::WatchEvent event;
    *event.mutable_progress() = stored.event;
    event.set_lineage_id(stored.lineage);
    event.set_time_ms(stored.event.time_ms());
    return emit_(event);
  }

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

  /// After all that went before in its lineage.
  bool tell_beginning(const place_map& places, const place& wanted) {
    std::vector<place> untold;
    for (auto at = wanted; !began_.contains(at.self->item_id());) {
      untold.push_back(at);
      if (at.before == nullptr) break;
      at = places.at(at.before->item_id());
    }
    for (auto each = untold.rbegin(); each != untold.rend(); ++each) {
      if (each->before != nullptr && !tell_ending(*each->before)) return false;
      if (!tell_beginning_of(*each->self)) return false;
    }
    return true;
  }

  bool tell_beginning_of(const v1::IterationInfo& each) {
    began_.insert(each.item_id());
    v1::WatchEvent event;
    auto& beginning = *event.mutable_iteration();
    beginning.set_item_id(each.item_id());
    beginning.set_lineage_id(each.lineage_id());
    beginning.set_parent_generation(each.parent_generation());
    beginning.set_number(each.number());
    beginning.set_kind(each.kind());
    if (each.ending() == v1::ENDING_UNSPECIFIED) beginning.set_phase(each.phase());
    beginning.set_started_ms(each.started_ms());
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(each.started_ms());
    return emit_(event);
  }

  bool tell_ending(const v1::IterationInfo& each) {
    if (each.ending() == v1::ENDING_UNSPECIFIED) return true;
    if (!ended_items_.insert(each.item_id()).second) return true;
    v1::WatchEvent event;
    *event.mutable_iteration() = each;
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(each.ended_ms() != 0 ? each.ended_ms() : each.started_ms());
    return emit_(event);
  }

  bool tell_change(const place_map& places, const stored_change& each) {
    const auto& newest = places.at(each.item);
    if (!tell_beginning(places, newest)) return false;
    if (each.item_ended && !tell_ending(*newest.self)) return false;
    last_change_ = each.seq;
    v1::WatchEvent event;
    *event.mutable_lineage() = each.change;
    event.set_lineage_id(each.lineage);
    event.set_time_ms(each.at_ms);
    return emit_(event);
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
  resolved_target target_;
  emitter emit_;
  std::int64_t last_event_ = 0;
  std::int64_t last_change_ = 0;
  std::set<std::string> began_;  // what was told of which items
  std::set<std::string> ended_items_;
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
  watcher each(reader_, target, emit);
  for (;;) {
    GERMLINE_TRY_ASSIGN(const bool there, each.poll());
    if (!there || !request.follow() || each.ended()) return {};
    std::this_thread::sleep_for(poll_interval);
    if (!emit({})) return {};  // an event without a kind: only asks whether to go on
  }
}

}  // namespace germline
