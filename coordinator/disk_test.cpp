// The coordinator on a disk that fills up and is emptied again: a small tmpfs. Needs root to mount
// it; without, there is nothing to show.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "common/unique_fd.hpp"
#include "coordinator/health.hpp"
#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct small_disk : fixture {
  small_disk() {
    service.reset();
    std::filesystem::remove_all(dir + "/state");
    std::filesystem::create_directories(dir + "/state");
    mounted = ::mount("none", (dir + "/state").c_str(), "tmpfs", 0, "size=96m,mode=0700") == 0;
    start();
  }
  ~small_disk() {
    service.reset();
    if (mounted) ::umount2((dir + "/state").c_str(), MNT_DETACH);
  }
  /// To the last byte that it gives.
  void fill() const {
    const unique_fd file(
        ::open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600));
    REQUIRE(file);
    for (std::size_t piece = 1 << 20; piece > 0; piece /= 16) {
      const std::string bytes(piece, 'x');
      while (::write(file.get(), bytes.data(), bytes.size()) > 0) {
      }
    }
  }
  void make_room() const { std::filesystem::remove(ballast()); }
  std::string ballast() const { return dir + "/state/ballast"; }

  std::string troubles() {
    grpc::ClientContext context;
    v1::GetStatusReply reply;
    REQUIRE(people->GetStatus(&context, {}, &reply).ok());
    std::string all;
    for (const auto& each : reply.troubles()) all += each + "\n";
    return all;
  }
  void wait_trouble(const std::string& words) {
    for (int i = 0; i < 100 && troubles().find(words) == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK_MESSAGE(troubles().find(words) != std::string::npos, troubles());
  }
  void wait_no_trouble() {
    for (int i = 0; i < 150 && !troubles().empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    CHECK(troubles().empty());
  }
  /// Beats while nothing is expected to come: no lease, and no answer to a result.
  void stay_silent(scripted_worker& worker, const std::vector<std::string>& attempts, int beats) {
    for (int i = 0; i < beats; ++i) {
      worker.beat(attempts);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  }
  /// Events until the record itself can hold no more.
  void exhaust_record(scripted_worker& worker, const v1::Lease& lease) {
    for (int i = 0; i < 3'000 && troubles().find("record cannot") == std::string::npos; ++i) {
      v1::WorkerMessage message;
      auto& event = *message.mutable_progress()->mutable_event();
      event.set_attempt_id(lease.attempt_id());
      event.set_phase(v1::ITERATION_PHASE_RUNNING);
      event.set_step("s" + std::to_string(i));
      event.set_detail(std::string(6'000, 'd'));
      worker.send(message);
      if (i % 50 == 0) stay_silent(worker, {lease.attempt_id()}, 1);
    }
  }

  bool mounted = false;
};

}  // namespace

TEST_CASE_FIXTURE(small_disk, "a result that comes when the disk is full waits for room") {
  if (!mounted) return;
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  std::string pack;
  const auto commit = make_commit(worker, lease, pack);
  REQUIRE(worker.put_objects(lease, pack).ok());
  const auto art = worker.put_artefact(lease, "next " + lease.attempt_id());
  fill();
  wait_trouble("0 MiB left");
  worker.send_result(lease, v1::ENDING_EVOLVED, commit, art);
  stay_silent(worker, {lease.attempt_id()}, 10);  // more than its lease and the guard
  CHECK(troubles().find("objects cannot be stored") != std::string::npos);
  CHECK(tree().generations_size() == 1);
  SUBCASE("and is a birth then") {
    make_room();
    const auto reply = worker.expect(v1::CoordinatorMessage::kResultReply);
    REQUIRE(reply);
    CHECK_MESSAGE(reply->result_reply().accepted(), reply->result_reply().why());
    CHECK(worker.lease().number() == 2);
    wait_no_trouble();
    CHECK(tree().generations_size() == 2);
  }
  SUBCASE("and a kill does not wait for it") {
    grpc::ClientContext context;
    v1::KillRequest request;
    request.set_target(lineage_id());
    v1::KillReply killed;
    const auto began_ms = time.boot_ms();
    const auto status = people->Kill(&context, request, &killed);
    CHECK(time.boot_ms() - began_ms < 10'000);
    if (!status.ok()) {  // there was no room for the record either
      CHECK(status.error_code() == grpc::StatusCode::INTERNAL);
      make_room();
      kill(lineage_id());
    }
    CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_KILLED);
    CHECK(tree().generations_size() == 1);
  }
  SUBCASE("over a restart, when it comes again") {
    worker.leave();
    make_room();
    restart();
    scripted_worker again(service->address(), "w1", {lease.attempt_id()});
    CHECK(again.report(lease, v1::ENDING_EVOLVED, commit, art).accepted());
  }
}

TEST_CASE_FIXTURE(small_disk, "when the record can hold no more nothing is lost, and all goes on") {
  if (!mounted) return;
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  fill();
  exhaust_record(worker, lease);
  wait_trouble("the record cannot be written: record: ");
  CHECK(troubles().find("full") != std::string::npos);
  SUBCASE("of an attempt that is lost meanwhile") {
    worker.cleaned(lease.attempt_id(), "no room");
  }
  SUBCASE("of one that ends meanwhile") {
    worker.send_result(lease, v1::ENDING_FAILED, "", "");
    stay_silent(worker, {lease.attempt_id()}, 10);
  }
  SUBCASE("of what people want meanwhile") {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(lineage_id());
    v1::LineageReply reply;
    const auto refused = people->Pause(&context, request, &reply);
    CHECK(refused.error_code() == grpc::StatusCode::INTERNAL);
    CHECK(refused.error_message().find("full") != std::string::npos);
    worker.cleaned(lease.attempt_id(), "no room");
  }
  CHECK_FALSE(worker.expect(v1::CoordinatorMessage::kLease, 2'000));
  make_room();
  const auto next = worker.lease();
  CHECK(next.number() == 1);
  wait_no_trouble();
  const auto now = tree();
  CHECK(now.run().lineages(0).state() == v1::LINEAGE_STATE_ACTIVE);
  evolve(worker, next);
  CHECK(worker.lease().number() == 2);
}

TEST_CASE_FIXTURE(small_disk, "a run that begins on a full disk waits, and says for what") {
  if (!mounted) return;
  create();
  fill();
  wait_trouble("0 MiB left");
  scripted_worker worker(service->address(), "w1");
  CHECK_FALSE(worker.expect(v1::CoordinatorMessage::kLease, 1'000));
  const auto waits = wait_tree([](const auto& t) { return !t.iterations(0).waits_for().empty(); });
  CHECK(waits.iterations(0).waits_for() == "room on the coordinator's disk, which has 0 MiB left");
  make_room();
  found(worker);
  CHECK(worker.lease().number() == 1);
}

TEST_CASE("a failure of the storage is told apart from one of what was to be stored") {
  const health well("/tmp");
  CHECK(well.judged({error_code::internal, "failed to write out file: No space left on device"})
            .code() == error_code::unavailable);
  CHECK(
      well.judged({error_code::resource_exhausted, "writing x: No space left on device"}).code() ==
      error_code::unavailable);
  CHECK(well.judged({error_code::resource_exhausted, "the pack is too large"}).code() ==
        error_code::resource_exhausted);
  CHECK(well.judged({error_code::internal, "object is corrupt"}).code() == error_code::internal);
  CHECK(well.judged({error_code::not_found, "No space left on device"}).code() ==
        error_code::not_found);
}
