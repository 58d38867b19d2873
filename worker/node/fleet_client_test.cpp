#include "worker/node/fleet_client.hpp"

#include <doctest/doctest.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "germline/v1/fleet.grpc.pb.h"
#include "worker/node/channel.hpp"

namespace germline::worker {
namespace {

using namespace std::chrono_literals;

/// Takes no worker, or takes each and ends its stream at once.
class turning_away final : public v1::Fleet::Service {
 public:
  grpc::Status Join(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) override {
    ++dialled;
    if (!welcomes) return {grpc::StatusCode::PERMISSION_DENIED, "not you"};
    v1::CoordinatorMessage message;
    message.mutable_welcome();
    stream->Write(message);
    v1::WorkerMessage said;
    while (listens && stream->Read(&said)) ++read;
    return grpc::Status::OK;
  }
  std::atomic<int> dialled{0};
  std::atomic<bool> welcomes{false};
  std::atomic<bool> listens{false};
  std::atomic<int> read{0};
};

struct fixture {
  fixture() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    client = std::make_unique<fleet_client>(
        make_channel(*endpoint_at("127.0.0.1:" + std::to_string(port), "")), random);
    client->start({[] {}, [] {}, [this](const v1::CoordinatorMessage&) { ++heard; }});
  }
  ~fixture() {
    client->stop();
    server->Shutdown(gpr_time_0(GPR_CLOCK_MONOTONIC));
  }
  template <class Holds>
  bool comes(Holds holds) {
    for (int i = 0; i < 200 && !holds(); ++i) std::this_thread::sleep_for(50ms);
    return holds();
  }

  turning_away service;
  std::atomic<int> heard{0};
  seeded_random random{1};
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<fleet_client> client;
};

TEST_CASE_FIXTURE(fixture, "who is turned away dials again with growing pauses") {
  // Pauses of at most 0.1, 0.2, 0.4 … s: the tenth dialling is far off. Without them it comes at
  // once.
  REQUIRE(comes([&] { return service.dialled >= 3; }));
  const int before = service.dialled;
  std::this_thread::sleep_for(300ms);
  CHECK(service.dialled - before <= 3);
}

TEST_CASE_FIXTURE(fixture, "who was turned away is there when the coordinator takes it") {
  REQUIRE(comes([&] { return service.dialled >= 2; }));
  CHECK(heard == 0);
  service.welcomes = true;
  CHECK(comes([&] { return heard >= 1; }));
}

TEST_CASE_FIXTURE(fixture, "who stops has said all that it was given to say") {
  service.listens = true;
  service.welcomes = true;
  REQUIRE(comes([&] { return heard >= 1; }));
  constexpr int said = 1'000;
  for (int i = 0; i < said; ++i) {
    v1::WorkerMessage message;
    message.mutable_cleaned()->set_why(std::string(1'000, 'w'));
    client->send(std::move(message));
  }
  client->stop();
  CHECK(service.read == said);
}

}  // namespace
}  // namespace germline::worker
