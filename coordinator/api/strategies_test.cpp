// Strategies and scaling over the wire: which parents are leased, and how many lineages there are.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct breeding : measured_fixture {
  breeding() : measured_fixture(1) {}

  void create_with(const std::string& strategy, int lineages, std::int64_t iterations = 0) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(lineages);
    request.set_max_iterations(iterations);
    request.set_strategy(strategy);
    const auto status = try_create(request);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }
  grpc::Status scale(const std::string& run, int lineages, bool kill, v1::ScaleReply& reply) {
    grpc::ClientContext context;
    v1::ScaleRequest request;
    request.set_run(run);
    request.set_lineages(lineages);
    request.set_kill(kill);
    return people->Scale(&context, request, &reply);
  }
  v1::ScaleReply scale(int lineages) {
    v1::ScaleReply reply;
    const auto status = scale(created.run_id(), lineages, false, reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply;
  }
  std::string commit_of(const std::string& generation) {
    const auto now = tree();
    for (const auto& each : now.generations()) {
      if (each.generation_id() == generation) return each.commit();
    }
    return {};
  }
  void cordon(const std::string& worker, bool cordoned) {
    grpc::ClientContext context;
    v1::CordonRequest request;
    request.set_worker(worker);
    request.set_cordoned(cordoned);
    v1::CordonReply reply;
    REQUIRE(people->Cordon(&context, request, &reply).ok());
  }
  /// Bears the lease's generation, and scores it; its commit.
  std::string bear(scripted_worker& worker, const v1::Lease& lease, double value) {
    take_leases(worker, 20);
    const auto commit = evolve(worker, lease);
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), value));
    return commit;
  }
};

/// Which lineage is leased first is not said.
v1::LineageInfo lineage_in(const v1::GetTreeReply& tree, const std::string& id) {
  for (const auto& each : tree.run().lineages()) {
    if (each.lineage_id() == id) return each;
  }
  return {};
}

std::vector<std::string> parents_of(const std::string& dir, const std::string& commit) {
  auto repo = git::repository::open(dir + "/state/objects.git");
  REQUIRE(repo);
  const auto log = repo->log(commit, 1);
  REQUIRE(log);
  return log->front().parents;
}

}  // namespace

TEST_CASE_FIXTURE(breeding, "all lineages go on from the best, whoever bore it") {
  create_with("best", 2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto seed = lease_of(worker, v1::WORK_KIND_EVALUATE);
  REQUIRE(score(worker, seed, 1));
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(first.parent_generation() == second.parent_generation());
  const auto good = bear(worker, first, 5);
  const auto third = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(third.lineage_id() == first.lineage_id());
  CHECK(third.parent_commit() == good);

  // The second's own child is worse: it goes on from the first's, and its branch shows both.
  const auto worse = bear(worker, second, 3);
  const auto moved = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(moved.lineage_id() == second.lineage_id());
  CHECK(moved.parent_generation() == third.parent_generation());
  CHECK(moved.number() == 2);
  CHECK(parents_of(dir, moved.parent_commit()) == std::vector{worse, good});
  const auto now = wait_tree([&](const v1::GetTreeReply& tree) {
    return tree.generations_size() == 3 && lineage_in(tree, second.lineage_id()).has_live();
  });
  const auto mover = lineage_in(now, second.lineage_id());
  CHECK(now.run().strategy() == "best");
  CHECK(mover.live().choice().among() == 3);
  CHECK(mover.head_generation() == third.parent_generation());
  // What is born of it has it as its parent.
  const auto child = bear(worker, moved, 9);
  CHECK(parents_of(dir, child) == std::vector{moved.parent_commit()});
}

TEST_CASE_FIXTURE(breeding, "a lineage waits until its newborn is measured, also over a restart") {
  create_with("archive-sampling", 1);
  v1::Lease evaluation;
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
    evolve(worker, lease_of(worker, v1::WORK_KIND_ITERATE));
    evaluation = lease_of(worker, v1::WORK_KIND_EVALUATE);
    take_leases(worker, 500);
    CHECK(kept.empty());
    const auto now = tree();
    CHECK(now.run().lineages(0).waits_for() == "generation 1 to be measured");
  }
  held = {evaluation.attempt_id()};
  restart();
  scripted_worker worker(service->address(), "w1", held);
  take_leases(worker, 500);
  CHECK(kept.empty());
  REQUIRE(score(worker, evaluation, 4));
  const auto next = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(next.number() == 2);
}

TEST_CASE_FIXTURE(breeding, "what a strategy has measured again is leased, and then it chooses") {
  create_with("clade-thompson", 2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  bear(worker, first, 1);
  // One is born and one on its way: 2 cases are too few, 2^0.6 = 1.5, and so are 3.
  for (int cases = 2; cases < 4; ++cases) {
    const auto again = lease_of(worker, v1::WORK_KIND_EVALUATE);
    CHECK(again.number() >= 2);
    const auto now = tree();
    CHECK(lineage_in(now, first.lineage_id()).waits_for() ==
          again.parent_generation() + " to be measured once more");
    REQUIRE(score(worker, again, 0));
  }
  CHECK(lease_of(worker, v1::WORK_KIND_ITERATE).lineage_id() == first.lineage_id());
  const auto now = tree();
  CHECK(now.evaluations_size() == 4);
  CHECK(lineage_in(now, first.lineage_id()).waits_for().empty());
}

TEST_CASE_FIXTURE(breeding, "what a killed lineage bore is no parent of others") {
  create_with("best", 2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  bear(worker, first, 9);
  lease_of(worker, v1::WORK_KIND_ITERATE);
  kill_while_heard(worker, first.lineage_id());
  const auto own = bear(worker, second, 2);
  CHECK(lease_of(worker, v1::WORK_KIND_ITERATE).parent_commit() == own);
}

TEST_CASE_FIXTURE(breeding, "a strategy that cannot be is refused with what can") {
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_lineages(1);
  request.set_strategy("bst");
  CHECK(try_create(request).error_message().find("there is no strategy 'bst': there are chain") !=
        std::string::npos);
  std::ofstream(dir + "/user/genome.toml") << genome_toml;
  shell("cd " + dir + "/user && git -c user.name=u -c user.email=u@e commit -qam unmeasured");
  request.set_strategy("best");
  CHECK(try_create(request).error_message().find("has no [fitness]") != std::string::npos);
}

TEST_CASE_FIXTURE(breeding, "a run is scaled up while it goes on") {
  create_with("best", 1);
  scripted_worker worker(service->address(), "w1");
  v1::ScaleReply none;
  CHECK(scale(created.run_id(), 2, false, none).error_message().find("is being founded") !=
        std::string::npos);
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto good = bear(worker, lease_of(worker, v1::WORK_KIND_ITERATE), 5);
  lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto reply = scale(3);
  REQUIRE(reply.added_size() == 2);
  CHECK(reply.leaving_size() == 0);
  for (int i = 0; i < 2; ++i) {
    const auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
    CHECK(lease.parent_commit() == good);  // and not the seed
  }
  const auto now = tree();
  CHECK(now.run().lineages_size() == 3);
  CHECK(scale(3).added_size() == 0);
  CHECK(scale(created.run_id(), 65, false, none).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(scale(lineage_id(), 2, false, none).error_message().find("is a lineage") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(breeding, "scaled down, what runs is let end, and what waits does not begin") {
  create_with("chain", 5);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  std::map<std::string, v1::Lease> running;
  for (int slot = 0; slot < 4; ++slot) {
    const auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
    running[lease.lineage_id()] = lease;
  }
  const auto reply = scale(0);
  CHECK(reply.leaving_size() == 5);
  for (const auto& each : reply.leaving()) {
    const bool runs = running.contains(each.lineage_id());
    CHECK(each.draining() == runs);
    CHECK((each.state() == v1::LINEAGE_STATE_RETIRED) == !runs);
  }
  CHECK(scale(0).leaving_size() == 0);
  for (const auto& [id, lease] : running) bear(worker, lease, 2);
  wait_tree([](const v1::GetTreeReply& now) {
    return std::ranges::all_of(now.run().lineages(), [](const auto& each) {
      return each.state() == v1::LINEAGE_STATE_RETIRED;
    });
  });
  const auto now = tree();
  CHECK(now.generations_size() == 5);
}

TEST_CASE_FIXTURE(breeding, "what a drained lineage bore is measured on, and a kill ends that") {
  create_with("chain", 1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto running = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(scale(0).leaving(0).draining());
  evolve(worker, running);
  lease_of(worker, v1::WORK_KIND_EVALUATE);
  wait_tree([](const v1::GetTreeReply& tree) {
    return tree.run().lineages(0).state() == v1::LINEAGE_STATE_RETIRED;
  });
  kill_while_heard(worker, running.lineage_id());
  const auto now = tree();
  for (const auto& each : now.evaluations()) CHECK(each.ending() != v1::ENDING_UNSPECIFIED);
}

TEST_CASE_FIXTURE(breeding, "scaled down by killing, with proof") {
  create_with("best", 2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  lease_of(worker, v1::WORK_KIND_ITERATE);
  lease_of(worker, v1::WORK_KIND_ITERATE);
  v1::ScaleReply reply;
  while_heard(worker, [&] {
    const auto status = scale(created.run_id(), 1, true, reply);
    CHECK_MESSAGE(status.ok(), status.error_message());
  });
  REQUIRE(reply.killed_size() == 1);
  CHECK(reply.killed(0).lineage_id() == created.lineage_ids(1));  // the newest
  CHECK(reply.killed(0).proof() == v1::KILL_PROOF_KILLED);
}

TEST_CASE_FIXTURE(breeding, "what waits to start from what is killed starts elsewhere") {
  create_with("best", 2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  bear(worker, first, 9);
  lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto own = evolve(worker, second);
  const auto evaluation = lease_of(worker, v1::WORK_KIND_EVALUATE);
  cordon("w1", true);
  REQUIRE(score(worker, evaluation, 2));
  const auto waiting = wait_tree(
      [&](const v1::GetTreeReply& now) { return lineage_in(now, second.lineage_id()).has_live(); });
  const auto item = lineage_in(waiting, second.lineage_id()).live().item_id();
  SUBCASE("by a kill of its lineage") {
    kill_while_heard(worker, first.lineage_id());
  }
  SUBCASE("after a restart, too") {
    kill_while_heard(worker, first.lineage_id());
    cordon("w1", false);
    restart();
    scripted_worker again(service->address(), "w1");
    held.clear();
    CHECK(commit_of(lease_of(again, v1::WORK_KIND_ITERATE).parent_generation()) == own);
    return;
  }
  cordon("w1", false);
  const auto next = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(next.lineage_id() == second.lineage_id());
  CHECK(commit_of(next.parent_generation()) == own);
  CHECK(next.item_id() != item);
}

TEST_CASE_FIXTURE(breeding,
                  "what drains can be killed, and does not begin again where it is lost") {
  create_with("chain", 1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto running = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(scale(0).leaving(0).draining());
  SUBCASE("killed") {
    v1::ScaleReply reply;
    while_heard(worker, [&] {
      const auto status = scale(created.run_id(), 0, true, reply);
      CHECK_MESSAGE(status.ok(), status.error_message());
    });
    REQUIRE(reply.killed_size() == 1);
    CHECK(reply.killed(0).proof() == v1::KILL_PROOF_KILLED);
  }
  SUBCASE("lost") {
    worker.cleaned(running.attempt_id(), "the machine is on fire");
    wait_tree([](const v1::GetTreeReply& now) {
      return now.run().lineages(0).state() == v1::LINEAGE_STATE_RETIRED;
    });
    take_leases(worker, 300);
    CHECK(kept.empty());
  }
}

TEST_CASE_FIXTURE(breeding, "a kill of a run reaches what is being added to it") {
  create_with("chain", 1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  v1::ScaleReply added;
  std::thread person([&] { static_cast<void>(scale(created.run_id(), 64, false, added)); });
  wait_tree([](const v1::GetTreeReply& now) { return now.run().lineages_size() > 2; });
  kill_while_heard(worker, created.run_id());
  person.join();
  const auto now = tree();
  for (const auto& each : now.run().lineages()) {
    CHECK(each.state() == v1::LINEAGE_STATE_KILLED);
  }
}

TEST_CASE_FIXTURE(breeding, "a rollback is refused where the strategy chooses") {
  create_with("best", 1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  grpc::ClientContext context;
  v1::RollbackRequest request;
  request.set_lineage(lineage_id());
  v1::RollbackReply reply;
  const auto status = people->Rollback(&context, request, &reply);
  CHECK(status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(status.error_message().find("chooses what each iteration starts from") !=
        std::string::npos);
}
