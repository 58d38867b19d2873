#include "cli/commands/follow.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

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
    if (!is_settled(lineage) || lineage.has_live()) return false;
  }
  return true;
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
      if (tree && is_over(tree->run())) {
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

/// After a break the coordinator tells a lineage's state again.
class told_states {
 public:
  bool is_news(const v1::WatchEvent& event) {
    if (!event.has_lineage()) return true;
    const auto now = state_words(event.lineage());
    auto& told = told_[event.lineage().lineage_id()];
    if (told == now) return false;
    told = now;
    return true;
  }

 private:
  std::map<std::string, std::string> told_;
};

exit_code conclude(const session& with, const v1::GetTreeReply& tree) {
  with.data(with.json ? to_json(tree, true) : "\n" + render_tree(tree, with.how));
  if (tree.run().found_state() == "founded") return exit_code::done;
  if (tree.run().found_state() == "refused") {
    with.message("germline: the seed was refused: " + safe_block(tree.run().found_details()));
  }
  return exit_code::failed;
}

}  // namespace

exit_code follow_run(const session& with, control_client& client, const std::string& run_id) {
  v1::WatchRequest request;
  request.set_target(run_id);
  request.set_follow(true);
  std::int64_t seen_ms = 0;
  int retries = 0;
  told_states states;
  while (true) {
    grpc::ClientContext context;
    settled_watch settled(client, run_id, context);
    // After a break the stream tells all from the start again: what was shown is not repeated.
    const std::int64_t shown_ms = seen_ms;
    const auto watched = client.watch(context, request, [&](const v1::WatchEvent& event) {
      if (event.time_ms() <= shown_ms) return;
      seen_ms = std::max(seen_ms, event.time_ms());
      retries = 0;
      if (!states.is_news(event)) return;
      with.data(with.json ? to_json(event, true) : render_event(event, with.how));
    });
    if (const auto over = settled.take()) return conclude(with, *over);
    if (!watched &&
        (watched.error().code() != error_code::unavailable || ++retries > most_retries)) {
      return with.fail(watched.error());
    }
    if (!watched && retries == 1) {
      with.message("germline: the coordinator is away; waiting for it");
    }
    std::this_thread::sleep_for(poll_every);
  }
}

}  // namespace germline::cli
