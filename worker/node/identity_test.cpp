// Who a worker is, against an enrolment that answers as it is told.
#include "worker/node/identity.hpp"

#include <doctest/doctest.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "common/grpc_status.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/authority.hpp"
#include "germline/v1/fleet.grpc.pb.h"
#include "worker/node/service.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

class enrolment final : public v1::Enrolment::Service {
 public:
  explicit enrolment(pki::authority& home) : home_(home) {}
  bool refuses = false;  // those who have a certificate

  grpc::Status Enroll(grpc::ServerContext*, const v1::EnrollRequest* request,
                      v1::Credentials* reply) override {
    const auto made = home_.redeem(request->token(), request->csr_pem());
    if (!made) return to_status(result<void>(made.error()));
    reply->set_certificate_pem(made->certificate_pem);
    reply->set_ca_pem(made->ca_pem);
    return grpc::Status::OK;
  }
  grpc::Status Renew(grpc::ServerContext*, const v1::RenewRequest*,
                     v1::Credentials* reply) override {
    if (refuses) return {grpc::StatusCode::PERMISSION_DENIED, "the certificate is revoked"};
    reply->set_ca_pem(*home_.ca_pem());
    return grpc::Status::OK;
  }

 private:
  pki::authority& home_;
};

struct fixture {
  fixture() {
    ::signal(SIGPIPE, SIG_IGN);
    std::string name = "/tmp/germline-identity-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    home = std::move(*pki::authority::make(root + "/pki", time));
    service = std::make_unique<enrolment>(*home);
    serve(*home);
    config.state_dir = root + "/state";
  }
  ~fixture() {
    server->Shutdown();
    fs::remove_all(root);
  }
  /// With what this authority shows.
  void serve(const pki::authority& as) {
    if (server) server->Shutdown();
    int port = 0;
    grpc::ServerBuilder builder;
    builder.RegisterService(service.get());
    builder.AddListeningPort("127.0.0.1:0", *server_credentials(as.server_folder()), &port);
    server = builder.BuildAndStart();
    REQUIRE(server);
    config.coordinator = "tls:127.0.0.1:" + std::to_string(port);
  }
  std::string token() { return *home->make_token(pki::role::worker, "", false, 60'000); }
  bool is_used(const std::string& token) {
    return !home->redeem(token, *pki::private_key::generate()->make_request());
  }
  std::string brought(pki::role who, const std::string& name) {
    const auto folder = root + "/" + name;
    REQUIRE(pki::write_credentials(folder, *home->issue({who, name}, 0)));
    return folder;
  }

  const system_clock_source time;
  std::string root;
  std::unique_ptr<pki::authority> home;
  std::unique_ptr<enrolment> service;
  std::unique_ptr<grpc::Server> server;
  worker_config config;
};

TEST_CASE("credentials that are brought along leave the worker's own alone") {
  fixture at;
  at.config.join_token = at.token();
  const auto name = identify(at.config, at.time);
  REQUIRE_MESSAGE(name, (name ? "" : name.error().message()));
  const auto own = *pki::read_file(at.config.state_dir + "/tls/tls.key");
  auto other = at.config;
  other.tls_dir = at.brought(pki::role::person, "ann");
  const auto refused = take_credentials_along(other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("a person's, not a worker's") != std::string::npos);
  CHECK(*pki::read_file(at.config.state_dir + "/tls/tls.key") == own);
  other.tls_dir = at.brought(pki::role::worker, "bo");
  REQUIRE(take_credentials_along(other));
  CHECK(*identify(other, at.time) == "bo");
  CHECK(*pki::read_file(at.config.state_dir + "/tls/tls.key") == own);
  CHECK(*identify(at.config, at.time) == *name);
}

TEST_CASE("a token is used where the certificate is not taken any more, and only there") {
  fixture at;
  at.config.join_token = at.token();
  const auto first = *identify(at.config, at.time);
  const auto second = at.config.join_token = at.token();
  CHECK(*identify(at.config, at.time) == first);
  at.service->refuses = true;
  const auto anew = identify(at.config, at.time);
  REQUIRE_MESSAGE(anew, (anew ? "" : anew.error().message()));
  CHECK(*anew != first);
  CHECK(at.is_used(second));
  // Nor is a refusal passed over where the token does no better.
  CHECK_FALSE(identify(at.config, at.time));
}

TEST_CASE("a worker joins another authority by that one's token") {
  fixture at;
  at.config.join_token = at.token();
  const auto first = *identify(at.config, at.time);
  at.home = std::move(*pki::authority::make(at.root + "/other", at.time));
  const auto former = std::move(at.service);
  at.service = std::make_unique<enrolment>(*at.home);
  at.serve(*at.home);
  // A token that was there before is of no use.
  CHECK(*identify(at.config, at.time) == first);
  at.config.join_token = at.token();
  const auto anew = identify(at.config, at.time);
  REQUIRE(anew);
  CHECK(*anew != first);
}

TEST_CASE("a token does not end a worker whose coordinator is away") {
  fixture at;
  at.config.join_token = at.token();
  const auto name = *identify(at.config, at.time);
  at.server->Shutdown();
  CHECK(*identify(at.config, at.time) == name);
  REQUIRE(at.home->begin_rotation(0));
  REQUIRE(at.home->finish_rotation(true));
  at.config.join_token = at.token();
  CHECK(*identify(at.config, at.time) == name);
}

TEST_CASE_FIXTURE(fixture, "a worker that cannot join says why, and what a person may do") {
  config.join_token = token();
  REQUIRE(identify(config, time));
  CHECK(why_unreachable(config).empty());
  CHECK(way_back(config).find("germline worker --join " + config.coordinator + " --state-dir " +
                              config.state_dir + " --token-file FILE") != std::string::npos);
  const auto other = std::move(*pki::authority::make(root + "/other", time));
  serve(*other);
  const auto strange = why_unreachable(config);
  CHECK(strange.find("the certificate of another authority") != std::string::npos);
  CHECK(strange.find("--token-file") != std::string::npos);
  const auto without = config.coordinator.substr(4);
  config.coordinator = without;
  CHECK(why_unreachable(config).find("tls:" + without) != std::string::npos);
  CHECK(way_back(config).empty());
  server->Shutdown();
  CHECK(why_unreachable(config) == "nobody answers at " + without);
}

}  // namespace
}  // namespace germline::worker
