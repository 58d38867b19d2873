#include <algorithm>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/follow.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

/// Prints a reply as JSON or as `text` renders it.
template <class Reply, class Render>
exit_code print(const session& with, const result<Reply>& reply, Render text) {
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : text(*reply));
  return exit_code::done;
}

/// For scripts, which act upon what they are given: what is over is not among it unless asked for,
/// however short a time ago it ended.
exit_code list_ids(const session& with, const v1::ListRunsReply& reply, bool all) {
  for (const auto& run : reply.runs()) {
    for (const auto& lineage : run.lineages()) {
      if (!all && is_over(lineage)) continue;
      with.data(safe_line(lineage.lineage_id()) + "\n");
    }
  }
  return exit_code::done;
}

/// An empty list is not to look like an empty record.
void tell_hidden(const session& with, const v1::ListRunsReply& reply) {
  int over = 0;
  for (const auto& run : reply.runs()) {
    for (const auto& lineage : run.lineages()) {
      if (is_listed(run, lineage, with.time->utc_ms())) return;
      ++over;
    }
  }
  if (over == 0) return;
  with.message("germline: nothing goes on; lineages that were over more than a day ago: " +
               std::to_string(over) + ", see `germline ps --all`");
}

template <class Reply>
void tell_troubles(const session& with, const Reply& reply) {
  for (const auto& trouble : reply.troubles()) with.message("germline: " + safe_line(trouble));
}

/// What a row has no room for.
void tell_waiting(const session& with, const v1::ListRunsReply& reply) {
  tell_troubles(with, reply);
  const auto waiting = render_waiting(reply);
  for (std::size_t at = 0; at < waiting.size();) {
    const auto end = waiting.find('\n', at);
    with.message("germline: " + waiting.substr(at, end - at));
    at = end + 1;
  }
}

}  // namespace

exit_code run_ps(const session& with, const ps_options& options) {
  control_client client(with.settings, *with.time);
  if (options.workers) {
    const auto status = client.status({});
    if (status && !with.json) tell_troubles(with, *status);
    const auto code = print(with, status, [&](const auto& reply) {
      return render_status(reply, with.time->utc_ms(), with.how);
    });
    const auto joined =
        !status ? 0 : std::ranges::count_if(status->workers(), [](const auto& worker) {
          return worker.connected();
        });
    return code == exit_code::done && joined < options.joined ? exit_code::failed : code;
  }
  const auto reply = client.list_runs({});
  if (reply && options.quiet) return list_ids(with, *reply, options.all);
  if (reply && !with.json && !options.all) tell_hidden(with, *reply);
  const auto code = print(with, reply, [&](const auto& runs) {
    return render_runs(runs, options.all, with.time->utc_ms(), with.how);
  });
  if (reply && !with.json) tell_waiting(with, *reply);
  return code;
}

exit_code run_workers(const session& with) {
  control_client client(with.settings, *with.time);
  const auto status = client.status({});
  if (status && !with.json) tell_troubles(with, *status);
  return print(with, status, [&](const auto& reply) {
    return render_workers(reply, with.time->utc_ms(), with.how);
  });
}

exit_code run_tree(const session& with, const std::string& target) {
  control_client client(with.settings, *with.time);
  v1::GetTreeRequest request;
  request.set_target(target);
  request.set_with_evaluations(with.json);
  return print(with, client.get_tree(request),
               [&](const auto& reply) { return render_tree(reply, with.how); });
}

exit_code run_show(const session& with, const std::string& target) {
  control_client client(with.settings, *with.time);
  v1::ShowRequest request;
  request.set_target(target);
  return print(with, client.show(request),
               [&](const auto& reply) { return render_show(reply, with.how); });
}

exit_code run_logs(const session& with, const std::string& target, bool follow) {
  control_client client(with.settings, *with.time);
  if (follow) return follow_logs(with, client, target);
  v1::WatchRequest request;
  request.set_target(target);
  event_story story(with.how, !with.json && is_of_several(client, target));
  grpc::ClientContext context;
  const auto watched = client.watch(context, request, [&](const v1::WatchEvent& event) {
    with.data(with.json ? to_json(event, true) : story.tell(event));
  });
  return watched ? exit_code::done : with.fail(watched.error());
}

exit_code run_diff(const session& with, const std::string& from, const std::string& to) {
  control_client client(with.settings, *with.time);
  v1::DiffRequest request;
  request.set_from(from);
  request.set_to(to);
  const auto reply = client.diff(request);
  const auto code =
      print(with, reply, [&](const auto& diff) { return render_diff(diff, with.how); });
  if (reply && reply->truncated() && !with.json) {
    with.message("germline: the diff is cut at 1 MiB");
  }
  return code;
}

}  // namespace germline::cli
