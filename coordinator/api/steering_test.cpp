// Lineages that are taken back, forked and retired, by themselves and by people.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct steered : fixture {
  /// A context commit of its own, as a worker's for an iteration that failed.
  std::string fail(scripted_worker& worker, const v1::Lease& lease) {
    std::string pack;
    const auto commit = make_commit(worker, lease, pack);
    REQUIRE(worker.put_objects(lease, pack).ok());
    REQUIRE(worker.report(lease, v1::ENDING_FAILED, commit, "").accepted());
    return commit;
  }

  template <class Request, class Reply>
  grpc::Status call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Reply*),
                    const Request& request, Reply& reply) {
    grpc::ClientContext context;
    return (people.get()->*method)(&context, request, &reply);
  }
  grpc::Status roll_back(const std::string& lineage, const std::string& to = "",
                         const std::string& why = "") {
    v1::RollbackRequest request;
    request.set_lineage(lineage);
    request.set_to(to);
    request.set_why(why);
    return call(&v1::Control::Stub::Rollback, request, rolled);
  }
  v1::LineageInfo fork(const std::string& generation) {
    v1::ForkRequest request;
    request.set_generation(generation);
    v1::LineageReply reply;
    const auto status = call(&v1::Control::Stub::Fork, request, reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply.lineage();
  }
  grpc::Status retire(const std::string& lineage, const std::string& why = "") {
    v1::LineageRequest request;
    request.set_lineage(lineage);
    request.set_why(why);
    v1::LineageReply reply;
    return call(&v1::Control::Stub::Retire, request, reply);
  }
  void pause(const std::string& lineage) {
    v1::LineageRequest request;
    request.set_lineage(lineage);
    v1::LineageReply reply;
    REQUIRE(call(&v1::Control::Stub::Pause, request, reply).ok());
  }
  git::repository objects() const {
    auto repo = git::repository::open(dir + "/state/objects.git");
    REQUIRE(repo);
    return std::move(*repo);
  }
  static auto is_done() {
    return
        [](const auto& t) { return t.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DONE; };
  }

  v1::RollbackReply rolled;
};

}  // namespace

TEST_CASE_FIXTURE(steered, "a generation that fails three times runs no fourth time") {
  create();
  auto worker = std::make_unique<scripted_worker>(service->address(), "w1");
  found(*worker);
  const auto first = worker->lease();
  const auto seed_artefact = first.parent_artefact_id();
  const auto born = evolve(*worker, first);
  std::string context;
  for (int i = 0; i < 3; ++i) {
    const auto lease = worker->lease();
    CHECK(lease.parent_artefact_id() != seed_artefact);
    context = fail(*worker, lease);
  }
  SUBCASE("in one life of the coordinator") {}
  SUBCASE("over a restart") {  // at whatever step it is
    worker.reset();
    restart();
    worker = std::make_unique<scripted_worker>(service->address(), "w1");
  }
  const auto next = worker->lease();
  CHECK(next.parent_artefact_id() == seed_artefact);
  CHECK(next.parent_generation() == first.parent_generation());
  CHECK(next.number() == 2);
  const auto now = tree();
  const auto& lineage = now.run().lineages(0);
  CHECK(lineage.depth() == 0);
  CHECK(lineage.head_commit() == next.parent_commit());
  wait_branch(next.parent_commit());
  const auto repo = objects();
  const auto commit = repo.read_commit(next.parent_commit());
  REQUIRE(commit);
  CHECK(commit->parents == std::vector<std::string>{context});
  CHECK(*repo.source_id_of(commit->id, "", "agent_context.json") ==
        *repo.source_id_of(first.parent_commit(), "", "agent_context.json"));
  REQUIRE(now.rollbacks_size() == 1);
  CHECK(now.rollbacks(0).generation_id() == first.parent_generation());
  CHECK(now.rollbacks(0).why() == "generation 1 failed 3 iterations in a row");
  CHECK(now.rollbacks(0).after_iteration() == now.iterations(4).item_id());
  int told = 0;
  for (const auto& each : watched(created.run_id())) {
    if (!each.has_lineage() || each.lineage().rolled_back_to().empty()) continue;
    ++told;
    CHECK(each.lineage().rolled_back_to() == first.parent_generation());
    CHECK(each.lineage().state() == v1::LINEAGE_STATE_ACTIVE);
  }
  CHECK(told == 1);
  evolve(*worker, next);
  const auto later = wait_tree([](const auto& t) { return t.run().lineages(0).depth() == 1; });
  CHECK(later.generations(2).number() == 2);
  CHECK(later.generations(2).parent() == first.parent_generation());
}

TEST_CASE_FIXTURE(steered, "what cannot be rolled back is paused, and tried again when resumed") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());
  const auto in_the_way = dir + "/state/objects.git/refs/germline/rollbacks";
  std::ofstream(in_the_way) << "no folder\n";
  for (int i = 0; i < 3; ++i) fail(worker, worker.lease());
  const auto now = wait_tree(
      [](const auto& t) { return t.run().lineages(0).state() == v1::LINEAGE_STATE_PAUSED; });
  CHECK(now.run().lineages(0).pause_reason() == v1::PAUSE_REASON_POLICY);
  CHECK(now.run().lineages(0).pause_details().find("cannot be rolled back: ") != std::string::npos);
  CHECK(now.run().lineages(0).depth() == 1);
  std::filesystem::remove(in_the_way);
  v1::LineageRequest request;
  request.set_lineage(lineage_id());
  v1::LineageReply reply;
  REQUIRE(call(&v1::Control::Stub::Resume, request, reply).ok());
  CHECK(worker.lease().parent_generation() == now.generations(0).generation_id());
}

TEST_CASE_FIXTURE(steered, "a person rolls back to any ancestor, and to nothing else") {
  create(2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());
  const auto lease = worker.lease();
  const auto live = roll_back(lineage_id());
  CHECK(live.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(live.error_message().find("pause the lineage and wait") != std::string::npos);
  pause(lineage_id());
  CHECK(roll_back(lineage_id()).error_message().find("wait for it to end") != std::string::npos);
  evolve(worker, lease);
  const auto now = wait_tree([](const auto& t) { return t.run().lineages(0).depth() == 2; });
  const auto id = [&](int i) { return now.generations(i).generation_id(); };
  const auto head = roll_back(lineage_id(), id(2));
  CHECK(head.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(head.error_message().find("is the head already; its ancestors are generation 1 " + id(1) +
                                  ", generation 0 " + id(0)) != std::string::npos);
  CHECK(roll_back(lineage_id(), created.run_id()).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(roll_back(lineage_id(), "gen_nope").error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(roll_back(lineage_id(), id(0), std::string(5'000, 'x')).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  REQUIRE(roll_back(lineage_id(), id(0), "too slow").ok());
  CHECK(rolled.generation().generation_id() == id(0));
  CHECK(rolled.lineage().depth() == 0);
  CHECK(rolled.lineage().state() == v1::LINEAGE_STATE_PAUSED);
  wait_branch(rolled.lineage().head_commit());
  const auto again = roll_back(lineage_id());
  CHECK(again.error_message().find("it has no ancestor") != std::string::npos);
  REQUIRE(retire(lineage_id()).ok());
  const auto retired = roll_back(lineage_id());
  CHECK(retired.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK(retired.error_message().find("fork") != std::string::npos);
}

TEST_CASE_FIXTURE(steered, "what waits for a slot keeps nobody from a rollback or retirement") {
  create(4);
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    evolve(worker, worker.lease());
    worker.lease();
  }  // the worker is gone, and its lease runs out
  wait_tree([](const auto& t) {
    return t.iterations_size() == 3 && t.iterations(2).attempts_size() == 1 &&
           t.iterations(2).attempts(0).state() == v1::ATTEMPT_STATE_LOST;
  });
  pause(lineage_id());
  SUBCASE("rolled back") {
    REQUIRE(roll_back(lineage_id()).ok());
    CHECK_FALSE(rolled.lineage().has_live());
  }
  SUBCASE("retired") {
    REQUIRE(retire(lineage_id()).ok());
  }
  CHECK(tree().iterations(2).ending() == v1::ENDING_KILLED);
}

TEST_CASE_FIXTURE(steered, "a lineage whose work is done may be rolled back, and stays done") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());
  wait_tree(is_done());
  REQUIRE(roll_back(lineage_id()).ok());
  CHECK(rolled.lineage().pause_reason() == v1::PAUSE_REASON_DONE);
  CHECK(tree().rollbacks(0).why() == "by a person");
  CHECK(worker.expect(v1::CoordinatorMessage::kLease, 300) == std::nullopt);
}

TEST_CASE_FIXTURE(steered,
                  "any generation is forked, also of what is killed, and outlives restarts") {
  create(2);
  auto worker = std::make_unique<scripted_worker>(service->address(), "w1");
  found(*worker);
  const auto born = evolve(*worker, worker->lease());
  evolve(*worker, worker->lease());
  const auto now = wait_tree(is_done());
  kill(lineage_id());
  const auto fresh = fork(now.generations(1).generation_id());
  CHECK(fresh.run_id() == created.run_id());
  CHECK(fresh.forked_from() == now.generations(1).generation_id());
  CHECK(fresh.depth() == 1);
  CHECK(fresh.max_iterations() == 2);
  CHECK(fresh.head_commit() == born);
  CHECK(now.run().lineages(0).created_ms() == now.run().created_ms());
  CHECK(fresh.created_ms() >= now.generations(1).born_ms());
  SUBCASE("in one life of the coordinator") {}
  SUBCASE("over a restart") {
    worker.reset();
    restart();
    worker = std::make_unique<scripted_worker>(service->address(), "w1");
  }
  const auto lease = worker->lease();
  CHECK(lease.lineage_id() == fresh.lineage_id());
  CHECK(lease.parent_commit() == born);
  CHECK(lease.number() == 2);
  const auto next = evolve(*worker, lease);
  wait_tree([](const auto& t) { return t.run().lineages(1).depth() == 2; });
  const auto repo = objects();
  for (int i = 0; i < 50; ++i) {
    if (repo.resolve("refs/heads/lineages/" + fresh.lineage_id())->value_or("") == next) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(repo.resolve("refs/heads/lineages/" + fresh.lineage_id())->value_or("") == next);
  v1::ForkRequest request;
  v1::LineageReply reply;
  request.set_generation(fresh.lineage_id());
  CHECK(call(&v1::Control::Stub::Fork, request, reply).error_message().find("is a generation") !=
        std::string::npos);
  request.set_generation(fresh.forked_from());
  request.set_max_iterations(-1);
  CHECK(call(&v1::Control::Stub::Fork, request, reply).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE_FIXTURE(steered,
                  "a retired lineage is over, before and after a restart, and can be forked") {
  create();
  scripted_worker worker(service->address(), "w1");
  CHECK(retire(lineage_id()).error_message().find("being founded") != std::string::npos);
  found(worker);
  const auto lease = worker.lease();
  CHECK(retire(lineage_id()).error_message().find("or kill the lineage") != std::string::npos);
  pause(lineage_id());
  const auto born = evolve(worker, lease);
  REQUIRE(retire(lineage_id(), "better ones").ok());
  const auto check = [&] {
    const auto now = tree();
    CHECK(now.run().lineages(0).state() == v1::LINEAGE_STATE_RETIRED);
    CHECK(now.run().lineages(0).pause_details() == "better ones");
    CHECK(retire(lineage_id()).error_code() == grpc::StatusCode::FAILED_PRECONDITION);
    CHECK(kill(lineage_id()).lineages(0).proof() == v1::KILL_PROOF_NOTHING_RAN);
    CHECK(branch() == born);
  };
  check();
  CHECK(watched(created.run_id()).back().lineage().state() == v1::LINEAGE_STATE_RETIRED);
  worker.leave();
  restart();
  check();
  CHECK(fork(tree().generations(1).generation_id()).state() == v1::LINEAGE_STATE_ACTIVE);
}
