// Policies over the wire: what is done about lineages that run away, and what is told of it.
#include <doctest/doctest.h>

#include <algorithm>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct policed : fixture {
  grpc::Status try_create_with(const std::vector<std::string>& policy, int lineages = 1,
                               const std::string& strategy = "") {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(lineages);
    request.set_strategy(strategy);
    for (const auto& rule : policy) request.add_policy(rule);
    return try_create(request);
  }
  void create_with(const std::vector<std::string>& policy) {
    const auto status = try_create_with(policy);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }
  /// The live iteration ends as the agent gave up. Its lease.
  v1::Lease stall(scripted_worker& worker) {
    const auto lease = worker.lease();
    REQUIRE(worker.report(lease, v1::ENDING_STALLED, "", "").accepted());
    return lease;
  }
  v1::GetTreeReply wait_state(v1::LineageState state) {
    return wait_tree(
        [&](const v1::GetTreeReply& now) { return now.run().lineages(0).state() == state; });
  }
  std::vector<v1::LineageChange> changes() {
    std::vector<v1::LineageChange> all;
    for (const auto& each : watched(lineage_id())) {
      if (each.has_lineage()) all.push_back(each.lineage());
    }
    return all;
  }
  v1::LineageReply resume() {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(lineage_id());
    v1::LineageReply reply;
    const auto status = people->Resume(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply;
  }
  grpc::Status test_policy(const std::string& target, const std::vector<std::string>& policy,
                           v1::TestPolicyReply& reply) {
    grpc::ClientContext context;
    v1::TestPolicyRequest request;
    request.set_target(target);
    for (const auto& rule : policy) request.add_policy(rule);
    return people->TestPolicy(&context, request, &reply);
  }
};

}  // namespace

TEST_CASE_FIXTURE(policed, "a policy warns and pauses, and what it found is told in its place") {
  create_with({"barren-streak 1 warn", "barren-streak 2 pause"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = stall(worker);
  const auto second = stall(worker);
  const auto now = wait_state(v1::LINEAGE_STATE_PAUSED);
  CHECK(now.run().policy_size() == 2);
  const auto& lineage = now.run().lineages(0);
  CHECK(lineage.pause_reason() == v1::PAUSE_REASON_POLICY);
  CHECK(lineage.pause_details() ==
        "2 iterations in a row bore nothing (policy: barren-streak 2 pause)");
  std::vector<std::string> told;
  for (const auto& each : watched(lineage_id())) {
    if (each.has_lineage()) told.push_back(each.lineage().rule() + "/" + each.lineage().why());
    if (each.has_iteration() && each.iteration().ending() == v1::ENDING_STALLED) {
      told.push_back(each.iteration().item_id());
    }
  }
  const std::vector<std::string> wanted = {
      "/",
      first.item_id(),
      "barren-streak 1 warn/1 iteration in a row bore nothing",
      second.item_id(),
      "barren-streak 1 warn/2 iterations in a row bore nothing",
      "/2 iterations in a row bore nothing (policy: barren-streak 2 pause)"};
  CHECK(told == wanted);
  // Whoever resumes it lets it go on for as long again.
  resume();
  stall(worker);
  stall(worker);
  wait_state(v1::LINEAGE_STATE_PAUSED);
}

TEST_CASE_FIXTURE(policed, "a policy counts on over a restart of the coordinator") {
  create_with({"barren-streak 2 pause"});
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    stall(worker);
  }
  restart();
  scripted_worker worker(service->address(), "w1");
  stall(worker);
  wait_state(v1::LINEAGE_STATE_PAUSED);
}

TEST_CASE_FIXTURE(policed, "a policy kills a lineage: nothing of it is leased any more") {
  create_with({"barren-streak 1 kill"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  stall(worker);
  const auto now = wait_state(v1::LINEAGE_STATE_KILLED);
  CHECK(now.run().lineages(0).pause_details() ==
        "1 iteration in a row bore nothing (policy: barren-streak 1 kill)");
  CHECK_FALSE(worker.expect(v1::CoordinatorMessage::kLease, 500));
  restart();
  CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_KILLED);
}

TEST_CASE_FIXTURE(policed, "with its clade go those that were forked from what it bore") {
  create_with({"barren-streak 1 kill-clade"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());
  const auto lease = worker.lease();
  const auto born = lease.parent_generation();
  v1::LineageReply forked;
  {
    grpc::ClientContext context;
    v1::ForkRequest request;
    request.set_generation(born);
    REQUIRE(people->Fork(&context, request, &forked).ok());
  }
  const auto forks = worker.lease();
  REQUIRE(forks.lineage_id() == forked.lineage().lineage_id());
  REQUIRE(worker.report(lease, v1::ENDING_STALLED, "", "").accepted());
  const auto word = worker.expect(v1::CoordinatorMessage::kKill);
  REQUIRE(word);
  CHECK(word->kill().attempt_id() == forks.attempt_id());
  worker.cleaned(forks.attempt_id());
  wait_tree([](const v1::GetTreeReply& now) {
    return std::ranges::all_of(now.run().lineages(), [](const auto& each) {
      return each.state() == v1::LINEAGE_STATE_KILLED;
    });
  });
}

TEST_CASE_FIXTURE(policed,
                  "a policy takes a lineage back, and where there is no way back pauses it") {
  create_with({"barren-streak 1 rollback"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = worker.lease();
  const auto seed = first.parent_generation();
  evolve(worker, first);
  stall(worker);
  const auto next = worker.lease();
  CHECK(next.parent_generation() == seed);
  const auto now = tree();
  REQUIRE(now.rollbacks_size() == 1);
  CHECK(now.rollbacks(0).why() ==
        "1 iteration in a row bore nothing (policy: barren-streak 1 rollback)");
  REQUIRE(worker.report(next, v1::ENDING_STALLED, "", "").accepted());
  const auto paused = wait_state(v1::LINEAGE_STATE_PAUSED);
  CHECK(paused.run().lineages(0).pause_reason() == v1::PAUSE_REASON_POLICY);
  CHECK(paused.run().lineages(0).pause_details().find("cannot be rolled back") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(policed, "source that grows too much is taken back each time") {
  create_with({"source-growth 2 rollback"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = worker.lease();
  const auto seed = lease.parent_generation();
  for (int i = 0; i < 2; ++i) {
    evolve(worker, lease, std::string(4'096, '#'));
    lease = worker.lease();
    CHECK(lease.parent_generation() == seed);
    CHECK(tree().rollbacks_size() == i + 1);
  }
  const auto now = tree();
  CHECK(now.generations(1).source_bytes() > 2 * now.generations(0).source_bytes());
  CHECK(now.generations(0).source_bytes() > 0);
}

TEST_CASE_FIXTURE(policed, "a policy that cannot be is refused, and says why") {
  const auto why = [&](const std::vector<std::string>& policy, const std::string& strategy = "") {
    const auto status = try_create_with(policy, 1, strategy);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  CHECK(why({"failure-streak three pause"}).find("number of iterations") != std::string::npos);
  CHECK(why({"age 1h warn", "age 60m warn"}).find("twice") != std::string::npos);
  CHECK(why({"no-improvement 3 pause"}).find("has no [fitness]") != std::string::npos);
}

TEST_CASE_FIXTURE(policed,
                  "five failures take a lineage back where a policy says so, and do not pause it") {
  create_with({"failure-streak 5 rollback"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = worker.lease();
  const auto seed = first.parent_generation();
  evolve(worker, first);
  stall(worker);  // the newborn is some good: by itself it would not be taken back
  for (int i = 0; i < 5; ++i) {
    const auto lease = worker.lease();
    const auto reply = worker.report(lease, v1::ENDING_FAILED, "", "");
    REQUIRE_MESSAGE(reply.accepted(), reply.why());
  }
  CHECK(worker.lease().parent_generation() == seed);
  CHECK(tree().rollbacks_size() == 1);
}

TEST_CASE_FIXTURE(policed,
                  "a run is judged by its own rules, or by others, without a change to it") {
  create_with({"barren-streak 3 warn"});
  scripted_worker worker(service->address(), "w1");
  found(worker);
  for (int i = 0; i < 4; ++i) stall(worker);
  wait_tree([](const v1::GetTreeReply& now) { return now.run().lineages(0).has_live(); });
  v1::TestPolicyReply reply;
  REQUIRE(test_policy(created.run_id(), {}, reply).ok());
  CHECK(reply.findings_size() == 1);
  CHECK(reply.policy(0) == "barren-streak 3 warn");
  REQUIRE(test_policy(lineage_id(), {"barren-streak 2 kill"}, reply).ok());
  REQUIRE(reply.findings_size() == 1);
  CHECK(reply.findings(0).words() == "2 iterations in a row bore nothing");
  CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_ACTIVE);
  CHECK(test_policy(created.run_id(), {"barren-streak"}, reply).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  const auto generation = tree().generations(0).generation_id();
  CHECK(test_policy(generation, {}, reply).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
}
