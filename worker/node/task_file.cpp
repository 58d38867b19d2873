#include "worker/node/task_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/clock.hpp"

namespace germline::worker {

std::string inspiration_branch(int place) {
  return "inspiration-" + std::to_string(place + 1);
}

std::string make_task_json(const v1::Lease& lease, const task_extras& extras) {
  using json = nlohmann::json;
  auto notes = json::array();
  for (const auto& note : lease.notes()) notes.push_back({{"text", note}});
  auto inspirations = json::array();
  for (int i = 0; i < lease.inspirations_size(); ++i) {
    const auto& each = lease.inspirations(i);
    inspirations.push_back({{"generation", each.generation_id()},
                            {"branch", "origin/" + inspiration_branch(i)},
                            {"fitness", {{"mean", each.mean()}, {"samples", each.samples()}}}});
  }
  const json task = {
      {"contract", 1},
      {"run_id", lease.run_id()},
      {"lineage_id", lease.lineage_id()},
      {"item_id", lease.item_id()},
      {"attempt_id", lease.attempt_id()},
      {"number", lease.number()},
      {"parent_generation", lease.parent_generation()},
      {"goal", lease.goal().empty() ? json() : json(lease.goal())},
      {"goal_hints", json::array()},
      {"notes", notes},
      {"inspirations", inspirations},
      {"deadline_utc", to_iso8601(extras.deadline_utc_ms)},
      {"wall_time_ms", extras.wall_time_ms},
      {"budget",
       {{"max_requests", lease.limits().max_requests()},
        {"max_output_tokens", lease.limits().max_output_tokens()},
        {"max_tokens", lease.limits().max_tokens()},
        {"budget_nanousd", lease.limits().budget_nanousd()}}},
      {"random_seed", lease.random_seed()},
      {"workspace", "/workspace"},
      {"branch", "lineage"},
      {"remote", "origin"},
      {"model", lease.model()},
      {"context_path", extras.context_path},
      {"build_command", extras.build_command},
      {"test_command", extras.test_command},
  };
  return task.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string place_run_command(const std::string& run, const std::vector<std::string>& artefact,
                              const std::string& root) {
  std::string placed;
  std::size_t at = 0;
  while (at < run.size()) {
    const auto end = std::min(run.find(' ', at), run.size());
    auto word = run.substr(at, end - at);
    if (word.starts_with("./")) word.erase(0, 2);
    const auto named = std::ranges::any_of(artefact, [&](const std::string& path) {
      return word == path || (word.starts_with(path) && word[path.size()] == '/');
    });
    placed += named ? root + "/" + word : run.substr(at, end - at);
    if (end < run.size()) placed += ' ';
    at = end + 1;
  }
  return placed;
}

}  // namespace germline::worker
