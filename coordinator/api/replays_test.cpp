// Runs that do again what another did, over the wire.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <set>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

/// How an iteration ends, by its random seed.
using fate = std::function<v1::Ending(const v1::Lease&)>;

struct replaying : measured_fixture {
  replaying() : measured_fixture(1) {
    look_ms = 600'000;  // what waits is woken, and not found by looking
    restart();
  }

  static v1::Ending by_seed(const v1::Lease& lease) {
    return lease.random_seed() % 4 == 0 ? v1::ENDING_REJECTED : v1::ENDING_EVOLVED;
  }

  std::string source_of(const std::string& generation) {
    const auto now = tree();
    for (const auto& each : now.generations()) {
      if (each.generation_id() == generation) return each.source_id();
    }
    return "unknown";
  }

  /// What the first lineage bore first is the best.
  double rank_of(const std::string& generation) {
    const auto now = tree();
    for (const auto& each : now.generations()) {
      if (each.generation_id() != generation || each.lineage_id().empty()) continue;
      return each.lineage_id() == now.run().lineages(0).lineage_id() && each.number() == 1 ? 10 : 1;
    }
    return 0;
  }

  /// Sends what ends the lease, and waits until that is judged; leases that come are kept.
  void settle(scripted_worker& worker, const v1::Lease& lease, const std::function<void()>& send) {
    send();
    for (int tries = 0; tries < 300; ++tries) {
      const auto message = worker.next(100);
      if (!message) {
        worker.beat(held);
      } else if (message->has_lease()) {
        kept.push_back(message->lease());
        held.push_back(message->lease().attempt_id());
      } else if (message->has_result_reply() &&
                 message->result_reply().attempt_id() == lease.attempt_id()) {
        REQUIRE_MESSAGE(message->result_reply().accepted(), message->result_reply().why());
        std::erase(held, lease.attempt_id());
        return;
      }
    }
    FAIL("no reply came");
  }

  void do_one(scripted_worker& worker, const v1::Lease& lease, const fate& how) {
    const auto seed = std::to_string(lease.random_seed());
    if (lease.kind() == v1::WORK_KIND_EVALUATE) {
      const auto source = source_of(lease.parent_generation());
      v1::WorkerMessage message;
      auto* result = message.mutable_result();
      result->set_attempt_id(lease.attempt_id());
      result->set_fence(lease.fence());
      result->set_ending(v1::ENDING_SCORED);
      const auto digits = sha256_hex(source + seed).substr(0, 6);
      result->mutable_score()->set_score(first_is_best ? rank_of(lease.parent_generation())
                                                       : std::stod("0x" + digits));
      return settle(worker, lease, [&] { worker.send(message); });
    }
    if (lease.kind() == v1::WORK_KIND_FOUND) {
      const auto art = worker.put_artefact(lease, "seed");
      worker.source_id = "the seed";
      return settle(worker, lease, [&] {
        worker.send_result(lease, v1::ENDING_EVOLVED, lease.seed_commit(), art);
      });
    }
    seeds[lease.item_id()] = lease.random_seed();
    worker.source_id = "src " + sha256_hex(source_of(lease.parent_generation()) + seed);
    std::string pack;
    const auto commit = make_commit(worker, lease, pack, seed);
    REQUIRE(worker.put_objects(lease, pack).ok());
    const auto ending = how(lease);
    const auto art = ending == v1::ENDING_EVOLVED ? worker.put_artefact(lease, seed) : "";
    settle(worker, lease, [&] { worker.send_result(lease, ending, commit, art); });
  }

  bool is_over(const v1::GetTreeReply& now) {
    for (const auto& each : now.run().lineages()) {
      if (each.state() == v1::LINEAGE_STATE_ACTIVE) return false;
    }
    for (const auto& each : now.evaluations()) {
      if (each.ending() == v1::ENDING_UNSPECIFIED) return false;
    }
    return true;
  }

  /// Does all that comes until nothing more of the newest run does. `order`: which of the leases
  /// that are there is next.
  v1::GetTreeReply work(scripted_worker& worker, const fate& how = by_seed, bool newest = false) {
    for (int tries = 0; tries < 600; ++tries) {
      take_leases(worker, 30);
      if (!kept.empty()) {
        const auto lease = newest ? kept.back() : kept.front();
        if (newest) {
          kept.pop_back();
        } else {
          kept.erase(kept.begin());
        }
        do_one(worker, lease, how);
        continue;
      }
      worker.beat(held);
      auto now = tree();
      if (now.run().found_state() == "founded" && is_over(now)) return now;
    }
    FAIL("it never came to its end: " << tree().ShortDebugString());
    return {};
  }

  v1::GetTreeReply first_run(scripted_worker& worker, const std::string& strategy) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_strategy(strategy);
    request.set_lineages(2);
    request.set_max_iterations(4);
    request.set_random_seed(77);
    const auto status = try_create(request);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return work(worker);
  }

  template <class Method>
  void steer(Method method, const std::string& lineage) {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(lineage);
    v1::LineageReply reply;
    const auto status = ((*people).*method)(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }

  grpc::Status replay(const std::string& run) {
    grpc::ClientContext context;
    v1::ReplayRequest request;
    request.set_run(run);
    return people->Replay(&context, request, &created);
  }

  /// Each iteration by what of it does not depend on ids: its lineage's place, what it does, how
  /// it ended, and the sources of its parent and of what it bore.
  static std::map<std::string, std::string> story(const v1::GetTreeReply& tree) {
    std::map<std::string, std::string> sources;
    std::map<std::string, std::string> scores;
    for (const auto& each : tree.generations()) {
      sources[each.generation_id()] = each.source_id();
      scores[each.generation_id()] = std::to_string(each.fitness().mean());
    }
    std::map<std::string, int> counts;
    std::map<std::string, std::string> out;
    for (const auto& each : tree.iterations()) {
      if (each.kind() != v1::WORK_KIND_ITERATE) continue;
      int place = 0;
      while (tree.run().lineages(place).lineage_id() != each.lineage_id()) ++place;
      const auto nth = ++counts[each.lineage_id()];
      out[std::to_string(place) + "/" + std::to_string(nth)] =
          v1::Ending_Name(each.ending()) + " from " + sources[each.parent_generation()] + " to " +
          sources[each.generation_id()] + " " + scores[each.generation_id()];
    }
    return out;
  }

  std::map<std::string, std::uint64_t> seeds;  // by iteration
  bool first_is_best = false;                  // else scores are by source and seed
};

}  // namespace

TEST_CASE_FIXTURE(replaying, "a replay has the same parents, endings, sources and scores") {
  scripted_worker worker(service->address(), "w1");
  for (const std::string strategy : {"archive-sampling", "chain"}) {
    const auto first = first_run(worker, strategy);
    REQUIRE(story(first).size() == 8);
    REQUIRE(replay(first.run().run_id()).ok());
    // In another order: what came last is done first.
    const auto again = work(worker, by_seed, true);
    CHECK(again.run().run_id() == created.run_id());
    CHECK(again.run().replay_of() == first.run().run_id());
    CHECK(again.run().name() == first.run().name() + "-replay");
    CHECK(story(again) == story(first));
    for (const auto& each : again.iterations()) {
      if (each.kind() != v1::WORK_KIND_ITERATE) continue;
      CHECK(seeds.at(each.item_id()) == seeds.at(each.replay_of()));
    }
    for (const auto& each : again.run().lineages()) {
      CHECK(each.pause_reason() == v1::PAUSE_REASON_DONE);
    }
    // One more time, of the replay.
    REQUIRE(replay(again.run().run_id()).ok());
    CHECK(story(work(worker)) == story(first));
  }
}

TEST_CASE_FIXTURE(replaying, "where what an iteration starts from is not born again it parts") {
  scripted_worker worker(service->address(), "w1");
  const auto first = first_run(worker, "chain");
  REQUIRE(replay(first.run().run_id()).ok());
  // The first that bore something which others started from bears nothing.
  std::set<std::string> parents;
  for (const auto& each : first.iterations()) parents.insert(each.parent_generation());
  std::string bearing;
  for (const auto& each : first.iterations()) {
    const bool is_parent = !each.generation_id().empty() && parents.contains(each.generation_id());
    if (each.kind() == v1::WORK_KIND_ITERATE && is_parent && bearing.empty()) {
      bearing = each.item_id();
    }
  }
  REQUIRE(!bearing.empty());
  const auto seed = seeds.at(bearing);
  const auto again = work(worker, [&](const v1::Lease& lease) {
    return lease.random_seed() == seed ? v1::ENDING_REJECTED : by_seed(lease);
  });
  int parted = 0;
  int told = 0;  // the others start from what those that parted did not come to
  for (const auto& each : again.run().lineages()) {
    if (each.pause_reason() != v1::PAUSE_REASON_DIVERGED) continue;
    ++parted;
    CHECK(each.pause_details().find("the replay parts from " + first.run().run_id()) == 0);
    told += each.pause_details().find("ended: rejected test") != std::string::npos ? 1 : 0;
  }
  CHECK(parted > 0);
  CHECK(told > 0);
}

TEST_CASE_FIXTURE(replaying,
                  "what a person rolled back starts again from there, with its context") {
  scripted_worker worker(service->address(), "w1");
  create(4);
  do_one(worker, worker.lease(), by_seed);
  const auto evolves = [](const v1::Lease&) { return v1::ENDING_EVOLVED; };
  const auto fails = [](const v1::Lease&) { return v1::ENDING_FAILED; };
  do_one(worker, lease_of(worker, v1::WORK_KIND_ITERATE), evolves);
  do_one(worker, lease_of(worker, v1::WORK_KIND_ITERATE), fails);
  const auto third = lease_of(worker, v1::WORK_KIND_ITERATE);
  steer(&v1::Control::Stub::Pause, lineage_id());
  do_one(worker, third, fails);
  wait_tree([](const auto& now) { return now.run().lineages(0).iterations_done() == 3; });
  grpc::ClientContext context;
  v1::RollbackRequest back;
  back.set_lineage(lineage_id());
  v1::RollbackReply reply;
  REQUIRE(people->Rollback(&context, back, &reply).ok());
  steer(&v1::Control::Stub::Resume, lineage_id());
  const auto first = work(worker, evolves);
  REQUIRE(replay(first.run().run_id()).ok());
  int nth = 0;
  std::vector<v1::Lease> leases;
  const auto again = work(worker, [&](const v1::Lease& lease) {
    leases.push_back(lease);
    return ++nth == 2 || nth == 3 ? v1::ENDING_FAILED : v1::ENDING_EVOLVED;
  });
  CHECK(story(again) == story(first));
  REQUIRE(again.rollbacks_size() == 1);
  CHECK(again.rollbacks(0).why() == "as in the run that is replayed");
  // The commit stands on the failure's, whose context it has.
  REQUIRE(leases.size() == 4);
  auto repo = git::repository::open(dir + "/state/objects.git");
  REQUIRE(repo);
  const auto failed = again.iterations(3);
  REQUIRE(failed.ending() == v1::ENDING_FAILED);
  CHECK(repo->log(leases[3].parent_commit(), 1)->front().parents == std::vector{failed.commit()});

  v1::LineageReply resumed;
  grpc::ClientContext other;
  back.set_lineage(lineage_id());  // of the replay
  CHECK(people->Rollback(&other, back, &reply).error_message().find("goes where its record says") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(replaying, "what is killed of a replay parts those that start from it") {
  scripted_worker worker(service->address(), "w1");
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_strategy("best");
  request.set_lineages(2);
  request.set_max_iterations(3);
  REQUIRE(try_create(request).ok());
  first_is_best = true;
  const auto evolves = [](const v1::Lease&) { return v1::ENDING_EVOLVED; };
  const auto first = work(worker, evolves);
  REQUIRE(replay(first.run().run_id()).ok());
  const auto lineage = created.lineage_ids(0);
  const auto other = created.lineage_ids(1);
  bool is_killed = false;
  for (int tries = 0; tries < 400; ++tries) {
    take_leases(worker, 30);
    worker.beat(held);
    const auto now = tree();
    const bool is_born = std::ranges::any_of(
        now.generations(), [&](const auto& each) { return each.lineage_id() == lineage; });
    if (is_born && !is_killed) {
      kill_while_heard(worker, lineage);
      std::erase_if(kept, [&](const auto& each) { return each.lineage_id() == lineage; });
      is_killed = true;
    }
    if (is_killed && now.run().lineages(1).state() != v1::LINEAGE_STATE_ACTIVE) break;
    if (kept.empty()) continue;
    const auto lease = kept.front();
    kept.erase(kept.begin());
    do_one(worker, lease, evolves);
  }
  const auto now = tree();
  CHECK(now.run().lineages(1).lineage_id() == other);
  CHECK(now.run().lineages(1).pause_reason() == v1::PAUSE_REASON_DIVERGED);
  CHECK(now.run().lineages(1).pause_details().find("killed") != std::string::npos);
}

TEST_CASE_FIXTURE(replaying, "it goes on after a restart, and what is killed of it is done again") {
  scripted_worker worker(service->address(), "w1");
  const auto first = first_run(worker, "archive-sampling");
  REQUIRE(replay(first.run().run_id()).ok());
  for (int i = 0; i < 5; ++i) {
    for (int tries = 0; tries < 100 && kept.empty(); ++tries) {
      worker.beat(held);
      take_leases(worker, 100);
    }
    REQUIRE(!kept.empty());
    const auto lease = kept.front();
    kept.erase(kept.begin());
    do_one(worker, lease, by_seed);
  }
  worker.leave();
  kept.clear();
  held.clear();
  restart();
  scripted_worker other(service->address(), "w1");
  CHECK(story(work(other)) == story(first));
}

TEST_CASE_FIXTURE(replaying,
                  "what cannot be replayed is refused, and a replay has no more lineages") {
  scripted_worker worker(service->address(), "w1");
  CHECK(replay("run_0").error_code() == grpc::StatusCode::NOT_FOUND);
  create(2);
  const auto founding = worker.lease();
  CHECK(replay(created.run_id()).error_message().find("is being founded") != std::string::npos);
  do_one(worker, founding, by_seed);
  const auto run = created.run_id();
  const auto busy = replay(run);
  CHECK(busy.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(busy.error_message().find("under way") != std::string::npos);
  CHECK(replay(lineage_id()).error_message().find("what is replayed is a run") !=
        std::string::npos);
  const auto first = work(worker);
  REQUIRE(replay(run).ok());
  const auto again = work(worker);
  grpc::ClientContext context;
  v1::ForkRequest fork;
  fork.set_generation(again.generations(0).generation_id());
  v1::LineageReply reply;
  CHECK(people->Fork(&context, fork, &reply).error_message().find("is a replay") !=
        std::string::npos);
}
