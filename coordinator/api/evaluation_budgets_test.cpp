// What evaluations whose candidate has a model hold of a run's budget, and what becomes of them,
// and of iterations, where it does not cover them.
#include <doctest/doctest.h>

#include <limits>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

constexpr std::int64_t cent = 10'000'000;

struct modelled : measured_fixture {
  modelled() : measured_fixture(2) {
    change("s/^evaluations = 2$/evaluations = 2\\nmodel = \"openai\"/");
  }

  void change(const std::string& by) {
    shell("cd " + dir + "/user && sed -i '" + by +
          "' genome.toml && git -c user.name=u -c user.email=u@e commit -qam changed");
  }
  v1::CreateRunRequest wanted(std::int64_t cents, std::int64_t cents_each) const {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(1);
    request.set_model("m");
    request.set_budget_nanousd(cents * cent);
    request.set_evaluation_budget_nanousd(cents_each * cent);
    return request;
  }
  void create_with(std::int64_t cents, std::int64_t cents_each) {
    const auto status = try_create(wanted(cents, cents_each));
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }
  void refused(const v1::CreateRunRequest& request, const std::string& says) {
    const auto status = try_create(request);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK_MESSAGE(status.error_message().find(says) != std::string::npos, status.error_message());
  }

  v1::IterationInfo shown(const std::string& item) {
    grpc::ClientContext context;
    v1::ShowRequest request;
    request.set_target(item);
    v1::ShowReply reply;
    const auto status = people->Show(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply.iteration();
  }
  void wait_reason(const v1::Lease& lease, const std::string& says) {
    for (int i = 0; i < 100 && shown(lease.item_id()).waits_for().find(says) == std::string::npos;
         ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const auto words = shown(lease.item_id()).waits_for();
    CHECK_MESSAGE(words.find(says) != std::string::npos, words);
  }
  /// The newest evaluation of what was measured already, if there is one.
  v1::IterationInfo measured_again() {
    const auto now = wait_tree([](const v1::GetTreeReply& tree) {
      return std::ranges::any_of(tree.evaluations(),
                                 [](const auto& each) { return each.number() == 4; });
    });
    for (const auto& each : now.evaluations()) {
      if (each.number() == 4) return each;
    }
    return {};
  }
  /// The worker says that it cannot serve it.
  void cannot(scripted_worker& worker, const v1::Lease& lease, bool lasting) {
    v1::WorkerMessage message;
    auto& cleaned = *message.mutable_cleaned();
    cleaned.set_attempt_id(lease.attempt_id());
    cleaned.set_why(lasting ? "no gateway is here" : "HTTP 529");
    cleaned.mutable_usage();
    cleaned.set_lasting(lasting);
    cleaned.set_no_provider(!lasting);
    worker.send(message);
    std::erase(held, lease.attempt_id());
  }
  /// Its worker went away, and nobody knows what it spent.
  void lose(scripted_worker& worker, const v1::Lease& lease) {
    worker.cleaned(lease.attempt_id(), "the machine is on fire");
    std::erase(held, lease.attempt_id());
  }
};

}  // namespace

TEST_CASE_FIXTURE(modelled, "an evaluation holds its bound, and is charged what it spent") {
  create_with(100, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(first.limits().budget_nanousd() == 20 * cent);
  CHECK(first.model() == "m");
  CHECK(score(worker, first, 1, 5 * cent));
  auto now = tree();
  CHECK(now.run().spent_nanousd() == 5 * cent);
  CHECK(now.run().evaluation_budget_nanousd() == 20 * cent);
  CHECK(shown(first.item_id()).usage().cost_nanousd() == 5 * cent);
  // The agent itself has no model here, so its iterations hold nothing.
  CHECK(lease_of(worker, v1::WORK_KIND_ITERATE).limits().budget_nanousd() == 0);

  // Lost, and known to nobody: the bound is spent.
  const auto second = lease_of(worker, v1::WORK_KIND_EVALUATE);
  lose(worker, second);
  CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 2, cent));
  now = tree();
  CHECK(now.run().spent_nanousd() == 26 * cent);
  CHECK(now.generations(0).fitness().samples() == 2);
}

TEST_CASE_FIXTURE(modelled, "what a generation's evaluations cost is its lineage's, too") {
  create_with(400, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  for (int i = 0; i < 2; ++i) {
    CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1, cent));
  }
  evolve(worker, lease_of(worker, v1::WORK_KIND_ITERATE));
  const auto lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(lease.lineage_id() == lineage_id());
  CHECK(score(worker, lease, 1, 7 * cent));
  const auto now = tree();
  CHECK(now.run().spent_nanousd() == 9 * cent);
  CHECK(now.run().lineages(0).spent_nanousd() == 7 * cent);
}

TEST_CASE_FIXTURE(modelled, "an evaluation waits for money that others hold, and is then leased") {
  create_with(50, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_EVALUATE);
  const auto second = lease_of(worker, v1::WORK_KIND_EVALUATE);
  lose(worker, first);  // 20 of 50 are spent, and 20 are held
  wait_reason(first,
              "other attempts to end: an evaluation may cost $0.20, and of $0.50 the run "
              "has $0.10 that they do not hold");
  CHECK(score(worker, second, 1, 5 * cent));
  const auto again = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(again.item_id() == first.item_id());
  CHECK(again.fence() > first.fence());
  CHECK(score(worker, again, 3, cent));
  CHECK(tree().generations(0).fitness().mean() == 2);
}

TEST_CASE_FIXTURE(modelled, "what the budget does not cover ends without a score, and says why") {
  create_with(50, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_EVALUATE);
  const auto second = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(score(worker, second, 1, 20 * cent));
  lose(worker, first);
  const auto now = wait_tree([](const v1::GetTreeReply& tree) {
    return tree.generations(0).fitness().failed() == 1 &&
           tree.run().lineages(0).state() == v1::LINEAGE_STATE_PAUSED;
  });
  CHECK(now.generations(0).fitness().reason() == "budget");
  const auto ended = shown(first.item_id());
  CHECK(ended.ending() == v1::ENDING_FAILED);
  CHECK(
      ended.details() ==
      "an evaluation may cost $0.20, and of $0.50 the run has $0.10 left: raise it with `germline "
      "budget " +
          now.run().run_id() + " USD`");
  CHECK(now.run().spent_nanousd() == 40 * cent);
  // And nothing is born any more that could not be measured.
  CHECK(now.run().lineages(0).pause_reason() == v1::PAUSE_REASON_BUDGET);
  CHECK(now.run().lineages(0).pause_details() ==
        "the run's budget of $0.50 does not cover an iteration and the evaluations of what it "
        "would bear: "
        "raise it with `germline budget " +
            now.run().run_id() + " USD`, then `germline resume` the lineage");
}

TEST_CASE_FIXTURE(modelled, "iterations leave what the evaluations of their generations cost") {
  change("s/^model = \"none\"$/model = \"anthropic\"/");
  create_with(1000, 100);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  // The seed's two evaluations hold or wait for 200, those of what is born are kept 200.
  CHECK(lease_of(worker, v1::WORK_KIND_ITERATE).limits().budget_nanousd() == 300 * cent);
}

TEST_CASE_FIXTURE(modelled, "a kill settles an evaluation by its bound where nobody knows better") {
  create_with(100, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  lease_of(worker, v1::WORK_KIND_EVALUATE);
  lease_of(worker, v1::WORK_KIND_EVALUATE);
  kill_while_heard(worker, created.run_id());
  wait_tree([](const v1::GetTreeReply& tree) { return tree.run().spent_nanousd() == 40 * cent; });
}

TEST_CASE_FIXTURE(modelled,
                  "what is wrong with an evaluation's budget is said before anything is") {
  refused(wanted(100, 0), "say what each evaluation may cost at most with --evaluation-budget");
  refused(wanted(100, -1), "what an evaluation may cost must not be negative");
  refused(wanted(100, 51),
          "the budget, $1.00, does not cover the seed's own 2 evaluations at $0.51 each");
  auto request = wanted(100, 20);
  request.add_policy("cost $1 warn");  // which is of iterations, and these have no model here
  refused(request, "is about money, and the run has no model");
  request = wanted(100, 20);
  request.clear_model();
  refused(request, "this genome needs a model: give --model and --budget");
  change("/^model = \"openai\"$/d");
  refused(wanted(100, 20), "it takes no model");
  change("s/^model = \"none\"$/model = \"anthropic\"/");
  refused(wanted(100, 20), "evaluations ask no model: leave --evaluation-budget out");
}

TEST_CASE_FIXTURE(modelled, "a plan counts evaluations into the most that a run can cost") {
  auto request = wanted(10'000, 20);
  request.set_only_plan(true);
  request.set_max_iterations(3);
  REQUIRE(try_create(request).ok());
  // Of four generations two each, each tried three times; and the agent has no model.
  CHECK(created.plan().max_cost_nanousd() == 4LL * 2 * 3 * 20 * cent);
  request.set_max_iterations(0);
  REQUIRE(try_create(request).ok());
  CHECK(created.plan().max_cost_nanousd() == 10'000 * cent);
}

TEST_CASE_FIXTURE(modelled,
                  "where the best cannot be paid to be measured again it stays the best") {
  change("s/^evaluations = 2$/evaluations = 3\\nelite_evaluations = 5/");
  create_with(70, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  for (int i = 0; i < 3; ++i) {
    CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1, 20 * cent));
  }
  const auto item = measured_again().item_id();
  for (int i = 0; i < 100 && shown(item).ending() == v1::ENDING_UNSPECIFIED; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(shown(item).reason() == "budget");
  CHECK(
      shown(item).details() ==
      "an evaluation may cost $0.20, and of $0.70 the run has $0.10 left: raise it with `germline "
      "budget " +
          created.run_id() + " USD`");
  take_leases(worker, 300);
  const auto now = tree();
  CHECK(now.evaluations_size() == 4);
  CHECK(now.generations(0).fitness().samples() == 3);
  CHECK(now.generations(0).fitness().failed() == 0);
}

TEST_CASE_FIXTURE(modelled, "what is measured again leaves what newborns are measured by") {
  change("s/^evaluations = 2$/evaluations = 3\\nelite_evaluations = 4/");
  create_with(135, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto iteration = lease_of(worker, v1::WORK_KIND_ITERATE);
  for (int i = 0; i < 3; ++i) {
    CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 9, 20 * cent));
  }
  v1::Lease again;
  again.set_item_id(measured_again().item_id());
  wait_reason(again,
              "other attempts, or evaluations, to end: an evaluation may cost $0.20, and of $1.35 "
              "the run has $0.15 that they do not hold, or that is not kept for them");
  evolve(worker, iteration);
  for (int i = 0; i < 3; ++i) {
    const auto lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
    CHECK(lease.item_id() != again.item_id());
    CHECK(score(worker, lease, 1, cent));
  }
  CHECK(lease_of(worker, v1::WORK_KIND_EVALUATE).item_id() == again.item_id());
}

TEST_CASE_FIXTURE(modelled, "a worker without the model leaves an evaluation to one that has it") {
  create_with(100, 20);
  scripted_worker without(service->address(), "w1");
  found(without);
  const auto first = lease_of(without, v1::WORK_KIND_EVALUATE);
  const auto second = lease_of(without, v1::WORK_KIND_EVALUATE);
  cannot(without, first, true);
  cannot(without, second, true);
  wait_reason(first, "a worker that can serve it; w1 cannot: no gateway is here");
  wait_reason(second, "a worker that can serve it; w1 cannot: no gateway is here");
  scripted_worker with(service->address(), "w2");
  for (int i = 0; i < 2; ++i) {
    const auto message = with.expect(v1::CoordinatorMessage::kLease);
    REQUIRE(message);
    CHECK(message->lease().kind() == v1::WORK_KIND_EVALUATE);
  }
  CHECK(tree().run().spent_nanousd() == 0);
}

TEST_CASE_FIXTURE(modelled,
                  "an evaluation waits for its model's provider, and is no worse for it") {
  create_with(100, 20);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
  const auto item = lease.item_id();
  CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  for (int i = 0; i < 4; ++i) {  // more than an item may be lost
    cannot(worker, lease, false);
    wait_reason(lease, "the model's provider: HTTP 529");
    lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
    CHECK(lease.item_id() == item);
  }
  CHECK(score(worker, lease, 3));
  CHECK(tree().generations(0).fitness().mean() == 2);
}

TEST_CASE_FIXTURE(modelled, "evaluations hold exactly what was said of tokens and requests") {
  auto request = wanted(100, 20);
  request.set_budget_tokens(1'000'000);
  refused(request, "say how many tokens each evaluation may take with --evaluation-token-budget");
  request.set_evaluation_budget_tokens(500'001);
  refused(request,
          "the token budget, 1M tokens, does not cover the seed's own 2 evaluations at "
          "500001 tokens each: give a larger --token-budget");
  request.set_evaluation_budget_tokens(-1);
  refused(request, "must not be negative");
  request.set_evaluation_budget_tokens(std::numeric_limits<std::int64_t>::max());
  refused(request, "an evaluation has at most 1000B tokens");
  request.set_evaluation_budget_tokens(400'000);
  request.set_budget_requests(std::numeric_limits<std::int64_t>::max());
  refused(request, "a request budget is at most 1000000B requests, or none");
  request.set_budget_requests(0);
  request.mutable_limits()->set_max_tokens(5);
  refused(request, "of those an attempt gets a slice of its budgets");
  request.clear_limits();
  request.set_lineage_budget_requests(5);
  refused(request, "say how many requests each evaluation may make");
  request.set_evaluation_budget_requests(6);
  refused(request, "no less than what an evaluation may take, 6 requests: not 5 requests");
  request.set_lineage_budget_requests(0);
  request.set_evaluation_budget_requests(3);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(first.limits().max_tokens() == 400'000);
  CHECK(first.limits().max_requests() == 3);
  const auto second = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(second.limits().max_tokens() == 400'000);
  // Lost, and nobody knows: all that it held is spent, and what is left covers no other.
  lose(worker, second);
  const auto now =
      wait_tree([](const v1::GetTreeReply& tree) { return tree.run().spent_tokens() == 400'000; });
  CHECK(now.run().spent_requests() == 3);
  CHECK(now.run().budget_tokens() == 1'000'000);
  wait_reason(second,
              "other attempts to end: an evaluation may take 400k tokens, and of 1M tokens "
              "the run has 200k tokens that they do not hold");
  score(worker, first, 1, 5 * cent);
}

TEST_CASE_FIXTURE(modelled, "a plan tells of what the fleet may spend") {
  grpc::ClientContext context;
  v1::SetBudgetRequest set;
  set.set_keeps_money(true);
  v1::Budgets told;
  set.mutable_tokens()->set_most(std::numeric_limits<std::int64_t>::max());
  CHECK(people->SetBudget(&context, set, &told).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  set.mutable_tokens()->set_most(7'000'000);
  set.mutable_tokens()->set_per_day(true);
  grpc::ClientContext again;
  REQUIRE(people->SetBudget(&again, set, &told).ok());
  CHECK(told.fleet().tokens().budget() == 7'000'000);
  CHECK_FALSE(told.fleet().has_budget_nanousd());
  auto request = wanted(10'000, 20);
  request.set_only_plan(true);
  REQUIRE(try_create(request).ok());
  CHECK(created.plan().fleet().tokens().budget() == 7'000'000);
  CHECK(created.plan().fleet().tokens().per_day());
}

TEST_CASE_FIXTURE(modelled, "less than a nano-dollar for each lineage is no budget") {
  change("s/^model = \"none\"$/model = \"anthropic\"/");
  auto request = wanted(0, 20);
  // Once the seed is measured it leaves 1 beside what the evaluations of a child cost.
  request.set_budget_nanousd(60 * cent + 1);
  request.set_lineages(2);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  for (int i = 0; i < 2; ++i) {
    CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1, 10 * cent));
  }
  const auto is_paused = [](const v1::LineageInfo& each) {
    return each.pause_reason() == v1::PAUSE_REASON_BUDGET;
  };
  wait_tree([&](const v1::GetTreeReply& tree) {
    return std::ranges::any_of(tree.run().lineages(), is_paused);
  });
}
