// The coordinator is killed with SIGKILL at every stage of taking a result in, again and again:
// no birth is lost, none happens twice, and the branch follows.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "common/random.hpp"
#include "coordinator/scripted_worker.hpp"
#include "germline/v1/control.grpc.pb.h"

using namespace germline;
using namespace germline::testing;

namespace {

struct child_coordinator {
  child_coordinator() {
    char name[] = "/tmp/germline-crash-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    dir = name;
    address = "unix:" + dir + "/socket";
    make_genome(dir + "/user");
    start();
  }
  ~child_coordinator() {
    kill_now();
    std::filesystem::remove_all(dir);
  }

  void start() {
    std::string program = CRASH_CHILD, state = dir + "/state";
    char* arguments[] = {program.data(), state.data(), address.data(), nullptr};
    char* environment[] = {nullptr};
    REQUIRE(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environment) == 0);
    channel = connect_anew(address);
    REQUIRE(channel->WaitForConnected(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN))));
    people = v1::Control::NewStub(channel);
  }
  void kill_now() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }

  v1::GetTreeReply tree() {
    grpc::ClientContext context;
    v1::GetTreeReply reply;
    const auto status = people->GetTree(&context, {}, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply;
  }

  pid_t pid = -1;
  std::string dir, address;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Control::Stub> people;
};

}  // namespace

TEST_CASE_FIXTURE(child_coordinator, "kill -9 while a result is taken in") {
  const std::uint64_t random_seed = 20;
  CAPTURE(random_seed);
  seeded_random random(random_seed);
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  v1::CreateRunReply created;
  {
    grpc::ClientContext context;
    REQUIRE(people->CreateRun(&context, request, &created).ok());
  }
  auto worker = std::make_unique<scripted_worker>(address, "w1");
  const auto seed = worker->lease();
  REQUIRE(
      worker
          ->report(seed, v1::ENDING_EVOLVED, seed.seed_commit(), worker->put_artefact(seed, "seed"))
          .accepted());
  int before_record = 0, after_record = 0;
  std::string head = seed.seed_commit();
  for (int round = 1; round <= 8; ++round) {
    CAPTURE(round);
    const auto lease = worker->lease();
    CHECK(lease.parent_commit() == head);
    CHECK(lease.number() == round);
    std::string pack;
    const auto commit = make_commit(dir + "/worker.git", *worker, lease, pack);
    REQUIRE(worker->put_objects(lease, pack).ok());
    const auto artefact = worker->put_artefact(lease, "artefact " + lease.attempt_id());
    worker->send_result(lease, v1::ENDING_EVOLVED, commit, artefact);
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(80'000)));
    kill_now();
    worker.reset();
    start();
    worker = std::make_unique<scripted_worker>(address, "w1",
                                               std::vector<std::string>{lease.attempt_id()});
    const auto welcome = worker->expect(v1::CoordinatorMessage::kWelcome);
    REQUIRE(welcome);
    if (welcome->welcome().forget_attempts_size() == 0) {  // as a node does: say it again
      ++before_record;
      const auto reply = worker->report(lease, v1::ENDING_EVOLVED, commit, artefact);
      REQUIRE_MESSAGE(reply.accepted(), reply.why());
    } else {
      ++after_record;
    }
    head = commit;
    const auto ended = tree().iterations(round);
    REQUIRE_MESSAGE(ended.ending() == v1::ENDING_EVOLVED, ended.ShortDebugString());
    CHECK(tree().generations_size() == round + 1);
    CHECK(tree().run().lineages(0).head_commit() == head);
  }
  MESSAGE("killed before the birth was recorded: " << before_record << ", after: " << after_record);
  auto repo = git::repository::open(dir + "/state/objects.git");
  REQUIRE(repo);
  const std::string branch = "refs/heads/lineages/" + created.lineage_ids(0);
  for (int i = 0; i < 100 && repo->resolve(branch)->value_or("") != head; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(repo->resolve(branch)->value_or("") == head);
}

TEST_CASE_FIXTURE(child_coordinator,
                  "kill -9 while a lineage is rolled back, and while it is forked") {
  const std::uint64_t random_seed = 21;
  CAPTURE(random_seed);
  seeded_random random(random_seed);
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  v1::CreateRunReply created;
  {
    grpc::ClientContext context;
    REQUIRE(people->CreateRun(&context, request, &created).ok());
  }
  auto worker = std::make_unique<scripted_worker>(address, "w1");
  const auto kill_soon = [&] {
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(30'000)));
    kill_now();
    worker.reset();
    start();
    worker = std::make_unique<scripted_worker>(address, "w1");
  };
  const auto commit = [&](const v1::Lease& lease) {
    std::string pack;
    const auto id = make_commit(dir + "/worker.git", *worker, lease, pack);
    REQUIRE(worker->put_objects(lease, pack).ok());
    return id;
  };
  const auto seed = worker->lease();
  const auto artefact = worker->put_artefact(seed, "seed");
  REQUIRE(worker->report(seed, v1::ENDING_EVOLVED, seed.seed_commit(), artefact).accepted());
  auto lease = worker->lease();
  const auto first = lease.parent_generation();
  for (int round = 1; round <= 5; ++round) {
    CAPTURE(round);
    CHECK(lease.parent_artefact_id() == artefact);
    CHECK(lease.number() == round);
    const auto bad = worker->put_artefact(lease, "bad " + lease.attempt_id());
    REQUIRE(worker->report(lease, v1::ENDING_EVOLVED, commit(lease), bad).accepted());
    std::string head;
    for (int i = 0; i < 3; ++i) {
      lease = worker->lease();
      CHECK(lease.parent_artefact_id() == bad);
      head = commit(lease);
      REQUIRE(worker->report(lease, v1::ENDING_FAILED, head, "").accepted());
    }
    kill_soon();
    lease = worker->lease();
    CHECK(lease.parent_generation() == first);
    const auto now = tree();
    REQUIRE(now.rollbacks_size() == round);
    auto repo = git::repository::open(dir + "/state/objects.git");
    REQUIRE(repo);
    CHECK(repo->read_commit(lease.parent_commit())->parents == std::vector<std::string>{head});
    const std::string branch = "refs/heads/lineages/" + created.lineage_ids(0);
    for (int i = 0; i < 100 && repo->resolve(branch)->value_or("") != lease.parent_commit(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK(repo->resolve(branch)->value_or("") == lease.parent_commit());
  }
  {
    grpc::ClientContext context;
    v1::KillRequest all;
    all.set_target("all");
    v1::KillReply reply;
    worker->cleaned(lease.attempt_id());
    REQUIRE(people->Kill(&context, all, &reply).ok());
  }
  v1::LineageReply forked;
  {
    grpc::ClientContext context;
    v1::ForkRequest from;
    from.set_generation(first);
    REQUIRE(people->Fork(&context, from, &forked).ok());
  }
  kill_soon();
  lease = worker->lease();
  CHECK(lease.lineage_id() == forked.lineage().lineage_id());
  CHECK(lease.parent_commit() == seed.seed_commit());
}
