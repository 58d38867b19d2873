#include "cli/commands/archive.hpp"

#include <algorithm>

#include "cli/client.hpp"
#include "cli/render/archive.hpp"
#include "cli/render/archive_views.hpp"
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

error measures_nothing(const v1::GetTreeReply& tree) {
  return {
      error_code::failed_precondition,
      "run " + tree.run().run_id() + " measures nothing: its seed's genome.toml has no [fitness]"};
}

bool is_measured(const v1::GetTreeReply& tree) {
  return tree.run().fitness_direction() != v1::FITNESS_DIRECTION_UNSPECIFIED;
}

bool minimizes(const v1::GetTreeReply& tree) {
  return tree.run().fitness_direction() == v1::FITNESS_DIRECTION_MINIMIZE;
}

/// Those without the number come last.
void sort_by(std::vector<const numbered*>& rows, const std::string& name, bool least) {
  std::ranges::stable_sort(rows, [&](const auto* a, const auto* b) {
    const auto left = a->at(name), right = b->at(name);
    if (!left || !right) return left.has_value();
    return least ? *left < *right : *left > *right;
  });
}

struct query {
  std::vector<condition> where;
  std::vector<std::string> names;  // of columns
};

/// Checked against what there is.
result<query> read_query(const query_options& options, const v1::GetTreeReply& tree,
                         const std::vector<numbered>& all) {
  query out;
  if (is_measured(tree)) out.names.emplace_back("fitness");
  const auto add = [&](const std::string& name) -> result<void> {
    if (name != "fitness" || !is_measured(tree)) GERMLINE_TRY(check_number(all, name));
    if (std::ranges::find(out.names, name) == out.names.end()) out.names.push_back(name);
    return {};
  };
  for (const auto& each : options.where) {
    GERMLINE_TRY_ASSIGN(auto read, parse_condition(each));
    GERMLINE_TRY(add(read.name));
    out.where.push_back(std::move(read));
  }
  if (!options.sort.empty()) {
    GERMLINE_TRY(add(options.sort));
  }
  for (const auto& each : options.show) GERMLINE_TRY(add(each));
  return out;
}

}  // namespace

exit_code run_archive_top(const session& with, const archive_options& options) {
  const auto tree = tree_of(with, options.target, false);
  if (!tree) return with.fail(tree.error());
  if (!is_measured(*tree)) {
    return with.fail(measures_nothing(*tree));
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

exit_code run_archive_query(const session& with, const query_options& options) {
  const auto tree = tree_of(with, options.target, true);
  if (!tree) return with.fail(tree.error());
  const auto all = numbers_of(*tree);
  const auto asked = read_query(options, *tree, all);
  if (!asked) return with.fail(asked.error());
  std::vector<const numbered*> rows;
  for (const auto& each : all) {
    const bool fits =
        std::ranges::all_of(asked->where, [&](const auto& one) { return one.holds(each); });
    if (fits) rows.push_back(&each);
  }
  if (!options.sort.empty()) {
    sort_by(rows, options.sort, options.reverse);
  } else if (options.reverse) {
    std::ranges::reverse(rows);
  }
  if (options.count) {
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(*options.count)));
  }
  with.data(with.json ? numbered_json(rows) : render_numbered(rows, asked->names, with.how));
  return rows.empty() ? exit_code::failed : exit_code::done;
}

exit_code run_archive_pareto(const session& with, const pareto_options& options) {
  const auto tree = tree_of(with, options.target, true);
  if (!tree) return with.fail(tree.error());
  if (!is_measured(*tree)) return with.fail(measures_nothing(*tree));
  const auto all = numbers_of(*tree);
  std::vector<objective> by{{"fitness", minimizes(*tree)}};
  for (const auto& each : options.great) by.push_back({each, false});
  for (const auto& each : options.small) by.push_back({each, true});
  std::vector<std::string> names;
  for (const auto& each : by) {
    names.push_back(each.name);
    if (each.name == "fitness") continue;
    if (const auto there = check_number(all, each.name); !there) return with.fail(there.error());
  }
  const auto front = pareto_front(all, by);
  with.data(with.json ? numbered_json(front) : render_numbered(front, names, with.how));
  return front.empty() ? exit_code::failed : exit_code::done;
}

exit_code run_archive_grid(const session& with, const grid_options& options) {
  constexpr std::int64_t usual_bins = 8;
  const auto tree = tree_of(with, options.target, true);
  if (!tree) return with.fail(tree.error());
  if (!is_measured(*tree)) return with.fail(measures_nothing(*tree));
  const auto all = numbers_of(*tree);
  for (const auto& name : {options.x, options.y}) {
    if (const auto there = check_number(all, name); !there) return with.fail(there.error());
  }
  const auto cells =
      grid_of(all, options.x, options.y,
              static_cast<std::size_t>(options.bins.value_or(usual_bins)), minimizes(*tree));
  if (cells.generations == 0) {
    return with.fail(error(error_code::not_found, "no generation has a fitness and both numbers"));
  }
  with.data(with.json ? grid_json(cells) : render_grid(cells, with.how));
  return exit_code::done;
}

exit_code run_archive_export(const session& with, const archive_options& options) {
  const auto tree = tree_of(with, options.target, options.format == "jsonl");
  if (!tree) return with.fail(tree.error());
  with.data(options.format == "csv" ? archive_csv(*tree) : archive_lines(*tree));
  return exit_code::done;
}

}  // namespace germline::cli
