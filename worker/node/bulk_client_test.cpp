// The worker's bulk calls against a coordinator that says nothing, or too much.
#include "worker/node/bulk_client.hpp"

#include <doctest/doctest.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "common/hash.hpp"
#include "tests/support/temp_dir.hpp"
#include "worker/node/channel.hpp"

namespace germline::worker {
namespace {

using namespace std::chrono_literals;

class scripted_fleet final : public v1::Fleet::Service {
 public:
  using writer = grpc::ServerWriter<v1::Chunk>;
  grpc::Status FetchObjects(grpc::ServerContext* context, const v1::FetchObjectsRequest* request,
                            writer* stream) override {
    return fetching(*context, *request, *stream);
  }
  grpc::Status PutObjects(grpc::ServerContext* context, grpc::ServerReader<v1::PutRequest>* stream,
                          v1::PutReply*) override {
    v1::PutRequest request;
    stream->Read(&request);
    hang(*context);
    return grpc::Status::CANCELLED;
  }
  /// Until the client goes.
  static void hang(grpc::ServerContext& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(5ms);
  }
  std::function<grpc::Status(grpc::ServerContext&, const v1::FetchObjectsRequest&, writer&)>
      fetching;
};

v1::Chunk first_of(const std::string& whole, std::size_t from, std::size_t count) {
  v1::Chunk chunk;
  chunk.mutable_head()->set_sha256(sha256_hex(whole));
  chunk.mutable_head()->set_size_bytes(static_cast<std::int64_t>(whole.size()));
  chunk.mutable_head()->set_offset(static_cast<std::int64_t>(from));
  chunk.set_data(whole.substr(from, count));
  return chunk;
}

struct fixture {
  fixture() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    client.emplace(make_channel(*endpoint_at("127.0.0.1:" + std::to_string(port), "")),
                   patience{300ms, 900ms});
    auto made = spool::make(dir.path());
    REQUIRE(made);
    so_far.bytes = std::move(*made);
    wish.max_bytes = 1'000;
  }
  ~fixture() { server->Shutdown(gpr_time_0(GPR_CLOCK_MONOTONIC)); }

  result<void> fetch() { return client->fetch(wish, so_far, watch); }
  void sends(const v1::Chunk& chunk, bool then_hangs = false) {
    service.fetching = [=](auto& context, auto&, auto& stream) {
      stream.Write(chunk);
      if (then_hangs) scripted_fleet::hang(context);
      return grpc::Status::OK;
    };
  }
  error_code refused() {
    const auto came = fetch();
    REQUIRE_FALSE(came);
    return came.error().code();
  }

  tests::temp_dir dir;
  scripted_fleet service;
  std::unique_ptr<grpc::Server> server;
  std::optional<bulk_client> client;
  fetch_wish wish;
  arrival so_far;
  std::stop_source cancelled;
  transfer_watch watch{cancelled.get_token(), 0};
  const std::string whole = "all of it";
};

TEST_CASE_FIXTURE(fixture, "a line on which nothing moves is given up, and what came is kept") {
  sends(first_of(whole, 0, 3), true);
  CHECK(refused() == error_code::unavailable);
  CHECK(so_far.bytes.size() == 3);
  CHECK(watch.moved_bytes == 3);
  v1::FetchObjectsRequest asked;
  service.fetching = [&](auto&, auto& request, auto& stream) {
    asked = request;
    stream.Write(first_of(whole, 3, 100));
    return grpc::Status::OK;
  };
  REQUIRE(fetch());
  CHECK(asked.offset() == 3);
  CHECK(asked.sha256() == sha256_hex(whole));
  CHECK(*so_far.bytes.view() == whole);
}

TEST_CASE_FIXTURE(fixture, "a coordinator that has something else by now sends that alone") {
  sends(first_of(whole, 0, 3));
  CHECK(refused() == error_code::data_loss);
  const std::string other = "what there is now";
  sends(first_of(other, 0, 100));
  REQUIRE(fetch());
  CHECK(*so_far.bytes.view() == other);
}

TEST_CASE_FIXTURE(fixture, "what does not hold together is not taken") {
  SUBCASE("no head") {
    auto chunk = first_of(whole, 0, 100);
    chunk.clear_head();
    sends(chunk);
    CHECK(refused() == error_code::data_loss);
  }
  SUBCASE("more than its head says") {
    auto chunk = first_of(whole, 0, 100);
    chunk.set_data(whole + "!");
    sends(chunk);
    CHECK(refused() == error_code::data_loss);
  }
  SUBCASE("from a byte that nobody asked for") {
    sends(first_of(whole, 3, 100));
    CHECK(refused() == error_code::data_loss);
  }
  SUBCASE("more than may be") {
    wish.max_bytes = 8;
    sends(first_of(whole, 0, 100));
    CHECK(refused() == error_code::resource_exhausted);
  }
  SUBCASE("a negative size") {
    auto chunk = first_of(whole, 0, 100);
    chunk.mutable_head()->set_size_bytes(-1);
    sends(chunk);
    CHECK(refused() == error_code::resource_exhausted);
  }
}

TEST_CASE_FIXTURE(fixture, "a cancelled attempt leaves a call that hangs at once") {
  sends(first_of(whole, 0, 3), true);
  std::thread canceller([&] {
    std::this_thread::sleep_for(50ms);
    cancelled.request_stop();
  });
  CHECK(refused() == error_code::cancelled);
  canceller.join();
}

TEST_CASE_FIXTURE(fixture, "a put that is never answered is given up") {
  const put_parcel parcel{content_kind::pack, {"w", "a", 1}, sha256_hex(whole), whole};
  const auto put = client->put(parcel, 0, watch);
  REQUIRE_FALSE(put);
  CHECK(put.error().code() == error_code::unavailable);
  CHECK(put.error().message().find("nothing moved") != std::string::npos);
}

}  // namespace
}  // namespace germline::worker
