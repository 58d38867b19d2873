// Bulk transfers over the real wire, cut off where the test says.
#include <doctest/doctest.h>

#include <optional>
#include <thread>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct came {
  grpc::Status how;
  v1::TransferHead head;
  std::string bytes;
};

struct on_the_wire : fixture {
  on_the_wire() : stub(v1::Fleet::NewStub(connect_anew(service->address()))) {}

  /// Until the end, or until there are so many bytes, and then it goes away.
  came fetch(v1::FetchObjectsRequest request, std::size_t until = std::string::npos) {
    grpc::ClientContext context;
    request.set_worker_id("w1");
    const auto stream = stub->FetchObjects(&context, request);
    came all;
    v1::Chunk chunk;
    for (bool first = true; all.bytes.size() < until && stream->Read(&chunk); first = false) {
      CHECK(chunk.has_head() == first);
      if (first) all.head = chunk.head();
      all.bytes += chunk.data();
    }
    if (all.bytes.size() >= until) context.TryCancel();
    all.how = stream->Finish();
    return all;
  }
  static v1::FetchObjectsRequest want(const std::string& commit, const std::string& have = "") {
    v1::FetchObjectsRequest request;
    request.add_want(commit);
    if (!have.empty()) request.add_have(have);
    return request;
  }

  v1::PutHeader header(const v1::Lease& lease, const std::string& bytes, std::int64_t offset) {
    v1::PutHeader made;
    made.set_worker_id("w1");
    made.set_attempt_id(lease.attempt_id());
    made.set_fence(lease.fence());
    made.set_sha256(sha256_hex(bytes));
    made.set_size_bytes(static_cast<std::int64_t>(bytes.size()));
    made.set_offset(offset);
    return made;
  }
  /// From the offset, until so many bytes were sent, and then it goes away.
  grpc::Status put(const v1::Lease& lease, const std::string& bytes, std::int64_t offset,
                   std::optional<std::size_t> until = {}, std::string* id = nullptr) {
    grpc::ClientContext context;
    v1::PutReply reply;
    const auto stream = stub->PutObjects(&context, &reply);
    v1::PutRequest request;
    *request.mutable_header() = header(lease, bytes, offset);
    stream->Write(request);
    const auto end = until.value_or(bytes.size());
    for (auto at = static_cast<std::size_t>(offset); at < end; at += 1'000) {
      request.mutable_chunk()->set_data(bytes.substr(at, std::min<std::size_t>(1'000, end - at)));
      stream->Write(request);
    }
    if (until) {
      // What was sent is on its way; only then it goes away.
      for (int i = 0; i < 200 && put_offset(lease, bytes) < static_cast<std::int64_t>(end); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      context.TryCancel();
    } else {
      stream->WritesDone();
    }
    const auto how = stream->Finish();
    if (id != nullptr) *id = reply.id();
    return how;
  }
  std::int64_t put_offset(const v1::Lease& lease, const std::string& bytes) {
    grpc::ClientContext context;
    v1::PutOffset reply;
    const auto how = stub->GetPutOffset(&context, header(lease, bytes, 0), &reply);
    REQUIRE_MESSAGE(how.ok(), how.error_message());
    return reply.offset();
  }

  std::unique_ptr<v1::Fleet::Stub> stub;
};

}  // namespace

TEST_CASE_FIXTURE(on_the_wire, "a fetch that is cut off goes on in the same bytes") {
  shell("head -c 300000 /dev/urandom > " + dir + "/user/data && cd " + dir +
        "/user && git add -A && git -c user.name=u -c user.email=u@e commit -qm data");
  create(1);
  scripted_worker worker(service->address(), "w1");
  const auto commit = worker.lease().seed_commit();
  const auto whole = fetch(want(commit));
  REQUIRE(whole.how.ok());
  CHECK(whole.head.base().empty());
  CHECK(whole.head.offset() == 0);
  CHECK(whole.head.size_bytes() == static_cast<std::int64_t>(whole.bytes.size()));
  CHECK(whole.head.sha256() == sha256_hex(whole.bytes));
  const auto part = fetch(want(commit), 100'000);
  CHECK_FALSE(part.how.ok());
  REQUIRE(part.bytes.size() < whole.bytes.size());
  auto rest = want(commit);
  rest.set_offset(static_cast<std::int64_t>(part.bytes.size()));
  rest.set_sha256(part.head.sha256());
  const auto tail = fetch(rest);
  REQUIRE(tail.how.ok());
  CHECK(tail.head.offset() == rest.offset());
  CHECK(part.bytes + tail.bytes == whole.bytes);
  // Of something else there is no rest.
  rest.set_sha256(std::string(64, '0'));
  const auto anew = fetch(rest);
  CHECK(anew.head.offset() == 0);
  CHECK(anew.bytes == whole.bytes);
}

TEST_CASE_FIXTURE(on_the_wire, "who has a generation gets what came after it, and is told so") {
  create(2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = worker.lease();
  const auto seed = lease.seed_commit();
  const auto born = evolve(worker, lease);
  lease = worker.lease();
  REQUIRE(lease.parent_commit() == born);
  const auto whole = fetch(want(born));
  auto request = want(born, seed);
  request.add_have(std::string(40, '1'));
  const auto step = fetch(request);
  REQUIRE(step.how.ok());
  CHECK(step.head.base() == seed);
  CHECK(step.bytes.size() < whole.bytes.size());
  CHECK(fetch(want(born, std::string(40, '1'))).bytes == whole.bytes);
  CHECK(fetch(want(seed, born)).head.base().empty());  // its seed does not stand on it
}

TEST_CASE_FIXTURE(on_the_wire, "a put that is cut off goes on, and its answer can be asked again") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  std::string bytes(9'500, 'p');
  bytes[5'000] = 'q';
  CHECK(put_offset(lease, bytes) == 0);
  CHECK_FALSE(put(lease, bytes, 0, 5'500).ok());
  const auto here = put_offset(lease, bytes);
  CHECK(here == 5'500);
  CHECK(put(lease, bytes, here + 1'000).error_code() == grpc::StatusCode::NOT_FOUND);
  std::string id;
  REQUIRE(put(lease, bytes, here, {}, &id).ok());
  CHECK(id == sha256_hex(bytes));
  CHECK(put_offset(lease, bytes) == 9'500);
  id.clear();
  CHECK(put(lease, bytes, 9'500, {}, &id).ok());  // whose answer was lost
  CHECK(id == sha256_hex(bytes));
}

TEST_CASE_FIXTURE(on_the_wire, "what was put of a killed attempt does not go on") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  const std::string bytes(9'500, 'p');
  CHECK_FALSE(put(lease, bytes, 0, 5'000).ok());
  std::thread killer([&] { kill(created.run_id()); });
  REQUIRE(worker.expect(v1::CoordinatorMessage::kKill));
  worker.cleaned(lease.attempt_id());
  killer.join();
  CHECK(put(lease, bytes, 5'000).error_code() == grpc::StatusCode::FAILED_PRECONDITION);
}
