// Kills of a generation or lineage with all that descends from it.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct family : fixture {
  std::string fork(const std::string& generation) {
    grpc::ClientContext context;
    v1::ForkRequest request;
    request.set_generation(generation);
    v1::LineageReply reply;
    const auto status = people->Fork(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply.lineage().lineage_id();
  }
  grpc::Status try_kill(const std::string& target, bool clade, v1::KillReply& reply) {
    grpc::ClientContext context;
    v1::KillRequest request;
    request.set_target(target);
    request.set_clade(clade);
    return people->Kill(&context, request, &reply);
  }
  std::vector<std::string> killed(const std::string& target, bool clade) {
    v1::KillReply reply;
    const auto status = try_kill(target, clade, reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return ids_of(reply);
  }
  static std::vector<std::string> ids_of(const v1::KillReply& reply) {
    std::vector<std::string> ids;
    for (const auto& each : reply.lineages()) {
      CHECK(each.proof() != v1::KILL_PROOF_NONE);
      CHECK(each.proof() != v1::KILL_PROOF_UNSPECIFIED);
      ids.push_back(each.lineage_id());
    }
    std::ranges::sort(ids);
    return ids;
  }
  static std::vector<std::string> sorted(std::vector<std::string> ids) {
    std::ranges::sort(ids);
    return ids;
  }
  std::map<std::string, v1::LineageState> states() {
    std::map<std::string, v1::LineageState> out;
    const auto now = tree();
    for (const auto& each : now.run().lineages()) out[each.lineage_id()] = each.state();
    return out;
  }
  /// The next lease, of this lineage; others that come before it stay leased.
  v1::Lease lease_of(scripted_worker& worker, const std::string& lineage) {
    while (true) {
      auto lease = worker.lease();
      if (lease.lineage_id() == lineage) return lease;
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(family,
                  "a clade is a lineage with its forks and theirs, or what has a generation") {
  create();
  const auto root = lineage_id();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());  // generation 1 of the root
  const auto first =
      worker.lease().parent_generation();  // generation 1; its own iteration is leased
  const auto seed = tree().generations(0).generation_id();
  const auto aside = fork(seed);   // descends from the seed alone
  const auto child = fork(first);  // from the root's own generation
  evolve(worker, lease_of(worker, child));
  const auto second = lease_of(worker, child).parent_generation();
  const auto grandchild = fork(second);
  REQUIRE(lease_of(worker, grandchild).parent_generation() == second);
  std::atomic<bool> over{false};
  std::thread answers([&] {  // the worker ends what it is told to
    while (!over) {
      const auto kill = worker.expect(v1::CoordinatorMessage::kKill, 100);
      if (kill) worker.cleaned(kill->kill().attempt_id());
    }
  });
  SUBCASE("a lineage alone") {
    CHECK(killed(child, false) == std::vector<std::string>{child});
    CHECK(states()[grandchild] == v1::LINEAGE_STATE_ACTIVE);
  }
  SUBCASE("a lineage with its clade") {
    CHECK(killed(root, true) == sorted({root, child, grandchild}));
    CHECK(states()[aside] == v1::LINEAGE_STATE_ACTIVE);
    CHECK(killed(root, true) == std::vector<std::string>{root});  // the others are over
  }
  SUBCASE("through one that is over") {
    CHECK(killed(child, false) == std::vector<std::string>{child});
    CHECK(killed(root, true) == sorted({root, grandchild}));
  }
  SUBCASE("a generation") {
    CHECK(killed(second, false) == sorted({child, grandchild}));
    CHECK(states()[root] == v1::LINEAGE_STATE_ACTIVE);
    CHECK(killed(second, false).empty());
  }
  SUBCASE("the seed") {
    CHECK(killed(seed, false) == sorted({root, aside, child, grandchild}));
  }
  SUBCASE("no clade of a run") {
    v1::KillReply reply;
    const auto refused = try_kill(created.run_id(), true, reply);
    CHECK(refused.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(states()[root] == v1::LINEAGE_STATE_ACTIVE);
  }
  over = true;
  answers.join();
}

TEST_CASE_FIXTURE(family, "what is forked while its clade is killed does not slip through") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto running = worker.lease();
  const auto seed = running.parent_generation();
  v1::KillReply reply;
  grpc::Status status;
  std::thread kill([&] { status = try_kill(seed, false, reply); });
  REQUIRE(worker.expect(v1::CoordinatorMessage::kKill));  // recorded; its proof is not here yet
  std::vector<std::string> forks;
  for (int i = 0; i < 5; ++i) forks.push_back(fork(seed));
  worker.cleaned(running.attempt_id());
  // What the forks were leased meanwhile ends with them.
  std::atomic<bool> over{false};
  std::thread answers([&] {
    while (!over) {
      const auto asked = worker.expect(v1::CoordinatorMessage::kKill, 50);
      if (asked) worker.cleaned(asked->kill().attempt_id());
    }
  });
  kill.join();
  over = true;
  answers.join();
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  forks.push_back(lineage_id());
  CHECK(ids_of(reply) == sorted(forks));
  for (const auto& [id, state] : states()) CHECK(state == v1::LINEAGE_STATE_KILLED);
}

TEST_CASE_FIXTURE(family, "forks beside a kill are killed or come after it, each as a whole") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto seed = worker.lease().parent_generation();
  std::atomic<bool> over{false};
  std::thread answers([&] {
    while (!over) {
      const auto asked = worker.expect(v1::CoordinatorMessage::kKill, 20);
      if (asked) worker.cleaned(asked->kill().attempt_id());
    }
  });
  std::vector<std::string> asked_before, all;
  std::atomic<bool> killing{false};
  std::thread forks([&] {
    for (int i = 0; i < 40; ++i) {
      const bool before = !killing;
      const auto id = fork(seed);
      all.push_back(id);
      if (before) asked_before.push_back(id);
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  killing = true;
  const auto gone = killed(seed, false);
  const auto later = killed(seed, false);  // those that were forked after the first
  forks.join();
  const auto rest = killed(seed, false);
  over = true;
  answers.join();
  // Whatever was asked for before the kill is in its answer.
  for (const auto& id : asked_before) {
    CHECK(std::ranges::count(gone, id) == 1);
  }
  CHECK(gone.size() + later.size() + rest.size() == all.size() + 1);
  for (const auto& [id, state] : states()) CHECK(state == v1::LINEAGE_STATE_KILLED);
}
