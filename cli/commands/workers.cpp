#include <chrono>
#include <thread>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

constexpr std::chrono::milliseconds poll_every{500};

result<v1::WorkerInfo> set_cordon(control_client& client, const std::string& worker, bool cordoned,
                                  const std::string& why) {
  v1::CordonRequest request;
  request.set_worker(worker);
  request.set_cordoned(cordoned);
  request.set_why(why);
  GERMLINE_TRY_ASSIGN(const auto reply, client.cordon(request));
  return reply.worker();
}

/// The worker as it is now; as it was where it is not listed any more.
result<v1::WorkerInfo> look(control_client& client, const v1::WorkerInfo& before) {
  GERMLINE_TRY_ASSIGN(const auto status, client.status({}));
  for (const auto& each : status.workers()) {
    if (each.worker_id() == before.worker_id()) return each;
  }
  auto gone = before;
  gone.set_connected(false);
  gone.set_busy(0);
  gone.clear_attempts();
  return gone;
}

/// "att_1 of lin_1, running", a line each.
std::string left_words(control_client& client, const v1::WorkerInfo& worker) {
  std::string text;
  for (const auto& attempt : worker.attempts()) {
    v1::ShowRequest request;
    request.set_target(attempt);
    const auto shown = client.show(request);
    text += "\n  " + short_id(attempt);
    if (!shown || !shown->has_iteration()) continue;
    const auto& iteration = shown->iteration();
    if (iteration.kind() == v1::WORK_KIND_EVALUATE) {
      text += ", an evaluation of " + short_id(iteration.parent_generation());
      continue;
    }
    text += iteration.lineage_id().empty()
                ? ", founding"
                : " of " + short_id(iteration.lineage_id()) + ", " + live_words(iteration);
  }
  if (worker.attempts().empty()) text += "\n  a lease that is being recorded";
  return text;
}

std::string waiting_words(control_client& client, const v1::WorkerInfo& worker) {
  const auto name = safe_line(worker.worker_id());
  return name +
         (worker.connected() ? " is cordoned and still has:"
                             : " is cordoned and away, and still has, until its leases end:") +
         left_words(client, worker);
}

}  // namespace

exit_code run_cordon(const session& with, const std::string& worker, bool cordoned,
                     const std::string& why) {
  control_client client(with.settings, *with.time);
  const auto now = set_cordon(client, worker, cordoned, why);
  if (!now) return with.fail(now.error());
  with.data(with.json ? to_json(*now) : render_worker_line(*now));
  return exit_code::done;
}

exit_code run_drain(const session& with, const std::string& worker, const std::string& why,
                    std::int64_t limit_ms) {
  control_client client(with.settings, *with.time);
  auto now = set_cordon(client, worker, true, why);
  if (!now) return with.fail(now.error());
  const auto until_ms = with.time->boot_ms() + limit_ms;
  std::string told;
  bool away = false;  // the coordinator is, and that was told
  auto last = *now;
  while (!now || now->busy() > 0) {
    if (now) {
      std::string has = now->connected() ? "joined" : "away";
      for (const auto& attempt : now->attempts()) has += " " + attempt;
      if (std::exchange(told, has) != has) with.message("germline: " + waiting_words(client, *now));
      away = false;
    } else if (now.error().code() != error_code::unavailable) {
      return with.fail(now.error());
    } else if (!std::exchange(away, true)) {
      with.message("germline: the coordinator is away; waiting for it");
    }
    if (with.time->boot_ms() >= until_ms) {
      if (with.json) with.data(to_json(last));
      with.message("germline: the time is over; " + waiting_words(client, last) +
                   "\nIt stays cordoned. Ask again, or end them: germline kill");
      return exit_code::failed;
    }
    std::this_thread::sleep_for(poll_every);
    now = look(client, last);
    if (now) last = *now;
  }
  with.data(with.json ? to_json(*now)
                      : safe_line(now->worker_id()) + " drained: nothing is leased to it\n");
  return exit_code::done;
}

}  // namespace germline::cli
