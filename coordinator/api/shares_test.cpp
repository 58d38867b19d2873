// What runs have of the slots, over the wire.
#include <doctest/doctest.h>

#include <set>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

constexpr int slots = 4;  // of a scripted worker

struct shared : fixture {
  std::string create_as(std::int32_t priority, std::int32_t weight, int lineages) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(lineages);
    request.set_priority(priority);
    request.set_weight(weight);
    const auto status = try_create(request);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return created.run_id();
  }
  grpc::Status set_share(const std::string& run, std::optional<int> priority,
                         std::optional<int> weight) {
    grpc::ClientContext context;
    v1::SetShareRequest request;
    request.set_run(run);
    if (priority) request.set_priority(*priority);
    if (weight) request.set_weight(*weight);
    return people->SetShare(&context, request, &now);
  }
  v1::RunInfo run_of(const std::string& run) {
    grpc::ClientContext context;
    v1::ListRunsReply reply;
    REQUIRE(people->ListRuns(&context, {}, &reply).ok());
    for (const auto& each : reply.runs()) {
      if (each.run_id() == run) return each;
    }
    FAIL("there is no run " << run);
    return {};
  }
  /// The next lease; what is held is renewed meanwhile.
  v1::Lease take(scripted_worker& worker) {
    for (int tries = 0; tries < 300; ++tries) {
      if (const auto message = worker.expect(v1::CoordinatorMessage::kLease, 100)) {
        held.push_back(message->lease());
        return message->lease();
      }
      std::vector<std::string> attempts;
      for (const auto& each : held) attempts.push_back(each.attempt_id());
      worker.beat(attempts);
    }
    FAIL("no lease came");
    return {};
  }
  /// Both runs have been founded, and all slots are taken.
  void found_both(scripted_worker& worker) {
    for (int founded = 0; founded < 2 || held.size() < slots;) {
      const auto lease = take(worker);
      if (lease.kind() != v1::WORK_KIND_FOUND) continue;
      held.pop_back();
      const auto art = worker.put_artefact(lease, "seed");
      worker.send_result(lease, v1::ENDING_EVOLVED, lease.seed_commit(), art);
      ++founded;
    }
  }
  /// Whose lease comes when one ends.
  std::string next_after_one(scripted_worker& worker) {
    worker.send_result(held.front(), v1::ENDING_FAILED, "", "");
    held.erase(held.begin());
    return take(worker).run_id();
  }

  v1::SetShareReply now;
  std::vector<v1::Lease> held;
};

}  // namespace

TEST_CASE_FIXTURE(shared, "a run with a higher priority has what comes free, also after a start") {
  const auto low = create_as(0, 1, 6);
  const auto high = create_as(3, 2, 6);
  CHECK(run_of(high).priority() == 3);
  CHECK(run_of(high).weight() == 2);
  CHECK(run_of(low).priority() == 0);
  CHECK(run_of(low).weight() == 1);
  {
    scripted_worker worker(service->address(), "w1");
    found_both(worker);
    for (int i = 0; i < 3; ++i) CHECK(next_after_one(worker) == high);
    // The other is told why it waits.
    std::set<std::string> told;
    const auto waiting = run_of(low);
    for (const auto& each : waiting.lineages()) told.insert(each.live().waits_for());
    CHECK(told.contains("a free slot on a worker; " + high + ", of priority 3, goes first"));
    REQUIRE(set_share(low, 4, {}).ok());
    CHECK(now.run().priority() == 4);
    CHECK(now.run().weight() == 1);
    for (int i = 0; i < 3; ++i) CHECK(next_after_one(worker) == low);
  }
  restart();
  CHECK(run_of(low).priority() == 4);
  scripted_worker worker(service->address(), "w1");
  held.clear();
  for (int i = 0; i < slots; ++i) CHECK(take(worker).run_id() == low);
}

TEST_CASE_FIXTURE(shared, "a share that cannot be is refused, with what can be") {
  const auto run = create_as(0, 0, 1);
  CHECK(run_of(run).weight() == 1);
  for (const auto& [priority, weight, words] :
       std::vector<std::tuple<std::optional<int>, std::optional<int>, std::string>>{
           {{}, {}, "nothing to set: give a priority, a weight or both"},
           {1'001, {}, "a priority is from -1000 to 1000, not 1001"},
           {-1'001, {}, "a priority is from -1000 to 1000, not -1001"},
           {std::numeric_limits<int>::min(), {}, "a priority is from -1000 to 1000"},
           {{}, 0, "a weight is from 1 to 1000, not 0"},
           {{}, 1'001, "a weight is from 1 to 1000, not 1001"}}) {
    const auto status = set_share(run, priority, weight);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message().find(words) != std::string::npos);
  }
  CHECK(set_share("run_nope", 1, 1).error_code() == grpc::StatusCode::NOT_FOUND);
  const auto lineage = set_share(lineage_id(), 1, 1);
  CHECK(lineage.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(lineage.error_message().find("what has a share is a run") != std::string::npos);
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_lineages(1);
  request.set_weight(-1);
  CHECK(try_create(request).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(run_of(run).priority() == 0);
}
