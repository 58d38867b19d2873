#include "cli/commands/follow.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds poll_every{500};
// Longer than a coordinator takes to start again and take up its record.
constexpr int most_retries = 120;

bool is_over(const v1::RunInfo& run) {
  if (run.found_state() == "refused") return true;
  if (run.found_state() == "pending" || run.lineages().empty()) {
    // Killed or paused before the seed was founded.
    if (run.lineages().empty()) return false;
    for (const auto& lineage : run.lineages()) {
      if (lineage.state() != v1::LINEAGE_STATE_KILLED) return false;
    }
    return true;
  }
  for (const auto& lineage : run.lineages()) {
    if (!is_settled(lineage) || (lineage.has_live() && is_leased(lineage.live()))) return false;
  }
  return true;
}

bool is_measuring(const v1::GetTreeReply& tree) {
  return std::ranges::any_of(tree.generations(), [](const auto& each) {
    return each.fitness().open() > 0 || each.fitness().open_again() > 0;
  });
}

/// Asks every half second whether the run is over, and then cancels the stream that the main
/// thread reads.
class settled_watch {
 public:
  settled_watch(control_client& client, std::string run_id, grpc::ClientContext& stream)
      : client_(client),
        run_id_(std::move(run_id)),
        stream_(stream),
        thread_([this](const std::stop_token& stop) { poll(stop); }) {}

  std::optional<v1::GetTreeReply> take() {
    thread_.request_stop();
    thread_.join();
    return std::move(over_);
  }

 private:
  void poll(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any tick;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      v1::GetTreeRequest request;
      request.set_target(run_id_);
      auto tree = client_.get_tree(request);
      if (tree && is_over(tree->run()) && !is_measuring(*tree)) {
        over_ = std::move(*tree);
        // What was recorded before the end is still on its way.
        tick.wait_for(lock, stop, poll_every, [] { return false; });
        stream_.TryCancel();
        return;
      }
      tick.wait_for(lock, stop, poll_every, [] { return false; });
    }
  }

  control_client& client_;
  const std::string run_id_;
  grpc::ClientContext& stream_;
  std::optional<v1::GetTreeReply> over_;
  std::jthread thread_;
};

/// Prints events, each once: after a break the coordinator tells all from the start again.
class event_printer {
 public:
  event_printer(const session& with, bool of_several) : with_(with), story_(with.how, of_several) {}

  void print(const v1::WatchEvent& event) {
    if (!heard_ && away_) with_.message("germline: the coordinator is back");
    away_ = false;
    heard_ = true;
    const auto key = std::hash<std::string>()(key_of(event));
    if (before_.contains(key)) return;
    now_.push_back(key);
    with_.data(with_.json ? to_json(event, true) : story_.tell(event));
  }
  /// The stream broke: what was told on it is not told on the next.
  void begin_again(bool away) {
    away_ = away;
    before_.insert(now_.begin(), now_.end());
    now_.clear();
    heard_ = false;
  }
  /// Whether the present stream has told anything.
  bool heard() const { return heard_; }

 private:
  /// What an event is known by: its bytes, as recorded, but for an iteration, of whose attempts
  /// some word may come later, and which is told to wait at the time of the telling.
  static std::string key_of(const v1::WatchEvent& event) {
    if (!event.has_iteration()) return event.SerializeAsString();
    const auto& iteration = event.iteration();
    return iteration.item_id() + "/" + std::to_string(iteration.ending()) + "/" +
           std::to_string(iteration.attempts_size()) + "/" + iteration.waits_for();
  }

  const session& with_;
  event_story story_;
  bool heard_ = false;
  bool away_ = false;  // the coordinator was, and that was told
  std::vector<std::size_t> now_;
  std::unordered_set<std::size_t> before_;
};

/// How long a coordinator that went away is waited for.
class patience {
 public:
  explicit patience(const session& with) : with_(with) {}

  /// Whether the coordinator is waited for, as was told.
  bool away() const { return retries_ > 0; }
  /// After a stream that ended as `watched` says: waits until it may be tried again. Error: it is
  /// of no use, or has been tried for long enough.
  result<void> wait(const result<void>& watched, bool heard) {
    if (heard) retries_ = 0;
    if (!watched) {
      const auto code = watched.error().code();
      const bool is_away = code == error_code::unavailable || code == error_code::cancelled;
      if (!is_away || ++retries_ > most_retries) return watched;
      if (retries_ == 1) with_.message("germline: the coordinator is away; waiting for it");
    }
    std::this_thread::sleep_for(poll_every);
    return {};
  }

 private:
  const session& with_;
  int retries_ = 0;
};

/// A lineage that is paused for want of something goes on when a person lets it.
void tell_why_it_stopped(const session& with, const v1::LineageInfo& lineage) {
  const bool killed = lineage.state() == v1::LINEAGE_STATE_KILLED;
  const bool paused = lineage.state() == v1::LINEAGE_STATE_PAUSED &&
                      lineage.pause_reason() != v1::PAUSE_REASON_DONE;
  if (!killed && !paused) return;
  const auto id = short_id(lineage.lineage_id());
  const auto why = lineage.pause_details().empty() ? "" : ": " + safe_line(lineage.pause_details());
  const bool is_told = why.find("germline resume") != std::string::npos;
  with.message("germline: " + id + " is " + state_words(lineage) + why +
               (paused && !is_told ? ". It goes on with: germline resume " + id : ""));
}

exit_code conclude(const session& with, const v1::GetTreeReply& tree) {
  // Of a run that came to nothing the tree has only what the message says in full.
  if (with.json) {
    with.data(to_json(tree, true));
  } else if (tree.run().found_state() != "refused") {
    with.data("\n" + render_tree(tree, with.how));
  }
  if (tree.run().found_state() == "founded") {
    for (const auto& lineage : tree.run().lineages()) tell_why_it_stopped(with, lineage);
    return exit_code::done;
  }
  if (tree.run().found_state() == "refused") {
    with.message("germline: " + refusal_words(tree.run()) + ": " +
                 safe_block(refusal_details(tree.run())));
  }
  return exit_code::failed;
}

}  // namespace

exit_code follow_run(const session& with, control_client& client, const v1::CreateRunReply& run) {
  v1::WatchRequest request;
  request.set_target(run.run_id());
  request.set_follow(true);
  event_printer events(with, run.lineage_ids_size() > 1);
  patience waits(with);
  while (true) {
    grpc::ClientContext context;
    settled_watch settled(client, run.run_id(), context);
    const auto watched =
        client.watch(context, request, [&](const auto& event) { events.print(event); });
    if (const auto over = settled.take()) return conclude(with, *over);
    if (const auto again = waits.wait(watched, events.heard()); !again) {
      return with.fail(again.error());
    }
    events.begin_again(waits.away());
  }
}

bool is_of_several(control_client& client, const std::string& target) {
  v1::ShowRequest request;
  request.set_target(target);
  const auto shown = client.show(request);
  return shown && shown->run().lineages_size() > 1;
}

exit_code follow_logs(const session& with, control_client& client, const std::string& target) {
  // One that was never there is not waited for.
  if (const auto there = client.status({}); !there) return with.fail(there.error());
  v1::WatchRequest request;
  request.set_target(target);
  request.set_follow(true);
  event_printer events(with, is_of_several(client, target));
  patience waits(with);
  while (true) {
    grpc::ClientContext context;
    const auto watched =
        client.watch(context, request, [&](const auto& event) { events.print(event); });
    if (watched) return exit_code::done;
    if (const auto again = waits.wait(watched, events.heard()); !again) {
      return with.fail(again.error());
    }
    events.begin_again(waits.away());
  }
}

}  // namespace germline::cli
