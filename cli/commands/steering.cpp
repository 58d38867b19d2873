#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"

namespace germline::cli {
namespace {

exit_code print_lineage(const session& with, const result<v1::LineageReply>& reply) {
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : render_lineage_line(reply->lineage(), with.how));
  return exit_code::done;
}

/// Of a lineage that has made all its iterations: how one goes on from where it ended.
std::string way_on(control_client& client, const std::string& target) {
  v1::ShowRequest request;
  request.set_target(target);
  const auto shown = client.show(request);
  if (!shown) return "";
  const auto& run = shown->run();
  const auto& lineage = run.lineages_size() == 1 ? run.lineages(0) : shown->lineage();
  if (lineage.pause_reason() != v1::PAUSE_REASON_DONE || lineage.head_generation().empty()) {
    return "";
  }
  const auto head = short_id(lineage.head_generation());
  return ". To go on from its newest generation: germline fork " + head +
         " --iterations N; or, as a run of its own: germline promote " + head +
         " --branch NAME, and then germline run --branch NAME";
}

}  // namespace

exit_code run_kill(const session& with, const std::vector<std::string>& targets,
                   const std::string& why, bool clade) {
  control_client client(with.settings, *with.time);
  v1::KillReply all;
  std::vector<error> failures;
  auto code = exit_code::done;
  for (const auto& target : targets) {
    v1::KillRequest request;
    request.set_target(target);
    request.set_why(why);
    request.set_clade(clade);
    const auto reply = client.kill(request);
    if (!reply) {
      failures.push_back(reply.error());
      code = with.tell(reply.error());
      continue;
    }
    for (const auto& killed : reply->lineages()) *all.add_lineages() = killed;
  }
  if (with.json) {
    with.data(killed_json(all, failures));
  } else if (!all.lineages().empty()) {
    with.data(render_killed(all, with.how));
  } else if (failures.empty()) {
    with.message("germline: nothing was running");
  }
  const auto unproved = render_unproved(all, with.time->utc_ms());
  if (unproved.empty()) return code;
  with.message("germline: " + unproved.substr(0, unproved.size() - 1));
  return exit_code::unproved;
}

exit_code run_pause(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  return print_lineage(with, client.pause(request));
}

exit_code run_resume(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  const auto reply = client.resume(request);
  if (!reply && reply.error().code() == error_code::failed_precondition) {
    return with.fail({reply.error().code(), reply.error().message() + way_on(client, lineage)});
  }
  return print_lineage(with, reply);
}

exit_code run_rollback(const session& with, const std::string& lineage, const std::string& to,
                       const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::RollbackRequest request;
  request.set_lineage(lineage);
  request.set_to(to);
  request.set_why(why);
  const auto reply = client.rollback(request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : render_rolled_back(*reply, with.how));
  return exit_code::done;
}

exit_code run_fork(const session& with, const std::string& generation,
                   std::optional<std::int64_t> iterations) {
  control_client client(with.settings, *with.time);
  v1::ForkRequest request;
  request.set_generation(generation);
  if (iterations) request.set_max_iterations(*iterations);
  const auto reply = client.fork(request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : safe_line(reply->lineage().lineage_id()) + "\n");
  return exit_code::done;
}

exit_code run_retire(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  return print_lineage(with, client.retire(request));
}

}  // namespace germline::cli
