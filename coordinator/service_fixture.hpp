// service_fixture: for tests of the coordinator: a whole one in a folder of its own, with a run of
// the little genome, and what such tests ask of it again and again. For one thread, but for
// what people call.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/scripted_worker.hpp"
#include "coordinator/service.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline::testing {

struct fixture {
  fixture() {
    char name[] = "/tmp/germline-coordinator-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    dir = name;
    make_genome(dir + "/user");
    start();
  }
  ~fixture() {
    service.reset();
    std::filesystem::remove_all(dir);
  }

  void start() {
    coordinator_config config;
    config.state_dir = dir + "/state";
    config.listen_address = "unix:" + dir + "/socket";
    config.times.lease_ms = 1'500;
    config.times.guard_ms = 300;
    config.times.kill_wait_ms = kill_wait_ms;
    config.look_ms = look_ms;
    config.tls_listen = tls_listen;
    auto started = coordinator_service::start(config, time, random);
    REQUIRE_MESSAGE(started, (started ? "" : started.error().message()));
    service = std::move(*started);
    people = v1::Control::NewStub(
        grpc::CreateChannel(service->address(), grpc::InsecureChannelCredentials()));
  }
  void restart() {
    service.reset();
    start();
  }

  grpc::Status try_create(const v1::CreateRunRequest& request) {
    grpc::ClientContext context;
    return people->CreateRun(&context, request, &created);
  }
  void create(std::int64_t max_iterations = 0) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(1);
    request.set_max_iterations(max_iterations);
    const auto status = try_create(request);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }
  std::string lineage_id() const { return created.lineage_ids(0); }

  v1::GetTreeReply tree() {
    grpc::ClientContext context;
    v1::GetTreeRequest request;
    request.set_with_evaluations(true);
    v1::GetTreeReply reply;
    REQUIRE(people->GetTree(&context, request, &reply).ok());
    return reply;
  }
  /// Waits until the tree is as `holds` says.
  template <class Holds>
  v1::GetTreeReply wait_tree(Holds holds) {
    for (int i = 0; i < 100; ++i) {
      auto now = tree();
      if (holds(now)) return now;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    FAIL("the tree never came to be so: " << tree().ShortDebugString());
    return {};
  }
  v1::KillReply kill(const std::string& target) {
    grpc::ClientContext context;
    v1::KillRequest request;
    request.set_target(target);
    v1::KillReply reply;
    const auto status = people->Kill(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return reply;
  }

  /// All that is told of a target now.
  std::vector<v1::WatchEvent> watched(const std::string& target) {
    grpc::ClientContext context;
    v1::WatchRequest request;
    request.set_target(target);
    const auto stream = people->Watch(&context, request);
    std::vector<v1::WatchEvent> told;
    for (v1::WatchEvent each; stream->Read(&each);) told.push_back(each);
    REQUIRE(stream->Finish().ok());
    return told;
  }

  void found(scripted_worker& worker) {
    const auto lease = worker.lease();
    REQUIRE(lease.kind() == v1::WORK_KIND_FOUND);
    const auto art = worker.put_artefact(lease, "seed");
    REQUIRE(worker.report(lease, v1::ENDING_EVOLVED, lease.seed_commit(), art).accepted());
  }

  std::string make_commit(scripted_worker& worker, const v1::Lease& lease, std::string& pack,
                          const std::string& more = {}) {
    return testing::make_commit(dir + "/worker.git", worker, lease, pack, more);
  }
  /// With `more` behind its source.
  std::string evolve(scripted_worker& worker, const v1::Lease& lease,
                     const std::string& more = {}) {
    std::string pack;
    const auto commit = make_commit(worker, lease, pack, more);
    REQUIRE(worker.put_objects(lease, pack).ok());
    const auto art = worker.put_artefact(lease, "next " + lease.attempt_id());
    const auto reply = worker.report(lease, v1::ENDING_EVOLVED, commit, art);
    REQUIRE_MESSAGE(reply.accepted(), reply.why());
    return commit;
  }

  std::optional<std::string> branch() {
    auto repo = git::repository::open(dir + "/state/objects.git");
    REQUIRE(repo);
    auto at = repo->resolve("refs/heads/lineages/" + lineage_id());
    return at ? *at : std::nullopt;
  }
  void wait_branch(const std::string& commit) {
    for (int i = 0; i < 120 && branch() != commit; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK(branch() == commit);
  }

  /// Whether the attempt's pack waits for its result.
  bool waits(const v1::Lease& lease) const {
    return std::filesystem::exists(dir + "/state/incoming/" + lease.attempt_id() + ".pack");
  }
  void wait_gone(const v1::Lease& lease) const {
    for (int i = 0; i < 120 && waits(lease); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK_FALSE(waits(lease));
  }

  system_clock_source time;
  system_random random;
  std::string dir;
  std::int64_t kill_wait_ms = 45'000;
  std::int64_t look_ms = 200;  // from the next start on, as those that follow
  std::string tls_listen;
  std::unique_ptr<coordinator_service> service;
  std::unique_ptr<v1::Control::Stub> people;
  v1::CreateRunReply created;
};

}  // namespace germline::testing
