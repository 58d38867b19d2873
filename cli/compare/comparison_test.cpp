#include "cli/compare/comparison.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace germline::cli {
namespace {

/// A run of two lineages, whose ids begin with `name`: each had two iterations, of which the second
/// lineage's last was refused.
v1::GetTreeReply sample(const std::string& name) {
  v1::GetTreeReply tree;
  tree.mutable_run()->set_run_id("run_" + name);
  auto& seed = *tree.add_generations();
  seed.set_generation_id("gen_" + name + "0");
  seed.set_source_id("s0");
  int time = 0;
  for (int lineage = 1; lineage <= 2; ++lineage) {
    const auto lineage_id = "lin_" + name + std::to_string(lineage);
    tree.mutable_run()->add_lineages()->set_lineage_id(lineage_id);
    auto parent = seed.generation_id();
    for (int nth = 1; nth <= 2; ++nth) {
      const auto suffix = name + std::to_string(lineage) + std::to_string(nth);
      auto& iteration = *tree.add_iterations();
      iteration.set_item_id("itm_" + suffix);
      iteration.set_kind(v1::WORK_KIND_ITERATE);
      iteration.set_lineage_id(lineage_id);
      iteration.set_parent_generation(parent);
      iteration.set_started_ms(++time);
      iteration.set_ended_ms(++time);
      if (lineage == 2 && nth == 2) {
        iteration.set_ending(v1::ENDING_REJECTED);
        iteration.set_reason("test");
        continue;
      }
      iteration.set_ending(v1::ENDING_EVOLVED);
      iteration.set_generation_id("gen_" + suffix);
      auto& born = *tree.add_generations();
      born.set_generation_id(iteration.generation_id());
      born.set_lineage_id(lineage_id);
      born.set_born_of_iteration(iteration.item_id());
      born.set_source_id("s" + std::to_string(lineage) + std::to_string(nth));
      parent = born.generation_id();
    }
  }
  for (int i = 0; i < tree.generations_size(); ++i) {
    auto& evaluation = *tree.add_evaluations();
    evaluation.set_kind(v1::WORK_KIND_EVALUATE);
    evaluation.set_parent_generation(tree.generations(i).generation_id());
    evaluation.set_number(1);
    evaluation.set_ending(v1::ENDING_SCORED);
    evaluation.mutable_score()->set_score(0.1 * i);
  }
  return tree;
}

TEST_CASE("runs that did the same are the same, whatever their ids") {
  const auto found = compare(sample("a"), sample("b"));
  CHECK(found.is_same());
  CHECK(found.iterations == 4);
  CHECK(found.same == 4);
  CHECK(found.scores == 4);
  CHECK(render_comparison(found, {}) ==
        "run_b against run_a: of 4 iterations 4 are the same, with parent, ending, source and "
        "4 scores\n");
}

TEST_CASE("nothing is said of scores where none were compared") {
  auto of = sample("a");
  auto with = sample("b");
  of.clear_evaluations();
  with.clear_evaluations();
  CHECK(render_comparison(compare(of, with), {}) ==
        "run_b against run_a: of 4 iterations 4 are the same, with parent, ending and source\n");
}

TEST_CASE("what asked something else than was recorded is told with the request") {
  auto with = sample("b");
  auto& differs = *with.mutable_iterations(0);
  differs.set_ending(v1::ENDING_FAILED);
  differs.set_reason("difference");
  differs.set_details(
      "the model was asked something else than was recorded: request 2 differs: x\nthe agent");
  const auto text = render_comparison(compare(sample("a"), with), {});
  const auto* is =
      ", is failed (difference): the model was asked something else than was recorded: request 2 "
      "differs: x\n";
  CHECK_MESSAGE(text.find(is) != std::string::npos, text);
}

TEST_CASE("the first difference is the one of the iteration that ended first") {
  auto is = sample("b");
  is.mutable_iterations(3)->set_reason("build");          // lineage 2, its second
  is.mutable_generations(1)->set_source_id("elsewhere");  // of lineage 1's first
  is.mutable_iterations(1)->set_parent_generation("gen_b0");
  const auto found = compare(sample("a"), is);
  REQUIRE(found.differences.size() == 3);
  CHECK(found.same == 1);
  const auto& first = found.differences[0];
  CHECK(first.where == "iteration 1 of lineage 1");
  CHECK(first.what == "source");
  CHECK(first.was == "s11");
  CHECK(first.is == "elsewhere");
  CHECK(first.of == "itm_a11");
  CHECK(first.with == "itm_b11");
  CHECK(found.differences[1].what == "parent");
  CHECK(found.differences[1].was == "what iteration 1 of lineage 1 bore");
  CHECK(found.differences[1].is == "the seed");
  CHECK(found.differences[2].was == "rejected (test)");
  CHECK(found.differences[2].is == "rejected (build)");
  const auto text = render_comparison(found, {});
  CHECK(text.find("First difference: iteration 1 of lineage 1: source was s11, is elsewhere\n"
                  "  itm_a11 / itm_b11\n") != std::string::npos);
}

TEST_CASE("scores are compared exactly, each for itself, and those that are missing are told") {
  auto is = sample("b");
  is.mutable_evaluations(2)->mutable_score()->set_score(std::nextafter(0.2, 1));
  CHECK(compare(sample("a"), is).differences.size() == 1);
  is.mutable_evaluations(2)->mutable_score()->set_score(0.25);
  is.mutable_evaluations(3)->set_ending(v1::ENDING_FAILED);
  is.mutable_evaluations(3)->set_reason("crash");
  const auto found = compare(sample("a"), is);
  REQUIRE(found.differences.size() == 2);
  CHECK(found.differences[0].is == "0.25");
  CHECK(found.differences[1].is == "none (crash)");
  is.mutable_evaluations()->DeleteSubrange(3, 1);
  CHECK(compare(sample("a"), is).differences[1].is == "none");
}

TEST_CASE("what has another's source has its scores") {
  auto was = sample("a");
  auto is = sample("b");
  was.mutable_generations(2)->set_same_as("gen_a11");
  is.mutable_generations(2)->set_same_as("gen_b11");
  was.mutable_evaluations()->DeleteSubrange(2, 1);
  is.mutable_evaluations()->DeleteSubrange(2, 1);
  CHECK(compare(was, is).is_same());
}

TEST_CASE("iterations that are missing or more are told; killed ones are none") {
  auto is = sample("b");
  is.mutable_iterations(3)->set_ending(v1::ENDING_KILLED);
  const auto less = compare(sample("a"), is);
  REQUIRE(less.differences.size() == 1);
  CHECK(less.differences[0].what == "iteration");
  CHECK(less.differences[0].with.empty());
  const auto more = compare(is, sample("a"));
  CHECK(more.differences.empty());
  CHECK(more.more == 1);
  CHECK(!more.is_same());
  CHECK(render_comparison(more, {}).find("1 iteration more than there was") != std::string::npos);
  const auto json = nlohmann::json::parse(comparison_json(less));
  CHECK(json["iterations"] == 4);
  CHECK(json["same"] == 3);
  CHECK(json["differences"][0]["was"] == "done");
}

TEST_CASE("a replay is compared with what there was when it was made, whichever is named first") {
  auto was = sample("a");
  auto is = sample("b");
  is.mutable_run()->set_replay_of("run_a");
  is.mutable_run()->set_created_ms(7);  // the last of `was` ended at 8
  is.mutable_iterations()->DeleteSubrange(3, 1);
  for (int i = 0; i < 3; ++i) {
    is.mutable_iterations(i)->set_replay_of(was.iterations(i).item_id());
    is.mutable_iterations(i)->set_ended_ms(100 + i);
  }
  for (const auto& found : {compare(was, is), compare(is, was)}) {
    CHECK(found.of == "run_a");
    CHECK(found.with == "run_b");
    CHECK(found.iterations == 3);
    CHECK(found.later == 1);
    CHECK(found.is_same());
    CHECK(render_comparison(found, {}).find(
              "1 iteration that ended after the replay was made is") != std::string::npos);
  }
}

TEST_CASE("an iteration that no worker kept was not done; of a replay it is told") {
  auto was = sample("a");
  was.mutable_iterations(0)->set_ending(v1::ENDING_FAILED);
  was.mutable_iterations(0)->set_reason("attempts_lost");
  was.mutable_iterations(0)->clear_generation_id();
  was.mutable_iterations(1)->set_parent_generation("gen_a0");
  was.mutable_generations()->DeleteSubrange(1, 1);
  auto is = sample("b");
  is.mutable_run()->set_replay_of("run_a");
  is.mutable_iterations()->DeleteSubrange(0, 1);
  is.mutable_iterations(0)->set_parent_generation("gen_b0");
  is.mutable_generations()->DeleteSubrange(1, 1);
  is.mutable_iterations(0)->set_replay_of("itm_a12");
  is.mutable_iterations(1)->set_replay_of("itm_a21");
  is.mutable_iterations(2)->set_replay_of("itm_a22");
  const auto same = compare(was, is);
  CHECK(same.is_same());
  CHECK(same.iterations == 3);
  is.mutable_iterations(2)->set_ending(v1::ENDING_FAILED);
  is.mutable_iterations(2)->set_reason("attempts_lost");
  const auto lost = compare(was, is);
  REQUIRE(lost.differences.size() == 1);
  CHECK(lost.differences[0].is == "failed (attempts_lost)");
}

TEST_CASE("what is printed has no control characters of what was compared") {
  auto is = sample("b");
  is.mutable_generations(1)->set_source_id("\x1b[31mred");
  CHECK(render_comparison(compare(sample("a"), is), {}).find('\x1b') == std::string::npos);
}

}  // namespace
}  // namespace germline::cli
