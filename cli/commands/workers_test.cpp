// The commands about workers, as the real binary, against a coordinator with one worker.
#include <doctest/doctest.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/binary_fixture.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline::cli {
namespace {

using testing::folder;
using testing::germline;
using testing::outcome;

class one_worker final : public v1::Control::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusReply* reply) override {
    const std::lock_guard lock(mutex);
    *reply->add_workers() = worker;
    if (!trouble.empty()) reply->add_troubles(trouble);
    if (drained_after > 0 && --drained_after == 0) {
      worker.set_busy(0);
      worker.clear_attempts();
    }
    return grpc::Status::OK;
  }
  grpc::Status PutSeed(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                       v1::PutSeedReply*) override {
    v1::SeedChunk chunk;
    while (stream->Read(&chunk)) continue;
    return grpc::Status::OK;
  }
  grpc::Status CreateRun(grpc::ServerContext*, const v1::CreateRunRequest*,
                         v1::CreateRunReply* reply) override {
    reply->set_run_id("run_1");
    return grpc::Status::OK;
  }
  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest*, v1::ShowReply* reply) override {
    reply->mutable_iteration()->set_lineage_id("lin_1");
    reply->mutable_iteration()->set_phase(v1::ITERATION_PHASE_VALIDATING);
    return grpc::Status::OK;
  }
  grpc::Status Cordon(grpc::ServerContext*, const v1::CordonRequest* request,
                      v1::CordonReply* reply) override {
    const std::lock_guard lock(mutex);
    cordoned = *request;
    if (request->worker() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no worker"};
    worker.set_cordoned(request->cordoned());
    worker.set_cordon_why(request->why());
    *reply->mutable_worker() = worker;
    return grpc::Status::OK;
  }

  std::mutex mutex;  // the handlers' threads; the test's own, before and after each run
  v1::CordonRequest cordoned;
  v1::WorkerInfo worker;
  std::string trouble;
  int drained_after = 0;  // so many times asked for the status, it has nothing any more
};

struct fixture {
  folder place;
  one_worker control;
  std::unique_ptr<grpc::Server> server;

  fixture() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + place.at("s"), grpc::InsecureServerCredentials());
    builder.RegisterService(&control);
    server = builder.BuildAndStart();
    REQUIRE(server);
  }
  ~fixture() { server->Shutdown(std::chrono::system_clock::time_point()); }
  outcome run(const std::string& arguments) {
    { const std::lock_guard lock(control.mutex); }
    auto done = germline(place, arguments + " --coordinator unix:" + place.at("s"));
    const std::lock_guard lock(control.mutex);
    return done;
  }
};

}  // namespace

TEST_CASE("workers are listed, cordoned and drained") {
  fixture with;
  auto& worker = with.control.worker;
  worker.set_worker_id("wrk_1");
  worker.set_connected(true);
  worker.set_slots(2);
  worker.set_busy(1);
  worker.add_tags("gpu");
  worker.add_attempts("att_1");
  const auto listed = with.run("workers");
  CHECK(listed.code == 0);
  CHECK(listed.out.find("WORKER  STATE   BUSY") == 0);
  CHECK(listed.out.find("wrk_1   joined  1/2") != std::string::npos);
  CHECK(listed.out.find("gpu") != std::string::npos);
  CHECK(nlohmann::json::parse(with.run("workers --json").out)["workers"][0]["tags"][0] == "gpu");
  CHECK(with.run("cordon wrk_1 --why 'a loud fan'").out ==
        "wrk_1 cordoned: a loud fan; what it has goes on: 1 attempt\n");
  CHECK(with.control.cordoned.cordoned());
  CHECK(with.run("workers").out.find("yes: a loud fan") != std::string::npos);
  CHECK(with.run("uncordon wrk_1").out == "wrk_1 uncordoned\n");
  CHECK_FALSE(with.control.cordoned.cordoned());
  CHECK(with.run("cordon nope").code == 3);
  CHECK(with.run("cordon").code == 2);

  const auto slow = with.run("drain wrk_1 --timeout 600ms");
  CHECK(slow.code == 1);
  CHECK(slow.out.empty());
  CHECK(slow.err.find("wrk_1 is cordoned and still has:\n  att_1 of lin_1, validating") !=
        std::string::npos);
  CHECK(slow.err.find("the time is over") != std::string::npos);
  with.control.drained_after = 2;
  const auto drained = with.run("drain wrk_1 --why 'new kernel'");
  CHECK(drained.code == 0);
  CHECK(drained.out == "wrk_1 drained: nothing is leased to it\n");
  CHECK(with.control.cordoned.cordoned());
  CHECK(with.control.cordoned.why() == "new kernel");
  CHECK(with.run("drain wrk_1 --timeout soon").code == 2);
}

TEST_CASE("what keeps the coordinator from its work is told beside its workers") {
  fixture with;
  with.control.worker.set_worker_id("wrk_1");
  with.control.trouble = "the record cannot be written: the disk is full";
  for (const char* command : {"workers", "ps --workers"}) {
    const auto listed = with.run(command);
    CHECK(listed.code == 0);
    CHECK(listed.err == "germline: the record cannot be written: the disk is full\n");
  }
  CHECK(with.run("workers --json").err.empty());
}

TEST_CASE("whether so many workers are joined is an exit code") {
  fixture with;
  with.control.worker.set_worker_id("wrk_1");
  CHECK(with.run("ps --workers --joined").code == 1);
  with.control.worker.set_connected(true);
  CHECK(with.run("ps --workers --joined").code == 0);
  CHECK(with.run("ps --workers --joined=1").code == 0);
  CHECK(with.run("ps --workers --joined=2").code == 1);
}

TEST_CASE("a run that no worker will take, since none has its tags, says so at once") {
  fixture with;
  with.control.worker.set_worker_id("wrk_1");
  with.control.worker.add_tags("gpu");
  const auto at = with.place.at("agent");
  REQUIRE(germline(with.place, "init " + at + " --from two-second").code == 0);
  const auto away = with.run("run " + at + " --require gpu");
  CHECK(away.code == 0);
  CHECK(away.out == "run_1\n");
  CHECK(away.err.find("waits for a worker with the tag gpu; none that has joined has it") !=
        std::string::npos);
  with.control.worker.set_connected(true);
  CHECK(with.run("run " + at + " --require gpu").err.empty());
  const auto typo = with.run("run " + at + " --require gpu --require gqu");
  CHECK(typo.code == 0);
  CHECK(typo.err.find("the tags gpu, gqu; none that has joined has all of them") !=
        std::string::npos);
}

}  // namespace germline::cli
