// A coordinator that is dialled over TLS: who may do what with which certificate.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "common/enrolment.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/authority.hpp"
#include "coordinator/service_fixture.hpp"

namespace germline {
namespace {

using testing::fixture;
using testing::scripted_worker;

/// A fixture's coordinator with a TLS address, and its authority.
struct elsewhere : fixture {
  elsewhere() {
    ::signal(SIGPIPE, SIG_IGN);
    service.reset();
    tls_listen = "127.0.0.1:0";
    start();
    home = std::move(*pki::authority::open(dir + "/state/pki", time));
  }

  std::string tls() const { return "tls:" + service->tls_address(); }

  /// A folder with credentials of the coordinator's authority, or of `by`.
  std::string credentials(pki::role who, const std::string& name, pki::authority* by = nullptr) {
    const auto made = (by == nullptr ? *home : *by).issue({who, name}, 0);
    REQUIRE(made);
    const auto folder = dir + "/" + name + std::to_string(folders++);
    REQUIRE(pki::write_credentials(folder, *made));
    return folder;
  }
  std::string token(pki::role who, const std::string& name = "") {
    const auto made = home->make_token(who, name, false, 60'000);
    REQUIRE(made);
    return *made;
  }
  /// A connection of its own, with the credentials as they are now.
  std::shared_ptr<grpc::Channel> dial(const std::string& folder) {
    const auto at = endpoint_at(tls(), folder);
    REQUIRE_MESSAGE(at, (at ? "" : at.error().message()));
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return at->open(arguments);
  }
  std::shared_ptr<grpc::Channel> dial_anonymously() {
    return anonymous_endpoint_at(tls(), *home->ca_pem()).open({});
  }

  static grpc::Status ask_status(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    v1::GetStatusReply reply;
    return v1::Control::NewStub(channel)->GetStatus(&context, {}, &reply);
  }
  static grpc::Status fetch(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& worker) {
    grpc::ClientContext context;
    v1::FetchArtefactRequest request;
    request.set_worker_id(worker);
    request.set_artefact_id(std::string(64, 'a'));
    const auto stub = v1::Fleet::NewStub(channel);
    const auto stream = stub->FetchArtefact(&context, request);
    v1::Chunk chunk;
    while (stream->Read(&chunk)) {
    }
    return stream->Finish();
  }

  std::unique_ptr<pki::authority> home;
  int folders = 0;
};

TEST_CASE("a person with a certificate may all that people may, and nothing of a worker's") {
  elsewhere at;
  const auto ann = at.dial(at.credentials(pki::role::person, "ann"));
  CHECK(at.ask_status(ann).ok());
  CHECK(at.fetch(ann, "ann").error_code() == grpc::StatusCode::PERMISSION_DENIED);
  scripted_worker posing(ann, "ann");
  CHECK(posing.ended().error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("without a certificate nothing answers but enrolment") {
  elsewhere at;
  const auto nobody = at.dial_anonymously();
  const auto told = at.ask_status(nobody);
  CHECK(told.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(told.error_message().find("join token") != std::string::npos);
  CHECK(at.fetch(nobody, "wrk_1").error_code() == grpc::StatusCode::PERMISSION_DENIED);
  scripted_worker posing(nobody, "wrk_1");
  CHECK(posing.ended().error_code() == grpc::StatusCode::PERMISSION_DENIED);
  v1::Credentials reply;
  grpc::ClientContext renewing;
  CHECK(v1::Enrolment::NewStub(nobody)->Renew(&renewing, {}, &reply).error_code() ==
        grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext enrolling;
  v1::EnrollRequest request;
  request.set_token("glj1.AAAA");
  CHECK(v1::Enrolment::NewStub(nobody)->Enroll(&enrolling, request, &reply).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("who was certified by somebody else is not even connected") {
  elsewhere at;
  const auto foreign = std::move(*pki::authority::make(at.dir + "/foreign", at.time));
  const auto folder = at.credentials(pki::role::person, "ann", foreign.get());
  // It knows the right authority, and shows a certificate of the wrong one.
  REQUIRE(pki::write_file(folder + "/ca.crt", *at.home->ca_pem(), 0644));
  CHECK(at.ask_status(at.dial(folder)).error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a worker's certificate cannot pose as a coordinator's") {
  elsewhere at;
  const auto folder = at.credentials(pki::role::worker, "wrk_1");
  CHECK_FALSE(server_credentials(folder));
}

TEST_CASE("a worker joins by a token and leads a run to its end") {
  elsewhere at;
  const auto made = enroll(at.tls(), at.token(pki::role::worker), pki::role::worker);
  REQUIRE_MESSAGE(made, (made ? "" : made.error().message()));
  const auto folder = at.dir + "/joined";
  REQUIRE(pki::write_credentials(folder, *made));
  const auto name = pki::read_credentials(folder)->facts.whose.name;
  at.create(1);
  scripted_worker worker(at.dial(folder), name);
  at.found(worker);
  const auto lease = worker.lease();
  const auto commit = at.evolve(worker, lease);
  at.wait_branch(commit);
}

TEST_CASE("a worker cannot say hello, fetch or put under another's name") {
  elsewhere at;
  const auto channel = at.dial(at.credentials(pki::role::worker, "wrk_1"));
  scripted_worker posing(channel, "wrk_2");
  const auto ended = posing.ended();
  CHECK(ended.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(ended.error_message().find("wrk_2") != std::string::npos);
  CHECK(at.fetch(channel, "wrk_2").error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(at.fetch(channel, "wrk_1").error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(at.ask_status(channel).error_code() == grpc::StatusCode::PERMISSION_DENIED);

  // Nor put what another has leased.
  at.create(1);
  scripted_worker holder(at.dial(at.credentials(pki::role::worker, "wrk_3")), "wrk_3");
  const auto lease = holder.lease();
  std::string ignored;
  scripted_worker honest(channel, "wrk_1");
  const auto put = honest.put(
      lease, "bytes", [](auto& stub, auto* c, auto* r) { return stub.PutObjects(c, r); }, ignored);
  CHECK_FALSE(put.ok());
  honest.leave();
}

TEST_CASE("a revoked person who watches is told no more") {
  elsewhere at;
  at.create(1);
  const auto people = v1::Control::NewStub(at.dial(at.credentials(pki::role::person, "fay")));
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_target(at.created.run_id());
  request.set_follow(true);
  const auto stream = people->Watch(&context, request);
  v1::WatchEvent event;
  REQUIRE(stream->Read(&event));
  REQUIRE(at.home->revoke("fay", "left"));
  while (stream->Read(&event)) continue;
  const auto ended = stream->Finish();
  CHECK(ended.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(ended.error_message().find("revoked") != std::string::npos);
}

/// The worker's next word.
v1::WorkerMessage heartbeat() {
  v1::WorkerMessage beat;
  beat.mutable_heartbeat()->set_sent_boot_ms(1);
  return beat;
}

TEST_CASE("a revoked worker's stream ends with its next word, and it cannot come back") {
  elsewhere at;
  const auto folder = at.credentials(pki::role::worker, "wrk_1");
  scripted_worker worker(at.dial(folder), "wrk_1");
  REQUIRE(worker.expect(v1::CoordinatorMessage::kWelcome));
  REQUIRE(at.home->revoke("wrk_1", "lost"));
  worker.try_send(heartbeat());
  const auto ended = worker.ended();
  CHECK(ended.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(ended.error_message().find("revoked") != std::string::npos);
  scripted_worker again(at.dial(folder), "wrk_1");
  CHECK(again.ended().error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK_FALSE(renew_credentials(at.tls(), folder, at.time));
}

TEST_CASE("a revoked person is refused with the next call on a standing connection") {
  elsewhere at;
  const auto ann = at.dial(at.credentials(pki::role::person, "ann"));
  REQUIRE(at.ask_status(ann).ok());
  REQUIRE(at.home->revoke("ann", "left"));
  CHECK(at.ask_status(ann).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("connections made under a former authority are refused once its rotation is finished") {
  elsewhere at;
  const auto ann = at.dial(at.credentials(pki::role::person, "ann"));
  REQUIRE(at.ask_status(ann).ok());
  scripted_worker worker(at.dial(at.credentials(pki::role::worker, "wrk_1")), "wrk_1");
  REQUIRE(worker.expect(v1::CoordinatorMessage::kWelcome));
  REQUIRE(at.home->begin_rotation(0));
  CHECK(at.ask_status(ann).ok());
  worker.try_send(heartbeat());
  REQUIRE(at.home->finish_rotation(true));
  CHECK(at.ask_status(ann).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  worker.try_send(heartbeat());
  const auto ended = worker.ended();
  CHECK(ended.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(ended.error_message().find("not believed any more") != std::string::npos);
}

TEST_CASE("who was renewed in a rotation comes back on its old channel after the end of it") {
  elsewhere at;
  const auto folder = at.credentials(pki::role::worker, "wrk_1");
  const auto watched = watching_endpoint_at(at.tls(), folder);
  REQUIRE(watched);
  const auto channel = watched->open({});
  scripted_worker before(channel, "wrk_1");
  REQUIRE(before.expect(v1::CoordinatorMessage::kWelcome));
  REQUIRE(at.home->begin_rotation(0));
  REQUIRE(*renew_credentials(at.tls(), folder, at.time) == renewal::renewed);
  REQUIRE(at.home->finish_rotation(false));
  before.try_send(heartbeat());
  CHECK(before.ended().error_code() == grpc::StatusCode::PERMISSION_DENIED);
  // Within the age of a connection.
  bool is_back = false;
  for (int i = 0; i < 40 && !is_back; ++i) {
    scripted_worker again(channel, "wrk_1");
    is_back = again.expect(v1::CoordinatorMessage::kWelcome, 500).has_value();
    again.leave();
  }
  CHECK(is_back);
}

TEST_CASE("a certificate that a copy of the authority's key made is refused") {
  elsewhere at;
  std::filesystem::copy(at.dir + "/state/pki", at.dir + "/copy",
                        std::filesystem::copy_options::recursive);
  const auto thief = std::move(*pki::authority::open(at.dir + "/copy", at.time));
  const auto mallory = at.dial(at.credentials(pki::role::person, "mallory", thief.get()));
  CHECK(at.ask_status(mallory).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("from elsewhere no path of the coordinator's machine is read") {
  elsewhere at;
  const auto ann = at.dial(at.credentials(pki::role::person, "ann"));
  grpc::ClientContext context;
  v1::CreateRunRequest request;
  request.set_repository(at.dir + "/user");
  request.set_lineages(1);
  v1::CreateRunReply reply;
  CHECK(v1::Control::NewStub(ann)->CreateRun(&context, request, &reply).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("a token is believed by the coordinator that made it, and believes no other") {
  elsewhere at;
  const auto foreign = std::move(*pki::authority::make(at.dir + "/foreign", at.time));
  const auto worker = pki::role::worker;
  const auto stray = enroll(at.tls(), *foreign->make_token(worker, "", false, 60'000), worker);
  REQUIRE_FALSE(stray);
  CHECK(stray.error().code() == error_code::permission_denied);
  CHECK(stray.error().message().find("not the coordinator that the token is for") !=
        std::string::npos);
  const auto nobody = enroll("127.0.0.1:1", at.token(worker), worker);
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code() == error_code::unavailable);
  const auto token = at.token(pki::role::person, "ann");
  REQUIRE(enroll(at.tls(), token, pki::role::person));
  CHECK(enroll(at.tls(), token, pki::role::person).error().code() == error_code::permission_denied);
}

TEST_CASE("a token for another role is refused before it is used") {
  elsewhere at;
  for (const auto& [right, wrong] : {std::pair{pki::role::worker, pki::role::person},
                                     std::pair{pki::role::person, pki::role::worker}}) {
    const auto token = at.token(right, right == pki::role::person ? "ann" : "");
    const auto refused = enroll(at.tls(), token, wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == error_code::invalid_argument);
    CHECK(refused.error().message().find("was not used") != std::string::npos);
    CHECK(enroll(at.tls(), token, right));
  }
}

TEST_CASE("plain HTTP/2 on the TLS address, and TLS on the plain one, get nothing") {
  elsewhere at;
  const auto plain =
      grpc::CreateChannel(at.service->tls_address(), grpc::InsecureChannelCredentials());
  CHECK(at.ask_status(plain).error_code() == grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext context;
  v1::Credentials reply;
  v1::EnrollRequest request;
  request.set_token(at.token(pki::role::worker));
  const auto local = v1::Enrolment::NewStub(
      grpc::CreateChannel(at.service->address(), grpc::InsecureChannelCredentials()));
  CHECK(local->Enroll(&context, request, &reply).error_code() ==
        grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_CASE("a rotation goes through while a coordinator runs and a worker is joined") {
  elsewhere at;
  const auto folder = at.credentials(pki::role::worker, "wrk_1");
  const auto old_person = at.credentials(pki::role::person, "ann");
  const auto watched = watching_endpoint_at(at.tls(), folder);
  REQUIRE(watched);
  REQUIRE(*renew_credentials(at.tls(), folder, at.time) == renewal::nothing_due);
  REQUIRE(at.home->begin_rotation(pki::rotation_settle_ms));
  CHECK(*renew_credentials(at.tls(), folder, at.time) == renewal::renewed);
  const auto new_person = at.credentials(pki::role::person, "ann");
  // Whoever has a new one is no stranger to the server, not even at first.
  CHECK(at.ask_status(at.dial(new_person)).ok());
  // The server reads its files within a second or two.
  const auto comes_to = [&](const std::string& who, bool answered) {
    for (int i = 0; i < 100; ++i) {
      if (at.ask_status(at.dial(who)).ok() == answered) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  };
  CHECK(at.ask_status(at.dial(old_person)).ok());
  const auto again = renew_credentials(at.tls(), folder, at.time);
  REQUIRE(again);
  CHECK(*again == renewal::nothing_due);
  REQUIRE(at.home->finish_rotation(false));
  CHECK(comes_to(old_person, false));
  CHECK(comes_to(new_person, true));
  // A worker rereads its files within a second too, and dials again until then.
  bool is_welcome = false;
  for (int i = 0; i < 20 && !is_welcome; ++i) {
    scripted_worker worker(watched->open({}), "wrk_1");
    is_welcome = worker.expect(v1::CoordinatorMessage::kWelcome, 1'000).has_value();
  }
  CHECK(is_welcome);
}

TEST_CASE("an address that is not loopback is served with TLS or not at all") {
  fixture at;
  at.service.reset();
  coordinator_config config;
  config.state_dir = at.dir + "/state";
  config.listen_address = "0.0.0.0:0";
  const auto open = coordinator_service::start(config, at.time, at.random);
  REQUIRE_FALSE(open);
  CHECK(open.error().message().find("--tls-listen") != std::string::npos);
  config.listen_address = "unix:" + at.dir + "/socket";
  for (const auto* wrong : {"unix:/tmp/x", "7411", ":7411", "host", "host:port", "host:70000"}) {
    config.tls_listen = wrong;
    CAPTURE(wrong);
    const auto refused = coordinator_service::start(config, at.time, at.random);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == error_code::invalid_argument);
  }
  config.tls_listen = "127.0.0.1:0";
  config.tls_dir = at.dir + "/nowhere";
  const auto without = coordinator_service::start(config, at.time, at.random);
  REQUIRE_FALSE(without);
  CHECK(without.error().message().find("ca.crt") != std::string::npos);
}

}  // namespace
}  // namespace germline
