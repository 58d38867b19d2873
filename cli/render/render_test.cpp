#include "cli/render/render.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

const style plain{};

v1::GetTreeReply sample_tree() {
  v1::GetTreeReply reply;
  auto& run = *reply.mutable_run();
  run.set_run_id("run_0190f3c2a1b27c3d8e4f5a6b7c8d9e0f");
  run.set_name("first");
  run.set_seed_commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  run.set_found_state("founded");
  auto& lineage = *run.add_lineages();
  lineage.set_lineage_id("lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
  lineage.set_state(v1::LINEAGE_STATE_PAUSED);
  lineage.set_pause_reason(v1::PAUSE_REASON_DONE);
  lineage.set_depth(1);
  lineage.set_iterations_done(2);
  lineage.set_max_iterations(2);
  auto& seed = *reply.add_generations();
  seed.set_generation_id("gen_0190f3c2a1b27c3d8e4f5a6b7c8d9e20");
  seed.set_born_of_iteration("itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e29");  // the founding
  seed.set_commit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  auto& child = *reply.add_generations();
  child.set_generation_id("gen_0190f3c2a1b27c3d8e4f5a6b7c8d9e21");
  child.set_parent(seed.generation_id());
  child.set_born_of_iteration("itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e30");
  child.set_number(1);
  child.set_commit("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
  auto& first = *reply.add_iterations();
  first.set_item_id("itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e30");
  first.set_lineage_id(lineage.lineage_id());
  first.set_kind(v1::WORK_KIND_ITERATE);
  first.set_number(1);
  first.set_ending(v1::ENDING_EVOLVED);
  first.set_generation_id(child.generation_id());
  first.set_action("gave itself a new tool");
  first.set_started_ms(1'000);
  first.set_ended_ms(33'500);
  first.add_attempts()->set_leased_ms(3'500);
  first.mutable_attempts(0)->set_ended_ms(33'500);
  auto& second = *reply.add_iterations();
  second.set_item_id("itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e31");
  second.set_lineage_id(lineage.lineage_id());
  second.set_kind(v1::WORK_KIND_ITERATE);
  second.set_number(2);
  second.set_ending(v1::ENDING_REJECTED);
  second.set_reason("protected");
  second.set_details("behaviour/two is red\nmore lines");
  return reply;
}

/// The widest line, without colours.
std::size_t widest(std::string_view text) {
  std::size_t most = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    most = std::max(most, width(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return most;
}

}  // namespace

TEST_CASE("of why an iteration ended its event shows the first line") {
  v1::WatchEvent event;
  event.mutable_iteration()->set_kind(v1::WORK_KIND_ITERATE);
  event.mutable_iteration()->set_ending(v1::ENDING_REJECTED);
  event.mutable_iteration()->set_reason("test");
  event.mutable_iteration()->set_details("a test is red\nand forty lines more");
  const auto text = render_event(event, {});
  CHECK(text.find("rejected (test): a test is red...\n") != std::string::npos);
  CHECK(text.find("forty") == std::string::npos);
}

TEST_CASE("the tree names generations, iterations, endings and why") {
  CHECK(render_tree(sample_tree(), plain) ==
        "run_0190f3c2a1b27c3d8e first\n  seed aaaaaaaaaa, no model\n"
        "* generation 0 gen_0190f3c2a1b27c3d8e aaaaaaaaaa  the seed\n"
        "`- lin_0190f3c2a1b27c3d8e  done, depth 1, 2 of 2 iterations\n"
        "   |- evolved -> generation 1 gen_0190f3c2a1b27c3d8e bbbbbbbbbb  30.0s\n"
        "   |     waited 2.5s\n"
        "   |     gave itself a new tool\n"
        "   `- rejected (protected) itm_0190f3c2a1b27c3d8e\n"
        "         behaviour/two is red...\n");
}

TEST_CASE("only births have numbers, since the next to be born takes that of one that was not") {
  auto tree = sample_tree();
  auto& live = *tree.add_iterations();
  live = tree.iterations(1);
  live.set_item_id("itm_1190f3c2a1b27c3d8e4f5a6b7c8d9e32");
  live.set_ending(v1::ENDING_UNSPECIFIED);
  v1::WatchEvent born;
  *born.mutable_iteration() = tree.iterations(0);
  CHECK(render_event(born, plain).find(" evolved, generation 1: gave itself") != std::string::npos);
  for (const int i : {1, 2}) {
    v1::WatchEvent event;
    *event.mutable_iteration() = tree.iterations(i);
    const auto text = render_event(event, plain);
    CHECK(text.find(short_id(tree.iterations(i).item_id())) != std::string::npos);
    CHECK(text.find("generation") == std::string::npos);
  }
  CHECK(render_tree(tree, plain).find('#') == std::string::npos);
}

TEST_CASE("on a terminal of 80 columns all fits") {
  const style terminal{.terminal = true, .unicode = true, .columns = 80};
  const std::string long_text(300, 'w');
  auto tree = sample_tree();
  auto& run = *tree.mutable_run();
  run.set_name(long_text);
  run.set_repository("/" + long_text);
  run.set_model(long_text);
  run.set_budget_nanousd(5'123'456'789);
  run.set_spent_nanousd(1'123'456'789);
  run.set_created_ms(1'000);
  auto& lineage = *run.mutable_lineages(0);
  lineage.set_depth(120);
  lineage.set_iterations_done(1'000);
  lineage.set_max_iterations(1'000);
  lineage.set_spent_nanousd(1'123'456'789);
  lineage.mutable_live()->set_phase(v1::ITERATION_PHASE_VALIDATING);
  tree.mutable_iterations(0)->set_action(long_text);
  tree.mutable_iterations(1)->set_reason(long_text);
  tree.mutable_iterations(1)->set_details(long_text + "\n" + long_text + " and " + long_text);
  for (int i = 0; i < 2; ++i) {
    auto& attempt = *tree.mutable_iterations(1)->add_attempts();
    attempt.set_attempt_id("att_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
    attempt.set_worker_id("wrk_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
    attempt.set_details(long_text);
  }
  v1::ListRunsReply runs;
  *runs.add_runs() = run;
  v1::ShowReply show_run, show_iteration;
  *show_run.mutable_run() = run;
  *show_iteration.mutable_iteration() = tree.iterations(1);
  v1::WatchEvent event;
  *event.mutable_iteration() = tree.iterations(0);
  for (const auto& text : {render_tree(tree, terminal), render_runs(runs, true, 62'000, terminal),
                           render_show(show_run, terminal), render_show(show_iteration, terminal),
                           render_event(event, terminal)}) {
    CAPTURE(text);
    CHECK(widest(text) <= 80);
  }
  const auto listed = render_runs(runs, true, 62'000, terminal);
  CHECK(listed.find(short_id(lineage.lineage_id())) != std::string::npos);
  CHECK(listed.find("1000/1000") != std::string::npos);
}

TEST_CASE("on a terminal an event's reason goes on beneath it, and is not cut at once") {
  const style terminal{.terminal = true, .unicode = true, .columns = 80};
  const std::string why =
      "the build failed: build.sh ended with exit code 2, and there is no build/evolve to run";
  v1::WatchEvent event;
  event.set_time_ms(3'661'000);
  event.set_lineage_id("lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
  auto& iteration = *event.mutable_iteration();
  iteration.set_item_id("itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e30");
  iteration.set_kind(v1::WORK_KIND_ITERATE);
  iteration.set_ending(v1::ENDING_REJECTED);
  iteration.set_reason("build");
  iteration.set_details(why + "\nthe log");
  CHECK(render_event(event, terminal, false) ==
        "01:01:01 itm_0190f3c2a1b27c3d8e rejected (build): the build failed: build.sh\n"
        "         ended with exit code 2, and there is no build/evolve to run…\n");
  CHECK(render_event(event, terminal) ==
        "01:01:01 lin_0190f3c2a1b27c3d8e itm_0190f3c2a1b27c3d8e rejected (build):\n"
        "         the build failed: build.sh ended with exit code 2, and there is no\n"
        "         build/evolve to run…\n");
  iteration.set_reason("protected");
  iteration.set_details("'protected/goal.txt' differs");
  CHECK(render_event(event, terminal) ==
        "01:01:01 lin_0190f3c2a1b27c3d8e itm_0190f3c2a1b27c3d8e rejected (protected):\n"
        "         'protected/goal.txt' differs\n");
  // However long, it takes a few lines, and none is too wide.
  for (std::size_t length = 1; length < 600; ++length) {
    iteration.set_details(std::string(length, 'w'));
    iteration.set_reason(std::string(length % 90, 'r'));
    const auto text = render_event(event, terminal);
    CAPTURE(text);
    REQUIRE(widest(text) <= 80);
    REQUIRE(std::count(text.begin(), text.end(), '\n') <= 6);
  }
  // A pipe has one line.
  const auto piped = render_event(event, plain);
  CHECK(std::count(piped.begin(), piped.end(), '\n') == 1);
}

TEST_CASE("a context can be copied as JSON from a terminal too") {
  v1::ShowReply reply;
  *reply.mutable_iteration() = sample_tree().iterations(1);
  reply.set_context_json("{\n \"why\": \"" + std::string(200, 'w') + " and on\"\n}");
  const auto text = render_show(reply, style{.terminal = true, .columns = 80});
  const auto context = text.substr(text.find("context\n") + 8);
  CHECK(nlohmann::json::parse(context)["why"].get<std::string>().size() == 207);
}

TEST_CASE("a lineage is named where there is more than one") {
  v1::WatchEvent event;
  event.mutable_progress()->set_phase(v1::ITERATION_PHASE_RUNNING);
  event_story one(plain, false);
  event_story several(plain, true);
  CHECK(one.tell(event) == "--:--:-- running\n");
  event.set_lineage_id("lin_1");
  CHECK(one.tell(event) == "--:--:-- running\n");
  CHECK(several.tell(event) == "--:--:-- lin_1 running\n");
  // One that came to the run later, and all from then on.
  event.set_lineage_id("lin_2");
  CHECK(one.tell(event) == "--:--:-- lin_2 running\n");
  event.set_lineage_id("lin_1");
  CHECK(one.tell(event) == "--:--:-- lin_1 running\n");
}

TEST_CASE("on a terminal the tree tells a reason in a few lines") {
  const style terminal{.terminal = true, .columns = 80};
  auto tree = sample_tree();
  tree.mutable_iterations(1)->set_details(
      "3 attempts were lost, the last one because the genome declares a model and the worker has "
      "none");
  CHECK(render_tree(tree, terminal)
            .ends_with(
                "         3 attempts were lost, the last one because the genome declares a model\n"
                "         and the worker has none\n"));
  tree.mutable_run()->set_found_state("refused");
  tree.mutable_run()->set_found_details(
      "the build failed: build.sh ended with exit code 2, and there is no build/evolve");
  CHECK(render_tree(tree, terminal)
            .find("  the seed was refused: the build failed: build.sh ended with exit code 2, and\n"
                  "    there is no build/evolve\n") != std::string::npos);
}

TEST_CASE("what was killed while it was founded was not refused") {
  v1::GetTreeReply reply;
  auto& run = *reply.mutable_run();
  run.set_run_id("run_1");
  run.set_found_state("refused");
  run.set_found_details("killed: killed by a person");
  run.add_lineages()->set_state(v1::LINEAGE_STATE_KILLED);
  const auto text = render_tree(reply, plain);
  CHECK(text.find("\n  killed while it was founded: killed by a person\n") != std::string::npos);
  CHECK(text.find("refused") == std::string::npos);
  v1::ShowReply show;
  *show.mutable_run() = run;
  CHECK(render_show(show, plain).find("founding      killed\n") != std::string::npos);
  // A seed may be refused in words like these.
  run.mutable_lineages(0)->set_state(v1::LINEAGE_STATE_RETIRED);
  CHECK(render_tree(reply, plain).find("the seed was refused: killed: killed") !=
        std::string::npos);
}

TEST_CASE("the tree of a refused seed says why") {
  v1::GetTreeReply reply;
  reply.mutable_run()->set_run_id("run_1");
  reply.mutable_run()->set_seed_commit("abc");
  reply.mutable_run()->set_found_state("refused");
  reply.mutable_run()->set_found_details("the build failed");
  CHECK(render_tree(reply, plain) ==
        "run_1\n  seed abc, no model\n  the seed was refused: the build failed\n");
}

TEST_CASE("what is not over is listed, and for a day what is; all on request") {
  v1::ListRunsReply reply;
  auto& run = *reply.add_runs();
  run = sample_tree().run();
  run.set_created_ms(1'000);
  run.mutable_lineages(0)->set_changed_ms(30'000);
  auto& killed = *run.add_lineages();
  killed.set_lineage_id("lin_2");
  killed.set_state(v1::LINEAGE_STATE_KILLED);
  killed.set_changed_ms(61'000);
  killed.set_created_ms(32'000);  // a fork
  auto& paused = *run.add_lineages();
  paused.set_lineage_id("lin_3");
  paused.set_state(v1::LINEAGE_STATE_PAUSED);
  paused.set_pause_reason(v1::PAUSE_REASON_PERSON);
  paused.set_changed_ms(1'000);
  const std::string header =
      "RUN                     NAME   LINEAGE                 STATE            DEPTH  ITERATIONS"
      "  LIVE  SPENT  CREATED\n";
  const std::string done =
      "run_0190f3c2a1b27c3d8e  first  lin_0190f3c2a1b27c3d8e  done             1      2/2       "
      "  -     $0.00  1m01s ago\n";
  const auto recent = render_runs(reply, false, 62'000, plain);
  CHECK(recent.starts_with(header + done));
  const auto fork = recent.substr(recent.find("lin_2"));
  CHECK(fork.substr(0, fork.find('\n')).ends_with("30.0s ago"));
  constexpr std::int64_t day_ms = 24 * 3600 * 1'000;
  const auto later = render_runs(reply, false, 61'000 + day_ms, plain);
  CHECK(later.find("done") == std::string::npos);
  CHECK(later.find("lin_2") == std::string::npos);
  CHECK(later.find("paused (person)") != std::string::npos);
  CHECK(render_runs(reply, true, 61'000 + day_ms, plain).find("lin_2") != std::string::npos);
}

TEST_CASE("what happened to a lineage is told in its own words") {
  v1::WatchEvent event;
  event.set_time_ms(3'661'000);
  event.set_lineage_id("lin_1");
  auto& change = *event.mutable_lineage();
  change.set_state(v1::LINEAGE_STATE_ACTIVE);
  CHECK(render_event(event, plain) == "01:01:01 lin_1 lineage active\n");
  change.set_was(v1::LINEAGE_STATE_PAUSED);
  change.set_why("seen\nenough");
  CHECK(render_event(event, plain) == "01:01:01 lin_1 lineage resumed: seen...\n");
  change.set_state(v1::LINEAGE_STATE_PAUSED);
  change.set_pause_reason(v1::PAUSE_REASON_DONE);
  change.clear_why();
  CHECK(render_event(event, plain) == "01:01:01 lin_1 lineage done\n");
}

TEST_CASE("a rollback is told, and drawn where it happened") {
  v1::WatchEvent event;
  event.set_lineage_id("lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
  auto& change = *event.mutable_lineage();
  change.set_state(v1::LINEAGE_STATE_ACTIVE);
  change.set_was(v1::LINEAGE_STATE_ACTIVE);
  change.set_rolled_back_to("gen_0190f3c2a1b27c3d8e4f5a6b7c8d9e20");
  change.set_why("generation 1 failed 3 iterations in a row");
  CHECK(render_event(event, plain)
            .ends_with(
                "lineage rolled back to generation 0 gen_0190f3c2a1b27c3d8e: generation 1 failed "
                "3 iterations in a row\n"));
  auto reply = sample_tree();
  auto& back = *reply.add_rollbacks();
  back.set_lineage_id(reply.run().lineages(0).lineage_id());
  back.set_generation_id(reply.generations(0).generation_id());
  back.set_after_iteration(reply.iterations(0).item_id());
  back.set_why("too\x1b slow");
  const auto text = render_tree(reply, plain);
  CAPTURE(text);
  const auto at = text.find("rolled back -> generation 0 gen_0190f3c2a1b27c3d8e\n");
  REQUIRE(at != std::string::npos);
  CHECK(text.find("too\\x1b slow", at) != std::string::npos);
  CHECK(text.find("generation 1") < at);
  CHECK(text.find("rejected") > at);
  v1::RollbackReply rolled;
  *rolled.mutable_lineage() = reply.run().lineages(0);
  *rolled.mutable_generation() = reply.generations(0);
  CHECK(render_rolled_back(rolled, plain) ==
        "lin_0190f3c2a1b27c3d8e rolled back to generation 0 gen_0190f3c2a1b27c3d8e; done\n");
}

TEST_CASE("the tree says from which generation a fork begins") {
  auto reply = sample_tree();
  auto& fork = *reply.mutable_run()->add_lineages();
  fork.set_lineage_id("lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e11");
  fork.set_state(v1::LINEAGE_STATE_ACTIVE);
  fork.set_forked_from(reply.generations(1).generation_id());
  const auto text = render_tree(reply, plain);
  CAPTURE(text);
  CHECK(text.find("\n      forked from generation 1 gen_0190f3c2a1b27c3d8e bbbbbbb") !=
        std::string::npos);
}

TEST_CASE("ids are shortened, but not within a path") {
  const std::string id = "att_01a22bccf83e70b5851b05e4e5c6b46a";
  CHECK(with_short_ids("of " + id + ", in /t/" + id + ".jsonl and " + id) ==
        "of att_01a22bccf83e70b585, in /t/" + id + ".jsonl and att_01a22bccf83e70b585");
}

TEST_CASE("waiting is told, apart from running") {
  v1::WatchEvent event;
  event.set_time_ms(3'661'000);
  auto& iteration = *event.mutable_iteration();
  iteration.set_item_id("itm_1");
  iteration.set_started_ms(1'000);
  iteration.set_waits_for("a worker: none is connected");
  CHECK(render_event(event, plain) == "01:01:01 itm_1 waits for a worker: none is connected\n");
  iteration.clear_waits_for();
  iteration.add_attempts()->set_leased_ms(3'500);
  CHECK(render_event(event, plain) == "01:01:01 itm_1 began, having waited 2.5s\n");
  iteration.mutable_attempts(0)->set_ended_ms(5'000);
  iteration.mutable_attempts(0)->set_details("the disk was full");
  iteration.add_attempts()->set_leased_ms(6'000);
  CHECK(render_event(event, plain) ==
        "01:01:01 itm_1 began again (attempt 2); the attempt before it was lost: the disk was "
        "full\n");
  // A late result of the first attempt does not make it run twice.
  iteration.mutable_attempts(0)->set_ended_ms(9'000);
  iteration.mutable_attempts(1)->set_ended_ms(10'000);
  iteration.set_ended_ms(10'000);
  CHECK(time_of(iteration).ran_ms == 6'500);
  CHECK(time_of(iteration).waited_ms == 2'500);
}

TEST_CASE("a seed that was founded is told so") {
  v1::WatchEvent event;
  auto& iteration = *event.mutable_iteration();
  iteration.set_kind(v1::WORK_KIND_FOUND);
  CHECK(render_event(event, plain) == "--:--:-- founding began\n");
  iteration.set_ending(v1::ENDING_EVOLVED);
  CHECK(render_event(event, plain) == "--:--:-- founded\n");
}

TEST_CASE("a step that only names its phase is not told twice") {
  v1::WatchEvent event;
  event.set_time_ms(3'661'000);
  auto& progress = *event.mutable_progress();
  progress.set_phase(v1::ITERATION_PHASE_PREPARING);
  progress.set_step("prepare");
  progress.set_status("started");
  CHECK(render_event(event, plain) == "01:01:01 preparing\n");
  progress.set_phase(v1::ITERATION_PHASE_RUNNING);
  CHECK(render_event(event, plain) == "01:01:01 running prepare started\n");
  progress.set_phase(v1::ITERATION_PHASE_PROBATION);
  progress.set_step("probation");
  CHECK(render_event(event, plain) == "01:01:01 probation\n");
}

TEST_CASE("a reason that says no more than the ending is left out") {
  auto tree = sample_tree();
  tree.mutable_iterations(1)->set_ending(v1::ENDING_KILLED);
  tree.mutable_iterations(1)->set_reason("killed");
  CHECK(render_tree(tree, plain).find("`- killed itm_") != std::string::npos);
  v1::WatchEvent event;
  *event.mutable_iteration() = tree.iterations(1);
  CHECK(render_event(event, plain).find(" killed: behaviour/two is red") != std::string::npos);
}

TEST_CASE("kill shows the proof and the time for each lineage") {
  v1::KillReply reply;
  auto& killed = *reply.add_lineages();
  killed.set_lineage_id("lin_1");
  killed.set_proof(v1::KILL_PROOF_LEASE_EXPIRED);
  killed.set_took_ms(24'800);
  CHECK(render_killed(reply, plain) ==
        "LINEAGE  PROOF          TOOK\nlin_1    lease expired  24.8s\n");
}

TEST_CASE("JSON holds what steers a terminal as escapes, and loses nothing") {
  v1::ListRunsReply reply;
  const std::string hostile =
      "a\xd8\x9c\xe2\x80\x8e\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9\xc2\x9b\x1b["
      "2J\x7f\"\\\xe2\x80\xa8z";
  const std::string kept = "caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x99\x82 \xe2\x80\x94";
  reply.add_runs()->set_name(hostile);
  reply.mutable_runs(0)->set_branch(kept);
  for (const bool one_line : {true, false}) {
    const auto text = to_json(reply, one_line);
    CAPTURE(text);
    CHECK(text.find("\\u061c\\u200e\\u202e\\u2066\\u2069\\u009b\\u001b[2J\\u007f") !=
          std::string::npos);
    CHECK(text.find(kept) != std::string::npos);
    CHECK(text.find_first_of("\x1b\x7f") == std::string::npos);
    const auto value = nlohmann::json::parse(text);
    CHECK(value["runs"][0]["name"] == hostile);
    CHECK(value["runs"][0]["branch"] == kept);
  }
  CHECK(safe_line("a\xd8\x9c"
                  "b") == "a\\xd8\\x9cb");
}

TEST_CASE("a run tells what its evaluations may cost, and what they alone see") {
  v1::ShowReply reply;
  auto& run = *reply.mutable_run();
  run.set_run_id("run_1");
  const auto plain = render_show(reply, {});
  CHECK(plain.find("evaluations") == std::string::npos);
  CHECK(plain.find("held out") == std::string::npos);
  run.set_model("m");
  run.set_evaluation_budget_nanousd(100'000'000);
  run.mutable_held_out()->set_held_out_id("abc");
  run.mutable_held_out()->set_files(1);
  run.mutable_held_out()->set_bytes(2'048);
  const auto told = render_show(reply, {});
  CHECK(told.find("at most $0.10 each") != std::string::npos);
  CHECK(told.find("1 file, 2.0 KiB\n") != std::string::npos);
  CHECK(told.find("abc\n") != std::string::npos);

  v1::RunPlan plan;
  plan.set_evaluations(3);
  *plan.mutable_held_out() = run.held_out();
  plan.mutable_asked()->set_evaluation_budget_nanousd(100'000'000);
  const auto planned = render_plan(plan, plan.asked(), {});
  CHECK(planned.find("3 of each generation, each of at most $0.10") != std::string::npos);
  CHECK(planned.find("1 file, 2.0 KiB\n") != std::string::npos);
}

TEST_CASE("what was taken of tokens and requests is told where there is a budget of them") {
  auto tree = sample_tree();
  auto& run = *tree.mutable_run();
  run.set_model("m");
  run.set_budget_nanousd(5'000'000'000);
  run.set_spent_tokens(1'234'567);
  run.set_spent_requests(20);
  auto& lineage = *run.mutable_lineages(0);
  lineage.set_spent_tokens(1'000'000);
  v1::ListRunsReply list;
  *list.add_runs() = run;
  CHECK(render_tree(tree, {}).find("token") == std::string::npos);
  CHECK(render_runs(list, true, 61'000, {}).find("token") == std::string::npos);
  run.set_budget_tokens(50'000'000);
  run.set_evaluation_budget_requests(7);
  lineage.set_budget_requests(9);
  CHECK(render_tree(tree, {}).find("\n  taken 1234567 of 50M tokens\n") != std::string::npos);
  *list.mutable_runs(0) = run;
  CHECK(render_runs(list, true, 61'000, {}).find("$0.00, 1M tokens, 0 requests") !=
        std::string::npos);
  v1::ShowReply show;
  *show.mutable_run() = run;
  CHECK(render_show(show, {}).find("$0.00 of $5.00, 1234567 of 50M tokens\n") != std::string::npos);
  CHECK(render_show(show, {}).find("at most 7 requests each\n") != std::string::npos);
  v1::ShowReply of_lineage;
  *of_lineage.mutable_lineage() = lineage;
  CHECK(render_show(of_lineage, {}).find("$0.00, 0 of 9 requests\n") != std::string::npos);
}

TEST_CASE("an evaluation tells what it cost beside its score") {
  v1::ShowReply reply;
  reply.mutable_generation()->set_generation_id("gen_1");
  auto& one = *reply.add_evaluations();
  one.set_item_id("itm_1");
  one.set_ending(v1::ENDING_SCORED);
  one.mutable_score()->set_score(2);
  CHECK(render_show(reply, {}).find("itm_1 2\n") != std::string::npos);
  one.mutable_usage()->set_requests(1);
  one.mutable_usage()->set_cost_nanousd(30'000'000);
  CHECK(render_show(reply, {}).find("itm_1 2, $0.03\n") != std::string::npos);
}

TEST_CASE("a step of a sandbox is one line whatever it says") {
  v1::WatchEvent event;
  event.set_time_ms(3'661'000);
  event.set_lineage_id("lin_1");
  auto& progress = *event.mutable_progress();
  progress.set_phase(v1::ITERATION_PHASE_RUNNING);
  progress.set_step("modify_code");
  progress.set_status("done");
  progress.set_detail("b\x1b]0;owned\x07\r\xe2\x80\xae\nmore\n");
  const auto line = render_event(event, plain);
  CHECK(line ==
        "01:01:01 lin_1 running modify_code done: b\\x1b]0;owned\\x07\\x0d\\xe2\\x80\\xae...\n");
}

TEST_CASE("no text from outside brings a control character into any rendering") {
  const std::string hostile = "x\x1b[2J\x07\x9b\xc2\x9b\r";
  auto tree = sample_tree();
  tree.mutable_run()->set_name(hostile);
  tree.mutable_iterations(1)->set_reason(hostile);
  tree.mutable_iterations(1)->set_details(hostile);
  tree.mutable_iterations(0)->set_action(hostile);
  v1::ShowReply show;
  *show.mutable_iteration() = tree.iterations(1);
  show.set_context_json(hostile);
  v1::DiffReply diff;
  diff.set_patch("+" + hostile + "\n");
  style terminal;
  terminal.terminal = true;
  v1::WatchEvent event;
  *event.mutable_iteration() = tree.iterations(1);
  for (const auto& text : {render_tree(tree, plain), render_show(show, plain),
                           render_diff(diff, terminal), render_event(event, plain)}) {
    CAPTURE(text);
    CHECK(text.find_first_of("\x1b\x07\r\x9b") == std::string::npos);
    CHECK(text.find("\\x1b[2J") != std::string::npos);
  }
}

TEST_CASE("a diff of a file that is not UTF-8 is untouched for a pipe and base64 in JSON") {
  v1::DiffReply reply;
  reply.set_patch("+caf\xe9\n");
  CHECK(render_diff(reply, plain) == "+caf\xe9\n");
  CHECK(to_json(reply, true) == "{\"patch\":\"K2NhZukK\",\"truncated\":false}\n");
  CHECK(render_diff(reply, style{.terminal = true}) == "+caf\\xe9\n");
}

TEST_CASE("a diff is coloured for a terminal and untouched for a pipe") {
  v1::DiffReply reply;
  reply.set_patch("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\x1b\n");
  CHECK(render_diff(reply, plain) == reply.patch());
  style terminal;
  terminal.terminal = true;
  terminal.colour = true;
  CHECK(render_diff(reply, terminal) ==
        "\x1b[1m--- a/x\x1b[0m\n\x1b[1m+++ b/x\x1b[0m\n\x1b[34m@@ -1 +1 @@\x1b[0m\n"
        "\x1b[31m-old\x1b[0m\n\x1b[32m+new\\x1b\x1b[0m\n");
}

TEST_CASE("an iteration is shown in full") {
  v1::ShowReply reply;
  *reply.mutable_iteration() = sample_tree().iterations(1);
  auto& attempt = *reply.mutable_iteration()->add_attempts();
  attempt.set_attempt_id("att_1");
  attempt.set_state(v1::ATTEMPT_STATE_FINISHED);
  attempt.set_fence(3);
  attempt.set_worker_id("wrk_1");
  CHECK(render_show(reply, plain) ==
        "iteration     itm_0190f3c2a1b27c3d8e4f5a6b7c8d9e31\n"
        "lineage       lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10\n"
        "ending        rejected\nreason        protected\n"
        "attempt       att_1 finished\n              fence 3, worker wrk_1\n"
        "details\n  behaviour/two is red\n  more lines\n");
}

TEST_CASE("what waits for no usual thing is told beneath the list, and in the tree") {
  v1::ListRunsReply reply;
  auto& run = *reply.add_runs();
  for (const char* id : {"lin_1", "lin_2", "lin_3", "lin_4"}) {
    auto& lineage = *run.add_lineages();
    lineage.set_lineage_id(id);
    lineage.mutable_live()->set_waits_for("a worker with the tag gpu; none that has joined has it");
  }
  CHECK(render_waiting(reply) ==
        "lin_1, lin_2, lin_3 and 1 more wait for a worker with the tag gpu; none that has joined"
        " has it\n");
  for (auto& lineage : *run.mutable_lineages()) {
    lineage.mutable_live()->set_waits_for("a free slot on a worker");
  }
  CHECK(render_waiting(reply).empty());

  auto tree = sample_tree();
  tree.mutable_run()->add_required_tags("gpu");
  tree.mutable_run()->add_required_tags("zone=a");
  auto& waits = *tree.mutable_iterations(1);
  waits.set_ending(v1::ENDING_UNSPECIFIED);
  waits.set_waits_for("a worker with the tags gpu, zone=a; none that has joined has them");
  const auto text = render_tree(tree, plain);
  CHECK(text.find("requires gpu, zone=a\n") != std::string::npos);
  CHECK(text.find("waits for a worker with the tags gpu, zone=a; none") != std::string::npos);
  CHECK(widest(render_tree(tree, style{.terminal = true, .columns = 80})) <= 80);
}

TEST_CASE("workers fit a terminal of 80 columns, whatever they are called and why") {
  v1::GetStatusReply reply;
  for (int i = 0; i < 2; ++i) {
    auto& worker = *reply.add_workers();
    worker.set_worker_id("wrk_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
    worker.set_connected(i == 0);
    worker.set_slots(1'024);
    worker.set_busy(1'000);
    worker.set_base_digest(std::string(64, 'a'));
    worker.set_last_seen_ms(1);
    for (int tag = 0; tag < 20; ++tag) worker.add_tags("tag" + std::to_string(tag));
    worker.set_cordoned(true);
    worker.set_cordon_why("its fan is so loud\x1b[2J that nobody can work beside it any more");
  }
  const auto text = render_workers(reply, 90'000'000, style{.terminal = true, .columns = 80});
  CHECK(widest(text) <= 80);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("CORDONED") != std::string::npos);
}

TEST_CASE("JSON has the proto's names and every field") {
  v1::KillReply reply;
  reply.add_lineages()->set_lineage_id("lin_\x1b");
  CHECK(to_json(reply, true) ==
        "{\"lineages\":[{\"lineage_id\":\"lin_\\u001b\",\"proof\":\"KILL_PROOF_UNSPECIFIED\","
        "\"took_ms\":\"0\",\"remaining\":[]}]}\n");
  CHECK(json_string("a\"\n\xff") == "\"a\\\"\\n\\ufffd\"");
}

TEST_CASE("durations are written with at most two units") {
  CHECK(duration(850) == "850ms");
  CHECK(duration(12'340) == "12.3s");
  CHECK(duration(250'000) == "4m10s");
  CHECK(duration(11'100'000) == "3h05m");
  CHECK(duration(187'200'000) == "2d4h");
  CHECK(duration(-1) == "-");
}

TEST_CASE("summaries are cut by characters, not bytes") {
  style unicode;
  unicode.unicode = true;
  CHECK(summary(plain, "first\nsecond", 20) == "first...");
  CHECK(summary(plain, "first\n", 20) == "first");
  CHECK(summary(plain, "abcdefghijklm", 10) == "abcdefg...");
  CHECK(summary(unicode, "äääääääääääää", 10) == "äääääääää…");
}

TEST_CASE("an enumeration from a newer coordinator is no crash") {
  CHECK(word(static_cast<v1::Ending>(99)) == "unknown");
  CHECK(word(static_cast<v1::KillProof>(99)) == "unknown");
}

}  // namespace germline::cli
