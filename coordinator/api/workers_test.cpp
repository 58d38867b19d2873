// Workers with tags, and workers that are kept from leases.
#include <doctest/doctest.h>

#include "coordinator/api/waiting.hpp"
#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct tended : fixture {
  void create_for(std::vector<std::string> tags) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(1);
    for (const auto& tag : tags) request.add_required_tags(tag);
    const auto status = try_create(request);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }
  grpc::Status cordon(const std::string& worker, bool on, const std::string& why = "") {
    grpc::ClientContext context;
    v1::CordonRequest request;
    request.set_worker(worker);
    request.set_cordoned(on);
    request.set_why(why);
    return people->Cordon(&context, request, &cordoned);
  }
  v1::GetStatusReply status() {
    grpc::ClientContext context;
    v1::GetStatusReply reply;
    REQUIRE(people->GetStatus(&context, {}, &reply).ok());
    return reply;
  }
  /// For what the newest iteration waits.
  std::string waits_for() {
    const auto now = tree();
    return now.iterations_size() == 0 ? "" : now.iterations(now.iterations_size() - 1).waits_for();
  }
  void wait_until_it_waits_for(const std::string& what) {
    for (int i = 0; i < 100 && waits_for() != what; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    CHECK(waits_for() == what);
  }

  v1::CordonReply cordoned;
};

constexpr auto no_lease_ms = 600;

}  // namespace

TEST_CASE_FIXTURE(tended, "a second worker of one name, from another place, takes nothing away") {
  create(1);
  scripted_worker holder(service->address(), "w1", {}, {}, "here");
  found(holder);
  const auto lease = holder.lease();
  scripted_worker twin(service->address(), "w1", {}, {}, "there");
  const auto turned_away = twin.ended();
  CHECK(turned_away.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(turned_away.error_message().find("is joined from another machine") != std::string::npos);
  holder.leave();  // what it runs may run on, and so its lease is waited for
  std::string why;
  for (int i = 0; i < 20 && why.find("has leases from another") == why.npos; ++i) {
    scripted_worker heir(service->address(), "w1", {}, {}, "there");
    why = heir.ended().error_message();
  }
  CHECK(why.find("has leases from another") != std::string::npos);
  CHECK(tree().iterations(1).attempts(0).state() == v1::ATTEMPT_STATE_LEASED);
  scripted_worker again(service->address(), "w1", {lease.attempt_id()}, {}, "here");
  wait_branch(evolve(again, lease));
}

TEST_CASE_FIXTURE(tended,
                  "after an attempt was lost the next one waits, and that is what is told") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  worker.cleaned(worker.lease().attempt_id(), "the sandbox could not be made");
  std::string told;
  for (int i = 0; i < 400 && !told.starts_with("another attempt"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    told = waits_for();
  }
  CHECK(told.starts_with("another attempt after the one that was lost, at "));
  CHECK(told.ends_with(" UTC"));
  wait_branch(evolve(worker, worker.lease()));
}

TEST_CASE("what an item waits for is said by the first thing that no worker has") {
  worker_status plain{.worker = "w1", .base_digest = "base", .connected = true, .slots = 1};
  CHECK(waits_for({}, {}) == "a worker: none is connected");
  auto away = plain;
  away.connected = false;
  CHECK(waits_for({away}, {}) == "a worker: none is connected");
  CHECK(waits_for({plain}, {"base", {}}) == "a free slot on a worker");
  CHECK(waits_for({plain}, {"base", {"gpu"}}) ==
        "a worker with the tag gpu; none that has joined has it");
  CHECK(waits_for({plain}, {"base", {"gpu", "zone=a"}}) ==
        "a worker with the tags gpu, zone=a; none that has joined has them");
  CHECK(waits_for({plain}, {"other", {}}) ==
        "a worker with the base system that its run began with");
  auto fit = plain;
  fit.tags = {"gpu", "zone=a"};
  CHECK(waits_for({plain, fit}, {"base", {"gpu"}}) == "a free slot on a worker");
  fit.silent = true;
  CHECK(waits_for({plain, fit}, {"base", {"gpu"}}) ==
        "word from a worker; none that fits was heard for a while");
  fit.cordoned = true;
  CHECK(waits_for({plain, fit}, {"base", {"gpu"}}) ==
        "a worker that is not cordoned; all that fit are");
}

TEST_CASE("what waits behind a run of a higher priority says so") {
  const worker_status plain{.worker = "w1", .base_digest = "base", .connected = true, .slots = 1};
  fleet_status fleet;
  fleet.workers = {plain};
  CHECK(waits_for(fleet, "itm_1", {"base", {}, 0}) == "a free slot on a worker");
  fleet.first_run = "run_1";
  fleet.first_priority = 5;
  CHECK(waits_for(fleet, "itm_1", {"base", {}, 5}) == "a free slot on a worker");
  CHECK(waits_for(fleet, "itm_1", {"base", {}, 4}) ==
        "a free slot on a worker; run_1, of priority 5, goes first");
  fleet.workers.clear();
  CHECK(waits_for(fleet, "itm_1", {"base", {}, 4}) == "a worker: none is connected");
}

TEST_CASE_FIXTURE(tended, "a run is leased to workers with its tags alone, and its forks too") {
  create_for({"zone=a", "gpu", "gpu"});
  scripted_worker plain(service->address(), "w1");
  wait_until_it_waits_for("a worker with the tags gpu, zone=a; none that has joined has them");
  CHECK_FALSE(plain.expect(v1::CoordinatorMessage::kLease, no_lease_ms));
  CHECK(tree().run().lineages(0).live().waits_for() == waits_for());  // as `ps` tells it
  scripted_worker half(service->address(), "w2", {}, {"gpu"});
  CHECK_FALSE(half.expect(v1::CoordinatorMessage::kLease, no_lease_ms));
  scripted_worker whole(service->address(), "w3", {}, {"zone=a", "ssd", "gpu"});
  found(whole);
  const auto first = whole.lease();
  v1::ForkRequest request;
  request.set_generation(first.parent_generation());
  v1::LineageReply forked;
  grpc::ClientContext context;
  REQUIRE(people->Fork(&context, request, &forked).ok());
  CHECK(whole.lease().lineage_id() == forked.lineage().lineage_id());
  const auto run = tree().run();
  CHECK(std::vector<std::string>(run.required_tags().begin(), run.required_tags().end()) ==
        std::vector<std::string>{"gpu", "zone=a"});
  const auto now = status();
  REQUIRE(now.workers_size() == 3);
  CHECK(now.workers(2).worker_id() == "w3");
  CHECK(now.workers(2).tags_size() == 3);
  CHECK(now.workers(2).attempts_size() == 2);
}

TEST_CASE_FIXTURE(tended, "tags that are none are refused, of a run and of a worker") {
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.add_required_tags("GPU");
  const auto refused = try_create(request);
  CHECK(refused.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(refused.error_message().find("'GPU' is no tag") != std::string::npos);
  scripted_worker wrong(service->address(), "w1", {}, {"a b"});
  CHECK_FALSE(wrong.expect(v1::CoordinatorMessage::kWelcome, no_lease_ms));
  CHECK(status().workers_size() == 0);
}

TEST_CASE_FIXTURE(tended, "a cordoned worker is leased nothing, and what it has goes on") {
  create();
  auto worker = std::make_unique<scripted_worker>(service->address(), "w1");
  found(*worker);
  const auto running = worker->lease();
  REQUIRE(cordon("w", true, "its fan is loud").ok());
  CHECK(cordoned.worker().worker_id() == "w1");
  CHECK(cordoned.worker().cordoned());
  CHECK(cordoned.worker().cordon_why() == "its fan is loud");
  REQUIRE(cordoned.worker().attempts_size() == 1);
  CHECK(cordoned.worker().attempts(0) == running.attempt_id());
  // Renewed for longer than its lease.
  REQUIRE(cordon("w1", true).ok());
  CHECK(cordoned.worker().cordon_why() == "its fan is loud");  // as said before
  for (int i = 0; i < 6; ++i) {
    worker->beat({running.attempt_id()});
    CHECK_FALSE(worker->expect(v1::CoordinatorMessage::kKill, 400));
  }
  evolve(*worker, running);
  CHECK_FALSE(worker->expect(v1::CoordinatorMessage::kLease, no_lease_ms));
  wait_until_it_waits_for("a worker that is not cordoned; all that fit are");
  SUBCASE("in one life of all") {}
  SUBCASE("over restarts of coordinator and worker") {
    worker.reset();
    restart();
    CHECK(status().workers(0).cordoned());
    CHECK(status().workers(0).cordon_why() == "its fan is loud");
    CHECK_FALSE(status().workers(0).connected());
    worker = std::make_unique<scripted_worker>(service->address(), "w1");
    CHECK_FALSE(worker->expect(v1::CoordinatorMessage::kLease, no_lease_ms));
  }
  REQUIRE(cordon("w1", false).ok());
  CHECK_FALSE(cordoned.worker().cordoned());
  CHECK(worker->lease().number() == 2);
}

TEST_CASE_FIXTURE(tended, "a worker that is away may be cordoned; one that was never here not") {
  {
    scripted_worker worker(service->address(), "w1");
    REQUIRE(worker.expect(v1::CoordinatorMessage::kWelcome));
  }
  restart();
  REQUIRE(cordon("w1", true).ok());
  const auto unknown = cordon("w2", true);
  CHECK(unknown.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(unknown.error_message().find("germline workers") != std::string::npos);
  CHECK(cordon("", true).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(cordon("w1", true, std::string(5'000, 'y')).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  create();
  scripted_worker worker(service->address(), "w1");
  scripted_worker other(service->address(), "w11");
  CHECK(other.lease().kind() == v1::WORK_KIND_FOUND);
  const auto several = cordon("w", true);
  CHECK(several.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(several.error_message().find("w11") != std::string::npos);
  CHECK(cordon("w1", true).ok());  // that very one
}
