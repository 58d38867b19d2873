// How policies are told: in a run, in a lineage's history, and among the events.
#include <doctest/doctest.h>

#include "cli/render/render.hpp"

namespace germline::cli {
namespace {

const style plain{};

v1::WatchEvent hit(const std::string& why) {
  v1::WatchEvent event;
  event.set_lineage_id("lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e10");
  event.set_time_ms(1'000);
  event.mutable_lineage()->set_state(v1::LINEAGE_STATE_ACTIVE);
  event.mutable_lineage()->set_was(v1::LINEAGE_STATE_ACTIVE);
  event.mutable_lineage()->set_rule("repeated-action 3 warn");
  event.mutable_lineage()->set_why(why);
  return event;
}

}  // namespace

TEST_CASE("a rule that was hit is told as such, and what an agent said in it is harmless") {
  CHECK(render_event(hit("3 iterations in a row did the same: \x1b[2Jtidy"), plain, false) ==
        "00:00:01 lineage hit repeated-action 3 warn: 3 iterations in a row did the same: "
        "\\x1b[2Jtidy\n");
}

TEST_CASE("a lineage is shown with its history") {
  v1::ShowReply reply;
  reply.mutable_lineage()->set_lineage_id("lin_1");
  *reply.add_history() = hit("3 iterations in a row did the same: tidy");
  auto& paused = *reply.add_history();
  paused.set_time_ms(2'000);
  paused.mutable_lineage()->set_state(v1::LINEAGE_STATE_PAUSED);
  paused.mutable_lineage()->set_pause_reason(v1::PAUSE_REASON_PERSON);
  const auto text = render_show(reply, plain);
  CHECK(text.find("history\n"
                  "  1970-01-01T00:00:01Z hit repeated-action 3 warn: 3 iterations in a row did "
                  "the same: tidy\n"
                  "  1970-01-01T00:00:02Z paused") != std::string::npos);
}

TEST_CASE("a run is told with its rules") {
  v1::GetTreeReply tree;
  tree.mutable_run()->set_found_state("founded");
  tree.mutable_run()->add_policy("failure-streak 3 pause");
  CHECK(render_tree(tree, plain).find("  policy failure-streak 3 pause\n") != std::string::npos);
  v1::ShowReply reply;
  *reply.mutable_run() = tree.run();
  CHECK(render_show(reply, plain).find("policy        failure-streak 3 pause\n") !=
        std::string::npos);
}

TEST_CASE("where no rule was hit it says in how much") {
  v1::TestPolicyReply reply;
  reply.add_policy("failure-streak 3 pause");
  reply.set_lineages(1);
  reply.set_iterations(4);
  CHECK(render_policy_test(reply, plain) == "no rule was hit in 4 iterations of 1 lineage\n");
}

TEST_CASE("a plan tells what is bounded, of the run and of the fleet") {
  v1::CreateRunRequest request;
  request.set_model("m");
  request.set_budget_nanousd(5'000'000'000);
  request.set_budget_tokens(50'000'000);
  request.set_budget_requests(2'000);
  v1::RunPlan plan;
  plan.set_lineages(2);
  plan.mutable_asked()->set_lineage_budget_tokens(10'000'000);
  plan.mutable_fleet()->set_budget_nanousd(20'000'000'000);
  plan.mutable_fleet()->set_per_day(true);
  plan.mutable_fleet()->set_spent_nanousd(1'000'000'000);
  plan.mutable_fleet()->mutable_tokens()->set_budget(1'000'000'000);
  const auto text = render_plan(plan, request, plain);
  for (const auto* line :
       {"2, each of at most 10M tokens\n", "at most 50M\n", "at most 2k\n",
        "all runs together at most $20.00 a day, of which $19.00 are left now\n",
        "all runs together at most 1B tokens, of which 1B tokens are left now\n",
        "whether the workers' gateways serve the model, with a key and a price: "}) {
    CAPTURE(line);
    CAPTURE(text);
    CHECK(text.find(line) != std::string::npos);
  }
  request.clear_model();
  CHECK(render_plan(plan, request, plain).find("all runs together") == std::string::npos);
  CHECK(render_plan(plan, request, plain).find("not checked") == std::string::npos);
}

TEST_CASE("a plan without an end or a model says so") {
  v1::RunPlan plan;
  plan.set_lineages(2);
  plan.set_evaluations(3);
  plan.set_workers(1);
  plan.set_slots(2);
  const auto text = render_plan(plan, {}, plain);
  CHECK(text.find("no end but a policy and the person") != std::string::npos);
  CHECK(text.find("3 of each generation\n") != std::string::npos);
  plan.set_max_iterations(4);
  plan.set_max_evaluations(15);
  CHECK(render_plan(plan, {}, plain).find("3 of each generation, at most 15\n") !=
        std::string::npos);
  plan.set_elite_evaluations(9);
  plan.set_max_evaluations(0);
  CHECK(
      render_plan(plan, {}, plain)
          .find("3 of each generation, 9 of each that becomes the best, and what the strategy asks"
                " for\n") != std::string::npos);
  CHECK(text.find("nothing: there is no model") != std::string::npos);
  CHECK(text.find("1 worker, 2 slots\n") != std::string::npos);
}

TEST_CASE("what is over is put last, and else all stays as it was") {
  v1::ListRunsReply reply;
  const auto add = [&](const std::string& run_id, const std::string& states) {
    auto& run = *reply.add_runs();
    run.set_run_id(run_id);
    for (const char state : states) {
      auto& lineage = *run.add_lineages();
      lineage.set_lineage_id(run_id + std::to_string(run.lineages_size()));
      lineage.set_state(state == 'a'   ? v1::LINEAGE_STATE_ACTIVE
                        : state == 'p' ? v1::LINEAGE_STATE_PAUSED
                                       : v1::LINEAGE_STATE_KILLED);
    }
  };
  add("over", "kk");
  add("mixed", "kakp");
  add("live", "a");
  put_over_last(reply);
  std::string order;
  for (const auto& run : reply.runs()) {
    for (const auto& lineage : run.lineages()) order += lineage.lineage_id() + " ";
  }
  CHECK(order == "mixed2 mixed4 mixed1 mixed3 live1 over1 over2 ");
}

TEST_CASE("why a lineage does not go on is told beneath the list, and in the tree") {
  v1::ListRunsReply reply;
  auto& run = *reply.add_runs();
  for (const char* id : {"lin_1", "lin_2"}) {
    auto& lineage = *run.add_lineages();
    lineage.set_lineage_id(id);
    lineage.set_state(v1::LINEAGE_STATE_PAUSED);
    lineage.set_pause_reason(v1::PAUSE_REASON_POLICY);
    lineage.set_pause_details("3 iterations in a row failed\nand more");
  }
  CHECK(render_waiting(reply) == "lin_1, lin_2 are paused: 3 iterations in a row failed...\n");
  v1::GetTreeReply tree;
  *tree.mutable_run() = run;
  CHECK(render_tree(tree, style{}).find("paused: 3 iterations in a row failed") !=
        std::string::npos);
  run.mutable_lineages(0)->set_pause_reason(v1::PAUSE_REASON_DONE);
  run.mutable_lineages(1)->set_state(v1::LINEAGE_STATE_KILLED);
  run.mutable_lineages(1)->set_pause_details("killed by a person");
  CHECK(render_waiting(reply).empty());
  *tree.mutable_run() = run;
  const auto text = render_tree(tree, style{});
  CHECK(text.find("killed by a person") != std::string::npos);
  CHECK(text.find("killed: killed") == std::string::npos);
  CHECK(text.find("in a row") == std::string::npos);
}

}  // namespace germline::cli
