// Evaluations over the wire: what is leased, what becomes of it, and that a kill ends it.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct measured : measured_fixture {
  measured() : measured_fixture(2) {}
};

}  // namespace

TEST_CASE_FIXTURE(measured, "each generation is measured as often as the seed says") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_EVALUATE);
  const auto second = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(first.number() + second.number() == 3);
  CHECK(first.random_seed() != second.random_seed());
  CHECK(first.lineage_id().empty());
  CHECK_FALSE(first.parent_artefact_id().empty());
  CHECK(score(worker, first, 1));
  CHECK(score(worker, second, 2));
  CHECK_FALSE(score(worker, second, 9));  // it is over
  evolve(worker, lease_of(worker, v1::WORK_KIND_ITERATE));
  const auto child = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(child.lineage_id() == lineage_id());
  CHECK(child.random_seed() == (child.number() == first.number() ? first : second).random_seed());
  CHECK(score(worker, child, std::numeric_limits<double>::quiet_NaN()));  // taken, as no score
  CHECK(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 4));
  const auto now = tree();
  REQUIRE(now.generations_size() == 2);
  CHECK(now.iterations_size() == 2);  // the founding, and one
  CHECK(now.generations(0).fitness().mean() == 1.5);
  CHECK(now.generations(1).fitness().samples() == 1);
  CHECK(now.generations(1).fitness().failed() == 1);
  CHECK(now.evaluations_size() == 4);
}

TEST_CASE_FIXTURE(measured, "the best so far is leased again, until it is measured often enough") {
  shell("cd " + dir +
        "/user && sed -i 's/^evaluations = 2$/evaluations = 3\\nelite_evaluations = 5/' "
        "genome.toml &&"
        " git -c user.name=u -c user.email=u@e commit -qam elite");
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  std::set<int> numbers;
  for (int i = 0; i < 5; ++i) {
    const auto lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
    numbers.insert(static_cast<int>(lease.number()));
    REQUIRE(score(worker, lease, i));
  }
  CHECK(numbers == std::set{1, 2, 3, 4, 5});
  const auto now = tree();
  CHECK(now.generations(0).fitness().samples() == 5);
  CHECK(now.generations(0).fitness().mean() == 2);
  take_leases(worker, 300);
  CHECK(std::ranges::none_of(
      kept, [](const auto& each) { return each.kind() == v1::WORK_KIND_EVALUATE; }));
}

TEST_CASE_FIXTURE(measured, "what has the source of one that is measured is not measured") {
  create(2);
  scripted_worker worker(service->address(), "w1");
  worker.source_id = "the same";
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  for (int i = 0; i < 2; ++i) REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 3));
  take_leases(worker, 20);
  evolve(worker, first);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  take_leases(worker, 300);
  CHECK(kept.empty());
  worker.source_id = "another";
  evolve(worker, second);
  CHECK(lease_of(worker, v1::WORK_KIND_EVALUATE).number() >= 1);
  const auto now = tree();
  REQUIRE(now.generations_size() == 3);
  CHECK(now.generations(1).same_as() == now.generations(0).generation_id());
  CHECK(now.generations(1).fitness().mean() == 3);
  CHECK(now.generations(2).same_as().empty());
}

TEST_CASE_FIXTURE(measured,
                  "what is measured is taken up again by a coordinator that starts anew") {
  create(1);
  v1::Lease running;
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    running = lease_of(worker, v1::WORK_KIND_EVALUATE);
    lease_of(worker, v1::WORK_KIND_EVALUATE);
  }
  kept.clear();
  held = {running.attempt_id()};
  restart();
  scripted_worker worker(service->address(), "w1", held);
  CHECK(score(worker, running, 3));
  // The other one was not named: it is leased again.
  const auto again = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(again.number() != running.number());
  CHECK(again.fence() >= 2);
  CHECK(score(worker, again, 5));
  const auto now = tree();
  CHECK(now.generations(0).fitness().mean() == 4);
}

TEST_CASE_FIXTURE(measured, "a kill ends what is measured, whatever became of its lineage") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, lease_of(worker, v1::WORK_KIND_ITERATE));
  wait_tree([](const v1::GetTreeReply& now) {
    return now.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DONE;
  });
  std::vector<v1::Lease> leases;
  for (int i = 0; i < 4; ++i) leases.push_back(lease_of(worker, v1::WORK_KIND_EVALUATE));
  std::string target;
  SUBCASE("all, with a lineage that is done") {
    target = "all";
  }
  SUBCASE("all, with a lineage that is retired") {
    retire(lineage_id());
    target = "all";
  }
  SUBCASE("the run, with a lineage that is retired") {
    retire(lineage_id());
    target = created.run_id();
  }
  SUBCASE("its last lineage, with which goes what is the run's") {
    target = lineage_id();
  }
  SUBCASE("the seed's generation, from which all descends") {
    target = leases[0].parent_generation();
    for (const auto& each : leases) {
      if (each.lineage_id().empty()) target = each.parent_generation();
    }
  }
  const auto reply = kill_while_heard(worker, target);
  REQUIRE(reply.lineages_size() == 1);
  CHECK(reply.lineages(0).proof() == v1::KILL_PROOF_KILLED);
  for (const auto& each : leases) CHECK_FALSE(score(worker, each, 1));
  const auto now = tree();
  for (const auto& each : now.evaluations()) CHECK(each.ending() == v1::ENDING_KILLED);
}

TEST_CASE_FIXTURE(measured, "three lost attempts leave an evaluation without a score") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
  const auto wanted = lease.item_id();
  for (int lost = 1; lost <= 3; ++lost) {
    worker.cleaned(lease.attempt_id(), "the machine is on fire");
    while (lost < 3 && (lease.item_id() != wanted || lease.fence() != lost + 1)) {
      lease = lease_of(worker, v1::WORK_KIND_EVALUATE);
    }
  }
  const auto now = wait_tree([&](const v1::GetTreeReply& tree) {
    return std::ranges::any_of(tree.evaluations(), [&](const auto& each) {
      return each.item_id() == wanted && each.reason() == "attempts_lost" &&
             tree.generations(0).fitness().failed() == 1;  // which is read at another moment
    });
  });
  CHECK(now.run().lineages(0).state() == v1::LINEAGE_STATE_ACTIVE);
}
