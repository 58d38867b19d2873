#include "cli/render/archive.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

v1::GenerationInfo& add(v1::GetTreeReply& tree, const std::string& id, int samples, double mean,
                        double half) {
  auto& generation = *tree.add_generations();
  generation.set_generation_id(id);
  generation.set_number(tree.generations_size() - 1);
  auto& fitness = *generation.mutable_fitness();
  fitness.set_samples(samples);
  fitness.set_mean(mean);
  fitness.set_low(mean - half);
  fitness.set_high(mean + half);
  return generation;
}

v1::GetTreeReply sample(v1::FitnessDirection direction) {
  v1::GetTreeReply tree;
  tree.mutable_run()->set_run_id("run_1");
  tree.mutable_run()->set_fitness_direction(direction);
  add(tree, "gen_sure", 5, 2.0, 0.1);
  add(tree, "gen_lucky", 2, 2.5, 1.5);
  add(tree, "gen_poor", 5, 1.0, 0.1);
  add(tree, "gen_unscored", 0, 0, 0).mutable_fitness()->set_open(1);
  return tree;
}

std::vector<std::string> ids(const std::vector<const v1::GenerationInfo*>& ranked) {
  std::vector<std::string> out;
  for (const auto* each : ranked) out.push_back(each->generation_id());
  return out;
}

}  // namespace

TEST_CASE("generations rank by the cautious end of their interval") {
  const auto up = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  CHECK(ids(ranking(up)) == std::vector<std::string>{"gen_sure", "gen_lucky", "gen_poor"});
  const auto down = sample(v1::FITNESS_DIRECTION_MINIMIZE);
  CHECK(ids(ranking(down)) == std::vector<std::string>{"gen_poor", "gen_sure", "gen_lucky"});
}

TEST_CASE("who fails some of its evaluations is ahead of nobody who fails none") {
  auto tree = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  add(tree, "gen_choosy", 1, 9, 0).mutable_fitness()->set_failed(4);
  add(tree, "gen_early", 1, 8, 0).mutable_fitness()->set_open(4);
  CHECK(ids(ranking(tree)) ==
        std::vector<std::string>{"gen_sure", "gen_lucky", "gen_poor", "gen_choosy", "gen_early"});
  CHECK(render_ranking(ranking(tree), 9, style{}).find("1/5") != std::string::npos);
  const style narrow{.terminal = true, .columns = 80};
  const auto text = render_ranking(ranking(tree), 9, narrow);
  CHECK(text.find("FITNESS") != std::string::npos);
  CHECK(text.substr(0, text.find('\n')).size() <= 80);
}

TEST_CASE("of generations that are alike the older one stands first") {
  v1::GetTreeReply tree;
  add(tree, "gen_b", 1, 3, 0);
  add(tree, "gen_a", 1, 3, 0);
  CHECK(ids(ranking(tree)) == std::vector<std::string>{"gen_b", "gen_a"});
}

TEST_CASE("a ranking is cut where it is told to, as text and as JSON") {
  const auto tree = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  const auto ranked = ranking(tree);
  const auto text = render_ranking(ranked, 2, style{});
  CHECK(text.find("gen_lucky") != std::string::npos);
  CHECK(text.find("gen_poor") == std::string::npos);
  const auto json = nlohmann::json::parse(ranking_json(ranked, 2));
  REQUIRE(json.size() == 2);
  CHECK(json[0]["generation_id"] == "gen_sure");
  CHECK(nlohmann::json::parse(ranking_json({}, 2)).empty());
}

TEST_CASE("the archive is a line a generation, and a row") {
  auto tree = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  auto& evaluation = *tree.add_evaluations();
  evaluation.set_parent_generation("gen_sure");
  evaluation.mutable_score()->set_score(0.1);
  tree.mutable_generations(3)->set_barred(true);
  tree.mutable_generations(0)->add_merged("gen_a");
  tree.mutable_generations(0)->add_merged("gen_b");
  tree.mutable_generations(3)->set_parent("gen_sure");
  tree.mutable_generations(3)->set_likeness(0.25);
  tree.mutable_generations(3)->set_cost_nanousd(1'500'000'000);
  const auto lines = archive_lines(tree);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 4);
  const auto first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  CHECK(first["evaluations"][0]["score"]["score"] == 0.1);
  CHECK(first["generation"]["barred"] == false);
  CHECK(first["fitness_direction"] == "FITNESS_DIRECTION_MAXIMIZE");
  const auto csv = archive_csv(tree);
  CHECK(csv.substr(0, csv.find('\r'))
            .ends_with(",source_bytes,context_bytes,same_as,merged,novelty,cost_usd,imported"));
  CHECK(csv.find("gen_sure,,,0,0,,,0,5,0,0,2,1.9,2.1,false,0,0,,gen_a gen_b,,0,\r\n") !=
        std::string::npos);
  CHECK(csv.find("gen_unscored,,gen_sure,3,0,,,0,0,0,1,,,,true,0,0,,,0.75,1.5,\r\n") !=
        std::string::npos);
}

TEST_CASE("who has the source of another is that one, in the ranks") {
  auto tree = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  auto& same = *tree.add_generations();
  same = tree.generations(0);
  same.set_generation_id("gen_same");
  same.set_same_as("gen_sure");
  CHECK(ids(ranking(tree)) == std::vector<std::string>{"gen_sure", "gen_lucky", "gen_poor"});
  CHECK(archive_csv(tree).find(",false,0,0,gen_sure,,,0,\r\n") != std::string::npos);
  // Where that one is not in the tree, of a lineage alone, it has its own rank.
  tree.mutable_generations()->DeleteSubrange(0, 1);
  CHECK(ids(ranking(tree)) == std::vector<std::string>{"gen_same", "gen_lucky", "gen_poor"});
}

TEST_CASE("what was killed keeps its rank, and is marked where it is among those that are told") {
  auto tree = sample(v1::FITNESS_DIRECTION_MAXIMIZE);
  tree.mutable_generations(1)->set_barred(true);
  const auto ranked = ranking(tree);
  CHECK(ids(ranked) == std::vector<std::string>{"gen_sure", "gen_lucky", "gen_poor"});
  CHECK(render_ranking(ranked, 1, style{}).find("KILLED") == std::string::npos);
  const auto text = render_ranking(ranked, 9, style{.terminal = true, .columns = 80});
  CAPTURE(text);
  CHECK(text.substr(0, text.find('\n')).ends_with("KILLED"));
  const auto lucky = text.substr(text.find("gen_lucky"));
  CHECK(lucky.substr(0, lucky.find('\n')).ends_with("  yes"));
  CHECK(text.ends_with("  -\n"));
  CHECK(nlohmann::json::parse(ranking_json(ranked, 2))[1]["barred"] == true);
}

TEST_CASE("fitness is told in a few words") {
  v1::GetTreeReply tree;
  const auto words = [&](int samples, int failed, int open, double half) {
    auto& generation = add(tree, "gen_a", samples, 2.635994, half);
    generation.mutable_fitness()->set_failed(failed);
    generation.mutable_fitness()->set_open(open);
    return fitness_words(generation, style{.unicode = true});
  };
  CHECK(words(1, 0, 0, 0) == "fitness 2.63599");
  CHECK(words(3, 0, 0, 0.25) == "fitness 2.63599 ±0.25 of 3");
  CHECK(words(1, 1, 1, 0) == "fitness 2.63599, 1 without score, being measured");
  CHECK(words(0, 2, 0, 0) == "no score");
  auto& failed = add(tree, "gen_a", 0, 0, 0);
  failed.mutable_fitness()->set_failed(1);
  failed.mutable_fitness()->set_reason("crash");
  CHECK(fitness_words(failed, style{}) == "no score (crash)");
  CHECK(words(0, 0, 2, 0) == "being measured");
  CHECK(fitness_words(v1::GenerationInfo(), style{}).empty());
}

}  // namespace germline::cli
