#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/follow.hpp"
#include "cli/compare/comparison.hpp"
#include "cli/render/render.hpp"

namespace germline::cli {
namespace {

result<v1::GetTreeReply> tree_of(control_client& client, const std::string& run) {
  v1::GetTreeRequest request;
  request.set_target(run);
  request.set_with_evaluations(true);
  auto tree = client.get_tree(request);
  if (!tree || tree->run().run_id().starts_with(run) || tree->run().name() == run) return tree;
  return error(error_code::invalid_argument,
               "'" + run + "' is of run " + tree->run().run_id() + ", and no run itself");
}

/// Of a run that did nothing nothing can be said.
exit_code tell_comparison(const session& with, const v1::GetTreeReply& of,
                          const v1::GetTreeReply& against, bool one_line) {
  const auto found = compare(of, against);
  with.data(with.json ? comparison_json(found, one_line) : render_comparison(found, with.how));
  return found.is_same() && found.iterations > 0 ? exit_code::done : exit_code::failed;
}

exit_code compare_runs(const session& with, control_client& client, const std::string& of,
                       const std::string& against, bool one_line = false) {
  const auto was = tree_of(client, of);
  if (!was) return with.fail(was.error());
  if (!against.empty()) {
    const auto is = tree_of(client, against);
    return is ? tell_comparison(with, *was, *is, one_line) : with.fail(is.error());
  }
  const auto& origin = was->run().replay_of();
  if (origin.empty()) {
    return with.fail(error(error_code::invalid_argument,
                           "run " + was->run().run_id() +
                               " is no replay: name the run that it is compared with, too"));
  }
  const auto replayed = tree_of(client, origin);
  return replayed ? tell_comparison(with, *replayed, *was, one_line) : with.fail(replayed.error());
}

}  // namespace

exit_code run_replay(const session& with, const replay_options& options) {
  control_client client(with.settings, *with.time);
  v1::ReplayRequest request;
  request.set_run(options.run);
  request.set_answers(options.live     ? v1::REPLAY_ANSWERS_LIVE
                      : options.strict ? v1::REPLAY_ANSWERS_STRICT
                                       : v1::REPLAY_ANSWERS_LENIENT);
  const auto created = client.replay(request);
  if (!created) return with.fail(created.error());
  with.data(with.json ? to_json(*created, options.follow) : safe_line(created->run_id()) + "\n");
  if (!options.follow) return exit_code::done;
  const auto followed = follow_run(with, client, *created);
  if (followed != exit_code::done) return followed;
  return compare_runs(with, client, created->run_id(), {}, true);
}

exit_code run_compare(const session& with, const std::string& of, const std::string& against) {
  control_client client(with.settings, *with.time);
  return compare_runs(with, client, of, against);
}

}  // namespace germline::cli
