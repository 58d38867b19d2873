// How runs are told whose lineages move: where each iteration came from, how that was chosen, and
// which lineages wait, drain or leave.
#include <doctest/doctest.h>

#include <algorithm>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

const style plain{};
const style terminal{.terminal = true, .columns = 80};

const std::string first_lineage = "lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10";
const std::string second_lineage = "lin_1190f3c2a1b27c3d8e4f5a6b7c8d9e10";
const std::string seed = "gen_0190f3c2a1b27c3d8e4f5a6b7c8d9e20";
const std::string first_child = "gen_1190f3c2a1b27c3d8e4f5a6b7c8d9e20";
const std::string second_child = "gen_2190f3c2a1b27c3d8e4f5a6b7c8d9e20";

v1::GenerationInfo& add_generation(v1::GetTreeReply& tree, const std::string& id,
                                   const std::string& lineage, const std::string& parent) {
  auto& generation = *tree.add_generations();
  generation.set_generation_id(id);
  generation.set_lineage_id(lineage);
  generation.set_parent(parent);
  generation.set_number(parent.empty() ? 0 : 1);
  generation.set_commit(std::string(40, 'a'));
  return generation;
}

v1::IterationInfo& add_iteration(v1::GetTreeReply& tree, const std::string& lineage,
                                 const std::string& parent, const std::string& born) {
  auto& iteration = *tree.add_iterations();
  iteration.set_item_id("itm_" + std::to_string(tree.iterations_size()));
  iteration.set_kind(v1::WORK_KIND_ITERATE);
  iteration.set_lineage_id(lineage);
  iteration.set_parent_generation(parent);
  iteration.set_number(1);
  iteration.set_ending(born.empty() ? v1::ENDING_STALLED : v1::ENDING_EVOLVED);
  iteration.set_generation_id(born);
  return iteration;
}

void set_choice(v1::IterationInfo& iteration, int among, double probability, int unmeasured) {
  iteration.mutable_choice()->set_among(among);
  iteration.mutable_choice()->set_probability(probability);
  iteration.mutable_choice()->set_unmeasured(unmeasured);
}

/// Two lineages; the second one's iterations start from the seed, from the first one's child, and
/// from the seed again.
v1::GetTreeReply sample() {
  v1::GetTreeReply tree;
  auto& run = *tree.mutable_run();
  run.set_run_id("run_1");
  run.set_seed_commit("aaaa");
  run.set_found_state("founded");
  run.set_strategy("archive-sampling,form=median");
  for (const auto& id : {first_lineage, second_lineage}) {
    auto& lineage = *run.add_lineages();
    lineage.set_lineage_id(id);
    lineage.set_state(v1::LINEAGE_STATE_ACTIVE);
  }
  add_generation(tree, seed, "", "");
  add_generation(tree, first_child, first_lineage, seed);
  add_generation(tree, second_child, second_lineage, seed);
  set_choice(add_iteration(tree, first_lineage, seed, first_child), 1, 1, 0);
  set_choice(add_iteration(tree, second_lineage, seed, second_child), 1, 1, 0);
  set_choice(add_iteration(tree, second_lineage, first_child, ""), 12, 1. / 12, 2);
  set_choice(add_iteration(tree, second_lineage, seed, ""), 12, 0.5, 0);
  return tree;
}

std::size_t widest(std::string_view text) {
  std::size_t most = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    most = std::max(most, width(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return most;
}

v1::WatchEvent event_of(const v1::IterationInfo& iteration) {
  v1::WatchEvent event;
  *event.mutable_iteration() = iteration;
  event.set_lineage_id(iteration.lineage_id());
  return event;
}

}  // namespace

TEST_CASE("the tree tells the strategy, and from where an iteration came that moved its lineage") {
  CHECK(render_tree(sample(), plain) ==
        "run_1\n  seed aaaa, no model\n  strategy archive-sampling,form=median\n"
        "* generation 0 gen_0190f3c2a1b27c3d8e aaaaaaaaaa  the seed\n"
        "|- lin_0190f3c2a1b27c3d8e  active, depth 0, 0 iterations\n"
        "|  `- evolved -> generation 1 gen_1190f3c2a1b27c3d8e aaaaaaaaaa\n"
        "`- lin_1190f3c2a1b27c3d8e  active, depth 0, 0 iterations\n"
        "   |- evolved -> generation 1 gen_2190f3c2a1b27c3d8e aaaaaaaaaa\n"
        "   |- stalled itm_3\n"
        "   |     from generation 1 gen_1190f3c2a1b27c3d8e of lin_0190f3c2a1b27c3d8e\n"
        "   |     chosen among 12 with probability 0.083; 2 were not measured yet\n"
        "   `- stalled itm_4\n"
        "         from generation 0 gen_0190f3c2a1b27c3d8e, the seed\n"
        "         chosen among 12 with probability 0.5\n");
  auto tree = sample();
  tree.mutable_run()->set_strategy("chain");
  CHECK(render_tree(tree, plain).find("strategy") == std::string::npos);
}

TEST_CASE("where a lineage stands is its origin, what was born in it, and a rollback's end") {
  auto tree = sample();
  tree.clear_iterations();
  auto& fork = *tree.mutable_run()->mutable_lineages(1);
  fork.set_forked_from(first_child);
  add_iteration(tree, second_lineage, first_child, second_child);
  add_iteration(tree, second_lineage, second_child, "");
  auto& back = *tree.add_rollbacks();
  back.set_lineage_id(second_lineage);
  back.set_generation_id(first_child);
  back.set_after_iteration("itm_2");
  add_iteration(tree, second_lineage, first_child, "");
  CHECK(render_tree(tree, plain).find("   from ") == std::string::npos);
  // An older one of its own needs no lineage's name.
  add_iteration(tree, second_lineage, second_child, "");
  CHECK(render_tree(tree, plain).ends_with("         from generation 1 gen_2190f3c2a1b27c3d8e\n"));
  // Of one that is not in this tree its id is all that is known.
  add_iteration(tree, second_lineage, "gen_9", "");
  CHECK(render_tree(tree, plain).ends_with("         from generation gen_9\n"));
}

TEST_CASE("how a parent was chosen is told in a few words") {
  v1::ParentChoice choice;
  choice.set_among(1);
  choice.set_probability(1);
  CHECK(choice_words(choice) == "the only one that could be");
  choice.set_unmeasured(1);
  CHECK(choice_words(choice) == "the only one that could be; 1 was not measured yet");
  choice.set_among(100'000);
  choice.set_probability(0.00001234);
  CHECK(choice_words(choice) ==
        "chosen among 100000 with probability 1.2e-05; 1 was not measured yet");
}

TEST_CASE("a generation that was killed is marked, in the tree and by itself") {
  auto tree = sample();
  tree.mutable_generations(0)->set_barred(true);
  tree.mutable_generations(1)->set_barred(true);
  const auto text = render_tree(tree, plain);
  CHECK(text.find("the seed, killed\n") != std::string::npos);
  CHECK(text.find("gen_1190f3c2a1b27c3d8e aaaaaaaaaa  killed\n") != std::string::npos);
  v1::ShowReply show;
  *show.mutable_generation() = tree.generations(1);
  CHECK(render_show(show, plain).find("killed        it can be no parent any more\n") !=
        std::string::npos);
  show.mutable_generation()->set_barred(false);
  CHECK(render_show(show, plain).find("killed") == std::string::npos);
}

TEST_CASE("a measured tree fits a terminal of 80 columns") {
  auto tree = sample();
  tree.mutable_run()->set_strategy(std::string(256, 's'));
  for (auto& each : *tree.mutable_generations()) {
    each.set_number(99'999);
    each.set_barred(true);
    auto& fitness = *each.mutable_fitness();
    fitness.set_samples(100);
    fitness.set_failed(10);
    fitness.set_mean(-1234.5678);
    fitness.set_high(-1111.1111);
    fitness.set_open(3);
    fitness.set_reason(std::string(200, 'r'));
  }
  for (auto& each : *tree.mutable_iterations()) set_choice(each, 1'000'000, 1e-6, 1'000);
  tree.mutable_run()->mutable_lineages(0)->set_waits_for(std::string(200, 'w') + " to be measured");
  const auto text = render_tree(tree, terminal);
  CAPTURE(text);
  CHECK(widest(text) <= 80);
  CHECK(text.find("\n    fitness -1234.57 +-123.457 of 100, 10 without score, being measured\n") !=
        std::string::npos);
  CHECK(text.find("\n|  |     fitness -1234.57 +-") != std::string::npos);
  // What fits stays behind the names.
  for (auto& each : *tree.mutable_generations()) {
    each.set_number(1);
    each.clear_fitness();
  }
  CHECK(render_tree(tree, terminal).find("aaaaaaaaaa  killed\n") != std::string::npos);
}

TEST_CASE("an iteration is shown with the whole of how its parent was chosen") {
  v1::ShowReply reply;
  auto& iteration = *reply.mutable_iteration();
  iteration.set_item_id("itm_1");
  iteration.set_parent_generation("gen_1");
  set_choice(iteration, 12, 1. / 12, 2);
  iteration.mutable_choice()->set_measured_since(3);
  CHECK(render_show(reply, plain)
            .find("parent        gen_1\nchosen among  12, with probability 0.0833333\n"
                  "unmeasured    2 at the choice\nmeasured      3 since the choice\n") !=
        std::string::npos);
  iteration.set_ended_ms(1);
  CHECK(render_show(reply, plain).find("measured      3 between the choice and the end\n") !=
        std::string::npos);
  iteration.clear_choice();
  CHECK(render_show(reply, plain).find("chosen") == std::string::npos);
}

TEST_CASE("what an iteration was shown is told, and what was merged of it") {
  v1::ShowReply reply;
  auto& shown = *reply.mutable_iteration()->add_inspirations();
  reply.mutable_iteration()->set_item_id("itm_1");
  reply.mutable_iteration()->set_parent_generation("gen_1");
  shown.set_generation_id("gen_2\x1b");
  shown.set_mean(2.5);
  CHECK(render_show(reply, plain)
            .find("parent        gen_1\ninspiration   gen_2\\x1b, fitness 2.5\n") !=
        std::string::npos);
  auto tree = sample();
  tree.mutable_run()->set_inspirations(2);
  tree.mutable_generations(1)->add_merged("gen_3");
  const auto told = render_tree(tree, plain);
  CHECK(told.find("form=median\n  inspirations 2\n") != std::string::npos);
  CHECK(told.find("aaaaaaaaaa  merged gen_3\n") != std::string::npos);
  v1::ShowReply born;
  *born.mutable_generation() = tree.generations(1);
  CHECK(render_show(born, plain).find("merged        gen_3\n") != std::string::npos);
  v1::ShowReply run;
  *run.mutable_run() = tree.run();
  CHECK(render_show(run, plain).find("inspirations  2\n") != std::string::npos);
}

TEST_CASE("several models are told, and what was known of each when one was chosen") {
  v1::ShowReply reply;
  auto& iteration = *reply.mutable_iteration();
  iteration.set_item_id("itm_1");
  iteration.set_parent_generation("gen_1");
  iteration.set_model("a\x1b");
  auto& tried = *iteration.add_arms();
  tried.set_model("a\x1b");
  tried.set_pulls(3);
  tried.set_mean(0.25);
  tried.set_index(1.5);
  auto& fresh = *iteration.add_arms();
  fresh.set_model("b");
  fresh.set_index(std::numeric_limits<double>::infinity());
  CHECK(render_show(reply, plain)
            .find("model         a\\x1b\narm           a\\x1b, mean 0.25 of 3 pulls, index 1.5\n"
                  "arm           b, mean 0 of 0 pulls, not tried yet\n") != std::string::npos);
  auto tree = sample();
  tree.mutable_run()->set_model("a");
  tree.mutable_run()->add_models("a");
  tree.mutable_run()->add_models("b");
  tree.mutable_run()->set_model_choice("ucb1");
  CHECK(render_tree(tree, plain).find("seed aaaa, 2 models, spent ") != std::string::npos);
  CHECK(render_tree(tree, plain).find("\n  models a, b by ucb1\n") != std::string::npos);
  v1::ShowReply run;
  *run.mutable_run() = tree.run();
  CHECK(render_show(run, plain).find("model         a\nmodel         b\nchosen by     ucb1\n") !=
        std::string::npos);
}

TEST_CASE("a run is shown with its strategy and its share") {
  v1::ShowReply reply;
  reply.mutable_run()->set_run_id("run_1");
  reply.mutable_run()->set_strategy("be\x1bst");
  reply.mutable_run()->set_weight(3);
  CHECK(render_show(reply, plain).find("share         weight 3\nstrategy      be\\x1bst\n") !=
        std::string::npos);
  auto tree = sample();
  tree.mutable_run()->set_weight(1);
  CHECK(render_tree(tree, plain).find("share") == std::string::npos);
  tree.mutable_run()->set_priority(-2);
  CHECK(render_tree(tree, plain).find("  share weight 1, priority -2\n") != std::string::npos);
}

TEST_CASE("what a lineage waits for of which nothing is live is told as of an iteration") {
  v1::ListRunsReply runs;
  auto& run = *runs.add_runs();
  run.set_found_state("founded");
  auto& lineage = *run.add_lineages();
  lineage.set_lineage_id("lin_1");
  lineage.set_state(v1::LINEAGE_STATE_ACTIVE);
  lineage.set_waits_for("generation 3 to be mea\x1bsured");
  CHECK(render_waiting(runs) == "lin_1 waits for generation 3 to be mea\\x1bsured\n");
  CHECK(render_runs(runs, false, 1, plain).find("  waiting  ") != std::string::npos);
  v1::ShowReply show;
  *show.mutable_lineage() = lineage;
  const std::string told = "waits for     generation 3 to be mea\\x1bsured\n";
  CHECK(render_show(show, plain).find(told) != std::string::npos);
  auto tree = sample();
  tree.mutable_run()->mutable_lineages(0)->set_waits_for("generation 1 to be measured");
  CHECK(render_tree(tree, plain).find("|  `- waits for generation 1 to be measured\n") !=
        std::string::npos);
  lineage.set_waits_for("gen_0190f3c2a1b27c3d8e0123456789abcd to be measured once more");
  CHECK(render_waiting(runs) ==
        "lin_1 waits for gen_0190f3c2a1b27c3d8e to be measured once more\n");
  // What an iteration waits for goes first, and who is paused waits for a person.
  lineage.mutable_live()->set_item_id("itm_1");
  CHECK(render_waiting(runs).empty());
  lineage.clear_live();
  lineage.set_state(v1::LINEAGE_STATE_PAUSED);
  CHECK(render_waiting(runs).empty());
  *show.mutable_lineage() = lineage;
  CHECK(render_show(show, plain).find("waits for") == std::string::npos);
}

TEST_CASE("a lineage that drains is told so until it is over") {
  v1::LineageInfo lineage;
  lineage.set_state(v1::LINEAGE_STATE_ACTIVE);
  lineage.set_draining(true);
  CHECK(state_words(lineage) == "active, draining");
  lineage.set_state(v1::LINEAGE_STATE_RETIRED);
  CHECK(state_words(lineage) == "retired");
}

TEST_CASE("of an iteration that begins elsewhere than its lineage stood the log names the parent") {
  const auto tree = sample();
  event_story story(plain, true);
  const auto begin = [&](int i) {
    auto event = event_of(tree.iterations(i));
    event.mutable_iteration()->clear_ending();
    event.mutable_iteration()->clear_generation_id();
    event.mutable_iteration()->add_attempts();
    return story.tell(event);
  };
  const auto tell = [&](int i) { return story.tell(event_of(tree.iterations(i))); };
  v1::IterationInfo founding;
  founding.set_kind(v1::WORK_KIND_FOUND);
  founding.set_ending(v1::ENDING_EVOLVED);
  founding.set_generation_id(seed);
  story.tell(event_of(founding));
  // The seed, from which each begins, goes without saying.
  CHECK(begin(0) == "--:--:-- lin_0190f3c2a1b27c3d8e itm_1 began\n");
  CHECK(begin(1) == "--:--:-- lin_1190f3c2a1b27c3d8e itm_2 began\n");
  tell(0);
  tell(1);
  CHECK(begin(2) ==
        "--:--:-- lin_1190f3c2a1b27c3d8e itm_3 began from generation 1 gen_1190f3c2a1b27c3d8e\n");
  CHECK(begin(3) ==
        "--:--:-- lin_1190f3c2a1b27c3d8e itm_4 began from generation 0 gen_0190f3c2a1b27c3d8e\n");
  // It has been taken back there meanwhile.
  v1::WatchEvent back;
  back.set_lineage_id(second_lineage);
  back.mutable_lineage()->set_rolled_back_to(seed);
  story.tell(back);
  CHECK(begin(3) == "--:--:-- lin_1190f3c2a1b27c3d8e itm_4 began\n");
}

TEST_CASE("a log that does not know where a lineage stood names what was chosen") {
  event_story story(plain, false);
  auto event = event_of(sample().iterations(2));
  event.mutable_iteration()->clear_ending();
  event.mutable_iteration()->add_attempts()->set_leased_ms(3'500);
  event.mutable_iteration()->set_started_ms(1'000);
  CHECK(story.tell(event) ==
        "--:--:-- itm_3 began from generation gen_1190f3c2a1b27c3d8e, having waited 2.5s\n");
  event_story narrow(terminal, true);
  const auto text = narrow.tell(event);
  CAPTURE(text);
  CHECK(widest(text) <= 80);
  // Where nothing was chosen it is the lineage's own head.
  event.mutable_iteration()->clear_choice();
  CHECK(story.tell(event) == "--:--:-- itm_3 began, having waited 2.5s\n");
}

TEST_CASE("of a run that was scaled each lineage that came or goes is told") {
  v1::ScaleReply reply;
  CHECK(render_scaled(reply, plain).empty());
  reply.add_added()->set_lineage_id("lin_4");
  auto& retired = *reply.add_leaving();
  retired.set_lineage_id("lin_3");
  retired.set_state(v1::LINEAGE_STATE_RETIRED);
  auto& drains = *reply.add_leaving();
  drains.set_lineage_id("lin_2");
  drains.set_state(v1::LINEAGE_STATE_ACTIVE);
  drains.set_draining(true);
  CHECK(render_scaled(reply, plain) ==
        "lin_4 added\nlin_3 retired\nlin_2 drains: it retires when its live iteration ends\n");
  auto& killed = *reply.add_killed();
  killed.set_lineage_id("lin_1");
  killed.set_proof(v1::KILL_PROOF_NOTHING_RAN);
  CHECK(render_scaled(reply, plain)
            .ends_with("ends\nLINEAGE  PROOF        TOOK\nlin_1    nothing ran  0ms\n"));
  CHECK(render_scaled(reply, plain).find('\x1b') == std::string::npos);
}

}  // namespace germline::cli
