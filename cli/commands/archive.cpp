#include "cli/commands/archive.hpp"

#include "cli/client.hpp"
#include "cli/render/archive.hpp"
#include "cli/render/render.hpp"

namespace germline::cli {
namespace {

result<v1::GetTreeReply> tree_of(const session& with, const std::string& target,
                                 bool with_evaluations) {
  control_client client(with.settings, *with.time);
  v1::GetTreeRequest request;
  request.set_target(target);
  request.set_with_evaluations(with_evaluations);
  return client.get_tree(request);
}

}  // namespace

exit_code run_archive_top(const session& with, const archive_options& options) {
  const auto tree = tree_of(with, options.target, false);
  if (!tree) return with.fail(tree.error());
  if (tree->run().fitness_direction() == v1::FITNESS_DIRECTION_UNSPECIFIED) {
    return with.fail(error(error_code::failed_precondition,
                           "run " + tree->run().run_id() +
                               " measures nothing: its seed's genome.toml has no [fitness]"));
  }
  const auto ranked = ranking(*tree);
  const auto unscored = static_cast<std::size_t>(tree->generations_size()) - ranked.size();
  if (unscored > 0 && !with.json) {
    with.message("germline: generations without a score: " + std::to_string(unscored));
  }
  const auto count = static_cast<std::size_t>(options.count.value_or(10));
  with.data(with.json ? ranking_json(ranked, count) : render_ranking(ranked, count, with.how));
  return ranked.empty() ? exit_code::failed : exit_code::done;
}

exit_code run_archive_export(const session& with, const archive_options& options) {
  const auto tree = tree_of(with, options.target, options.format == "jsonl");
  if (!tree) return with.fail(tree.error());
  with.data(options.format == "csv" ? archive_csv(*tree) : archive_lines(*tree));
  return exit_code::done;
}

}  // namespace germline::cli
