#include "cli/commands/attempts.hpp"

#include "cli/client.hpp"

namespace germline::cli {

result<std::vector<v1::AttemptInfo>> attempts_of(const session& with, const std::string& target) {
  control_client client(with.settings, *with.time);
  v1::ShowRequest request;
  request.set_target(target);
  GERMLINE_TRY_ASSIGN(auto shown, client.show(request));
  std::vector<v1::AttemptInfo> all;
  const auto take = [&](const v1::IterationInfo& iteration) {
    for (const auto& one : iteration.attempts()) {
      const bool is_wanted = !target.starts_with("att_") || one.attempt_id().starts_with(target);
      if (is_wanted) all.push_back(one);
    }
  };
  const auto take_asking = [&](const auto& evaluations) {
    for (const auto& each : evaluations) {
      if (each.usage().requests() > 0) take(each);
    }
  };
  const auto measured = shown.evaluations();
  if (shown.has_generation() && !shown.generation().born_of_iteration().empty()) {
    request.set_target(shown.generation().born_of_iteration());
    GERMLINE_TRY_ASSIGN(shown, client.show(request));
  }
  if (shown.has_iteration()) {
    take(shown.iteration());
  } else if (shown.has_run() || shown.has_lineage()) {
    v1::GetTreeRequest of;
    of.set_with_evaluations(true);
    of.set_target(shown.has_run() ? shown.run().run_id() : shown.lineage().lineage_id());
    GERMLINE_TRY_ASSIGN(const auto tree, client.get_tree(of));
    for (const auto& iteration : tree.iterations()) {
      const bool has_agent =
          iteration.kind() != v1::WORK_KIND_FOUND && iteration.imported().empty();
      if (has_agent) take(iteration);
    }
    take_asking(tree.evaluations());
  }
  take_asking(measured);
  return all;
}

}  // namespace germline::cli
