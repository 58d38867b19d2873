// Held-out files over the wire: who brings them, who is told of them, and who may fetch them.
#include <doctest/doctest.h>

#include "common/artefact/tar.hpp"
#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

std::string tar_of(const std::vector<artefact::file>& files) {
  std::string tar;
  REQUIRE(artefact::write_tar(files, [&](std::string_view piece) -> result<void> {
    tar += piece;
    return {};
  }));
  return tar;
}

struct holding : measured_fixture {
  holding() : measured_fixture(1) {}

  grpc::Status put(const std::string& tar) {
    grpc::ClientContext context;
    const auto stream = people->PutHeldOut(&context, &kept);
    v1::SeedChunk chunk;
    for (std::size_t at = 0; at < tar.size(); at += 1 << 20) {
      chunk.set_data(tar.substr(at, 1 << 20));
      if (!stream->Write(chunk)) break;
    }
    stream->WritesDone();
    return stream->Finish();
  }
  void refused(const std::string& tar, const std::string& says) {
    const auto status = put(tar);
    CHECK_FALSE(status.ok());
    CHECK_MESSAGE(status.error_message().find(says) != std::string::npos, status.error_message());
  }

  v1::CreateRunRequest wanted() const {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(1);
    request.set_held_out_id(kept.held_out_id());
    return request;
  }

  /// What the worker of that name gets.
  grpc::Status fetch(const std::string& worker, std::string& bytes) {
    const auto stub = v1::Fleet::NewStub(connect_anew(service->address()));
    grpc::ClientContext context;
    v1::FetchArtefactRequest request;
    request.set_worker_id(worker);
    request.set_artefact_id(kept.held_out_id());
    const auto stream = stub->FetchArtefact(&context, request);
    bytes.clear();
    for (v1::Chunk chunk; stream->Read(&chunk);) bytes += chunk.data();
    return stream->Finish();
  }

  v1::HeldOut kept;
};

}  // namespace

TEST_CASE_FIXTURE(holding, "evaluations alone are told of held-out files, and bring who has them") {
  const auto tar = tar_of({{"answers/1", false, "42"}, {"score.py", true, "print(1)"}});
  REQUIRE(put(tar).ok());
  CHECK(kept.files() == 2);
  CHECK(kept.bytes() == 10);
  REQUIRE(try_create(wanted()).ok());
  const auto info = tree().run();
  CHECK(info.held_out().held_out_id() == kept.held_out_id());
  CHECK(info.held_out().files() == 2);
  CHECK(info.held_out().bytes() == 10);

  scripted_worker worker(service->address(), "w1");
  std::string bytes;
  const auto founding = worker.lease();
  REQUIRE(founding.kind() == v1::WORK_KIND_FOUND);
  CHECK(founding.held_out_id().empty());
  CHECK(fetch("w1", bytes).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  const auto art = worker.put_artefact(founding, "seed");
  REQUIRE(worker.report(founding, v1::ENDING_EVOLVED, founding.seed_commit(), art).accepted());

  const auto iterating = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(iterating.held_out_id().empty());
  const auto measuring = lease_of(worker, v1::WORK_KIND_EVALUATE);
  CHECK(measuring.held_out_id() == kept.held_out_id());
  REQUIRE(fetch("w1", bytes).ok());
  CHECK(bytes == tar);
  CHECK(fetch("w2", bytes).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(bytes.empty());
  CHECK(score(worker, measuring, 1));
  CHECK(fetch("w1", bytes).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE_FIXTURE(holding, "held-out files outlive the coordinator's process") {
  REQUIRE(put(tar_of({{"a", false, "1"}})).ok());
  restart();
  REQUIRE(try_create(wanted()).ok());
  restart();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  CHECK(lease_of(worker, v1::WORK_KIND_EVALUATE).held_out_id() == kept.held_out_id());
  std::string bytes;
  CHECK(fetch("w1", bytes).ok());
}

TEST_CASE_FIXTURE(holding, "what cannot be held out is refused, and says why") {
  refused("no tar", "held-out files: ");
  refused(tar_of({}), "held-out files: ");
  const std::string large(17 << 20, 'x');
  refused(tar_of({{"a", false, large}}), "held-out files: ");
  std::vector<std::string> names;
  for (int i = 0; i <= 1'000; ++i) names.push_back("f" + std::to_string(10'000 + i));
  std::vector<artefact::file> many;
  for (const auto& name : names) many.push_back({name, false, "x"});
  refused(tar_of(many), "held-out files: ");
  many.pop_back();
  CHECK(put(tar_of(many)).ok());

  auto request = wanted();
  request.set_held_out_id(std::string(64, 'a'));
  auto status = try_create(request);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message().find("there are none by the id") != std::string::npos);
  shell("cd " + dir +
        "/user && sed -i '/^\\[fitness\\]/,$d' genome.toml &&"
        " git -c user.name=u -c user.email=u@e commit -qam unmeasured");
  status = try_create(wanted());
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() ==
        "held-out files are for evaluators, and genome.toml has no "
        "[fitness]: give it one, or leave --held-out out");
}

TEST_CASE_FIXTURE(holding,
                  "what a generation has is not kept from workers by being held out, too") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  const auto founding = worker.lease();
  kept.set_held_out_id(worker.put_artefact(founding, "seed"));
  REQUIRE(worker.report(founding, v1::ENDING_EVOLVED, founding.seed_commit(), kept.held_out_id())
              .accepted());
  auto request = wanted();
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  std::string bytes;
  CHECK(fetch("w2", bytes).ok());
}
