#include "cli/render/archive_numbers.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cli/render/archive_views.hpp"

namespace germline::cli {
namespace {

/// A generation that was measured once: its fitness, its size, and how well it covers.
void add(v1::GetTreeReply& tree, const std::string& id, double fitness, std::int64_t bytes,
         double coverage) {
  auto& generation = *tree.add_generations();
  generation.set_generation_id(id);
  generation.set_number(tree.generations_size() - 1);
  generation.set_source_bytes(bytes);
  generation.mutable_fitness()->set_samples(1);
  generation.mutable_fitness()->set_mean(fitness);
  auto& evaluation = *tree.add_evaluations();
  evaluation.set_parent_generation(id);
  auto& metric = *evaluation.mutable_score()->add_metrics();
  metric.set_name("coverage");
  metric.set_value(coverage);
}

v1::GetTreeReply sample() {
  v1::GetTreeReply tree;
  add(tree, "gen_small", 1, 100, 0.5);
  add(tree, "gen_large", 3, 900, 0.5);
  add(tree, "gen_worse", 1, 200, 0.5);  // than gen_small
  add(tree, "gen_middle", 2, 400, 0.9);
  add(tree, "gen_unsure", 9, 50, 0.9);
  tree.mutable_generations(4)->mutable_fitness()->set_failed(1);
  return tree;
}

std::vector<std::string> ids(const std::vector<const numbered*>& of) {
  std::vector<std::string> out;
  for (const auto* each : of) out.push_back(each->generation->generation_id());
  return out;
}

std::vector<std::string> those(const std::vector<numbered>& all, const std::string& condition) {
  const auto read = parse_condition(condition);
  REQUIRE_MESSAGE(read, (read ? "" : read.error().message()));
  std::vector<const numbered*> out;
  for (const auto& each : all) {
    if (read->holds(each)) out.push_back(&each);
  }
  return ids(out);
}

}  // namespace

TEST_CASE("numbers go by their names, short ones where nothing else is called so") {
  auto tree = sample();
  auto& second = *tree.add_evaluations();
  second.set_parent_generation("gen_small");
  second.mutable_score()->add_metrics()->set_name("coverage");  // 0: the mean of both counts
  auto& both = *tree.mutable_evaluations(1)->mutable_score()->add_descriptors();
  both.set_name("coverage");
  both.set_value(7);
  const auto all = numbers_of(tree);
  CHECK(all[0].at("fitness") == 1);
  CHECK(all[0].at("source_bytes") == 100);
  CHECK(all[0].at("coverage") == 0.25);
  CHECK(all[0].at("metric.coverage") == 0.25);
  CHECK_FALSE(all[1].at("coverage"));  // which one?
  CHECK(all[1].at("descriptor.coverage") == 7);
  CHECK_FALSE(all[4].at("fitness"));  // it fails some
  CHECK(check_number(all, "coverage"));
  const auto missing = check_number(all, "covrage");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message().find("metric.coverage") != std::string::npos);
}

TEST_CASE("conditions hold or not, and of what is not known none holds") {
  const auto tree = sample();
  const auto all = numbers_of(tree);
  CHECK(those(all, "fitness >= 2") == std::vector<std::string>{"gen_large", "gen_middle"});
  CHECK(those(all, "fitness<2") == std::vector<std::string>{"gen_small", "gen_worse"});
  CHECK(those(all, " source_bytes = 400 ") == std::vector<std::string>{"gen_middle"});
  CHECK(those(all, "metric.coverage > 0.5").size() == 2);
  CHECK(those(all, "fitness <= 1e0").size() == 2);
  CHECK(those(all, "nothing >= -1").empty());
  for (const char* wrong : {"", "fitness", "fitness >", "fitness => 2", "fitness == 2", "> 2",
                            "fitness > two", "fitness > 2 3", "fitness >= "}) {
    CHECK_MESSAGE(!parse_condition(wrong), wrong);
  }
}

TEST_CASE("on the front nobody is bettered in all that counts") {
  const auto tree = sample();
  const auto all = numbers_of(tree);
  CHECK(ids(pareto_front(all, {{"fitness", false}, {"source_bytes", true}})) ==
        std::vector<std::string>{"gen_large", "gen_middle", "gen_small"});
  CHECK(ids(pareto_front(all, {{"fitness", false}, {"source_bytes", false}})) ==
        std::vector<std::string>{"gen_large"});
  CHECK(ids(pareto_front(all, {{"fitness", true}, {"source_bytes", true}})) ==
        std::vector<std::string>{"gen_small"});
  // Those that are alike stand beside each other.
  CHECK(ids(pareto_front(all, {{"fitness", true}})) ==
        std::vector<std::string>{"gen_small", "gen_worse"});
}

TEST_CASE("a grid keeps the fittest of each cell") {
  const auto tree = sample();
  const auto all = numbers_of(tree);
  const auto cells = grid_of(all, "source_bytes", "coverage", 2, false);
  CHECK(cells.generations == 4);
  CHECK(cells.x.low == 100);
  CHECK(cells.x.high == 900);
  REQUIRE(cells.elites.size() == 4);
  CHECK(cells.at(0, 0)->generation->generation_id() == "gen_small");  // the eldest of the equal
  CHECK(cells.at(0, 1)->generation->generation_id() == "gen_large");  // the greatest is inside
  CHECK(cells.at(1, 0)->generation->generation_id() == "gen_middle");
  CHECK(cells.at(1, 1) == nullptr);
  const auto text = render_grid(cells, style{});
  CHECK(text.find("3 of 4 cells have one, of 4 generations\n") != std::string::npos);
  CHECK(text.starts_with("        0.7          2         .\n        0.5          1         3\n"));
  const auto json = nlohmann::json::parse(grid_json(cells));
  CHECK(json["cells"].size() == 3);
  CHECK(json["cells"][1]["column"] == 1);
  CHECK(json["cells"][1]["row"] == 0);
  CHECK(json["x"]["name"] == "source_bytes");
}

TEST_CASE("few whole numbers have a cell each") {
  const auto tree = sample();
  const auto all = numbers_of(tree);
  const auto cells = grid_of(all, "number", "depth", 8, false);
  CHECK(cells.x.bins == 4);
  CHECK(cells.x.edge(3) == 3);
  CHECK(cells.y.bins == 1);  // all are alike
  CHECK(cells.at(0, 3)->generation->generation_id() == "gen_middle");
  CHECK(grid_of(all, "number", "depth", 2, false).x.bins == 2);  // too many of them
}

TEST_CASE("generations are told with the numbers asked for, and which were killed") {
  auto tree = sample();
  tree.mutable_generations(0)->set_barred(true);
  const auto all = numbers_of(tree);
  const auto text = render_numbered({&all[0], &all[4]}, {"fitness", "coverage"}, style{});
  CHECK(text.find("KILLED") != std::string::npos);
  CHECK(text.find("coverage") != std::string::npos);
  CHECK(text.find(" - ") != std::string::npos);  // the fitness of gen_unsure
  const auto json = nlohmann::json::parse(numbered_json({&all[0]}));
  CHECK(json[0]["numbers"]["metric.coverage"] == 0.5);
  CHECK(json[0]["barred"] == true);
}

}  // namespace germline::cli
