#include <algorithm>
#include <chrono>
#include <map>
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

  watcher(record_reader& reader, const clock& time, resolved_target target, emitter emit)
      : reader_(reader), time_(time), target_(std::move(target)), emit_(std::move(emit)) {}

  /// Tells what is new; false: the watcher has gone.
  result<bool> poll() {
    GERMLINE_TRY_ASSIGN(auto iterations, reader_.iterations(target_.run));
    GERMLINE_TRY_ASSIGN(auto lineages, reader_.lineages(target_.run));
    std::erase_if(iterations, [&](const auto& each) { return !concerns(each); });
    std::erase_if(lineages, [&](const auto& each) { return !concerns(each); });
    for (const auto& each : iterations) {
      if (each.ending() == v1::ENDING_UNSPECIFIED && !tell_iteration(each)) return false;
    }
    // Events are kept before the ending that follows them, so they are told before it.
    for (;;) {
      GERMLINE_TRY_ASSIGN(const auto events, reader_.events(target_, last_seq_, events_per_poll));
      for (const auto& stored : events) {
        v1::WatchEvent event;
        *event.mutable_progress() = stored.event;
        event.set_lineage_id(stored.lineage);
        event.set_time_ms(stored.event.time_ms());
        if (!emit_(event)) return false;
        last_seq_ = stored.seq;
      }
      if (static_cast<int>(events.size()) < events_per_poll) break;
    }
    for (const auto& each : iterations) {
      if (each.ending() != v1::ENDING_UNSPECIFIED && !tell_iteration(each)) return false;
    }
    for (const auto& each : lineages) {
      if (!tell_lineage(each)) return false;
    }
    ended_ = has_ended(iterations, lineages);
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

  bool tell_iteration(const v1::IterationInfo& each) {
    const int now = static_cast<int>(each.ending()) + 1;
    int& told = iterations_[each.item_id()];
    if (told == now) return true;
    told = now;
    v1::WatchEvent event;
    *event.mutable_iteration() = each;
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(each.ended_ms() != 0 ? each.ended_ms() : each.started_ms());
    return emit_(event);
  }

  bool tell_lineage(const v1::LineageInfo& each) {
    const std::string now = std::to_string(each.state()) + "/" +
                            std::to_string(each.pause_reason()) + "/" + each.head_generation();
    std::string& told = lineages_[each.lineage_id()];
    if (told == now) return true;
    told = now;
    v1::WatchEvent event;
    *event.mutable_lineage() = each;
    event.set_lineage_id(each.lineage_id());
    event.set_time_ms(time_.utc_ms());
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
  const clock& time_;
  resolved_target target_;
  emitter emit_;
  std::int64_t last_seq_ = 0;
  std::map<std::string, int> iterations_;
  std::map<std::string, std::string> lineages_;
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
  watcher each(reader_, *env_.time, target, emit);
  for (;;) {
    GERMLINE_TRY_ASSIGN(const bool there, each.poll());
    if (!there || !request.follow() || each.ended()) return {};
    std::this_thread::sleep_for(poll_interval);
    if (!emit({})) return {};  // an event without a kind: only asks whether to go on
  }
}

}  // namespace germline
