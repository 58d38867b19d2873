// scripted_worker: for tests of the coordinator: a worker that does what the test says, over the
// real wire, and the little genome that such tests evolve. It runs nothing.
// One thread at a time, beside the reader that it owns.
#pragma once

#include <doctest/doctest.h>
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/artefact/tar.hpp"
#include "common/git/repository.hpp"
#include "common/hash.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline::testing {

inline constexpr const char* genome_toml = R"(schema = 1
[genome]
name = "tiny"
[agent]
build = "true"
artefact = ["agent"]
run = "agent"
result = "worktree"
model = "none"
)";

inline void shell(const std::string& command) {
  REQUIRE(::system(command.c_str()) == 0);
}

/// Makes a repository with the genome at its head.
inline void make_genome(const std::string& path) {
  shell("git init -q -b main " + path);
  std::ofstream(path + "/genome.toml") << genome_toml;
  std::ofstream(path + "/agent") << "#!/bin/sh\n";
  shell("cd " + path + " && git add -A && git -c user.name=u -c user.email=u@e commit -qm seed");
}

/// A channel with a connection of its own. By default gRPC gives a new channel the connection of an
/// older one to the same address, be it to a server that was killed a moment ago.
inline std::shared_ptr<grpc::Channel> connect_anew(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

/// A worker that does what the test says, over the real wire.
class scripted_worker {
 public:
  scripted_worker(const std::string& address, std::string id, std::vector<std::string> running = {},
                  const std::vector<std::string>& tags = {}, const std::string& place = "")
      : scripted_worker(connect_anew(address), std::move(id), std::move(running), tags, place) {}
  scripted_worker(std::shared_ptr<grpc::Channel> channel, std::string id,
                  std::vector<std::string> running = {}, const std::vector<std::string>& tags = {},
                  const std::string& place = "")
      : id_(std::move(id)),
        channel_(std::move(channel)),
        stub_(v1::Fleet::NewStub(channel_)),
        stream_(stub_->Join(&context_)) {
    v1::WorkerMessage message;
    auto* hello = message.mutable_hello();
    hello->set_worker_id(id_);
    hello->set_base_digest("base");
    hello->set_slots(4);
    hello->set_place(place);
    for (const auto& attempt : running) hello->add_running_attempts(attempt);
    for (const auto& tag : tags) hello->add_tags(tag);
    stream_->Write(message);
    reader_ = std::thread([this] {
      v1::CoordinatorMessage incoming;
      while (stream_->Read(&incoming)) {
        const std::lock_guard lock(mutex_);
        inbox_.push_back(incoming);
        arrived_.notify_all();
      }
    });
  }
  ~scripted_worker() { leave(); }

  void leave() {
    if (!reader_.joinable()) return;
    context_.TryCancel();
    reader_.join();
  }
  /// How the coordinator ended the stream; waits for it.
  grpc::Status ended() {
    if (reader_.joinable()) reader_.join();
    return stream_->Finish();
  }

  /// The next message of this kind; others before it are dropped.
  std::optional<v1::CoordinatorMessage> expect(v1::CoordinatorMessage::KindCase kind,
                                               int wait_ms = 30'000) {
    std::unique_lock lock(mutex_);
    std::optional<v1::CoordinatorMessage> found;
    arrived_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] {
      while (!inbox_.empty() && !found) {
        if (inbox_.front().kind_case() == kind) found = inbox_.front();
        inbox_.pop_front();
      }
      return found.has_value();
    });
    return found;
  }
  /// Whatever comes next.
  std::optional<v1::CoordinatorMessage> next(int wait_ms) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return !inbox_.empty(); });
    if (inbox_.empty()) return std::nullopt;
    auto message = std::move(inbox_.front());
    inbox_.pop_front();
    return message;
  }
  /// Waits for a lease, and is heard meanwhile, without naming any attempt.
  v1::Lease lease() {
    std::optional<v1::CoordinatorMessage> message;
    for (int waited_ms = 0; !message && waited_ms < 30'000; waited_ms += 200) {
      message = expect(v1::CoordinatorMessage::kLease, 200);
      if (!message) beat({});
    }
    REQUIRE(message);
    return message->lease();
  }

  void send(const v1::WorkerMessage& message) { REQUIRE(try_send(message)); }
  bool try_send(const v1::WorkerMessage& message) { return stream_->Write(message); }
  void beat(const std::vector<std::string>& attempts) {
    v1::WorkerMessage message;
    message.mutable_heartbeat()->set_sent_boot_ms(1);
    for (const auto& each : attempts) message.mutable_heartbeat()->add_attempts(each);
    send(message);
  }
  void cleaned(const std::string& attempt, const std::string& why = "") {
    v1::WorkerMessage message;
    message.mutable_cleaned()->set_attempt_id(attempt);
    message.mutable_cleaned()->set_why(why);
    send(message);
  }

  template <class Call>
  grpc::Status put(const v1::Lease& lease, const std::string& bytes, Call call, std::string& id) {
    grpc::ClientContext context;
    v1::PutReply reply;
    auto stream = call(*stub_, &context, &reply);
    v1::PutRequest request;
    auto* header = request.mutable_header();
    header->set_worker_id(id_);
    header->set_attempt_id(lease.attempt_id());
    header->set_fence(lease.fence());
    header->set_sha256(sha256_hex(bytes));
    header->set_size_bytes(static_cast<std::int64_t>(bytes.size()));
    stream->Write(request);
    request.mutable_chunk()->set_data(bytes);
    stream->Write(request);
    stream->WritesDone();
    const auto status = stream->Finish();
    id = reply.id();
    return status;
  }
  std::string put_artefact(const v1::Lease& lease, const std::string& content) {
    std::string tar;
    REQUIRE(artefact::write_tar({{"agent", true, content}},
                                [&](std::string_view bytes) -> result<void> {
                                  tar += bytes;
                                  return {};
                                }));
    std::string id;
    const auto status = put(
        lease, tar, [](auto& stub, auto* c, auto* r) { return stub.PutArtefact(c, r); }, id);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    return id;
  }
  grpc::Status put_objects(const v1::Lease& lease, const std::string& pack) {
    std::string id;
    return put(
        lease, pack, [](auto& stub, auto* c, auto* r) { return stub.PutObjects(c, r); }, id);
  }
  std::string fetch_objects(const std::string& want, const std::string& have = "") {
    grpc::ClientContext context;
    v1::FetchObjectsRequest request;
    request.set_worker_id(id_);
    request.add_want(want);
    if (!have.empty()) request.add_have(have);
    auto stream = stub_->FetchObjects(&context, request);
    v1::Chunk chunk;
    std::string bytes;
    while (stream->Read(&chunk)) bytes += chunk.data();
    REQUIRE(stream->Finish().ok());
    return bytes;
  }

  /// Sends a result and does not wait for the answer.
  void send_result(const v1::Lease& lease, v1::Ending ending, const std::string& commit,
                   const std::string& artefact, const std::string& raw_commit = "") {
    v1::WorkerMessage message;
    auto* result = message.mutable_result();
    result->set_attempt_id(lease.attempt_id());
    result->set_fence(lease.fence());
    result->set_ending(ending);
    result->set_commit(commit);
    result->set_raw_commit(raw_commit);
    result->set_artefact_id(artefact);
    result->set_source_id(source_id.empty() ? "src of " + lease.attempt_id() : source_id);
    result->set_build_id("bld");
    result->set_reason(ending == v1::ENDING_EVOLVED  ? ""
                       : ending == v1::ENDING_FAILED ? "crash"
                                                     : "test");
    result->set_action("did something");
    for (const auto& each : merged) result->add_merged(each);
    if (lease.kind() == v1::WORK_KIND_FOUND) result->add_protected_tests("holds");
    send(message);
  }
  v1::ResultReply report(const v1::Lease& lease, v1::Ending ending, const std::string& commit,
                         const std::string& artefact, const std::string& raw_commit = "") {
    send_result(lease, ending, commit, artefact, raw_commit);
    auto reply = expect(v1::CoordinatorMessage::kResultReply);
    REQUIRE(reply);
    return reply->result_reply();
  }

  std::string source_id;            // of its results; empty: of each another
  std::vector<std::string> merged;  // by its results

 private:
  std::string id_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Fleet::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>> stream_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<v1::CoordinatorMessage> inbox_;
  std::thread reader_;
};

/// A commit on the lease's parent, made in the repository at `path` as a worker would, and its
/// pack. `have`: a commit that is there, of the same lineage; empty: all is fetched.
inline std::string make_commit(const std::string& path, scripted_worker& worker,
                               const v1::Lease& lease, std::string& pack,
                               const std::string& more = {}, const std::string& have = {}) {
  auto repo = git::repository::init_bare(path);
  REQUIRE(repo);
  if (!repo->has_object(lease.parent_commit())) {
    REQUIRE(repo->ingest_pack(worker.fetch_objects(lease.parent_commit(), have), {}));
  }
  const auto tree_id = repo->replace_file(lease.parent_commit(), "agent",
                                          "#!/bin/sh\n# " + lease.attempt_id() + "\n" + more);
  REQUIRE(tree_id);
  const auto commit = repo->write_commit(
      {*tree_id, {lease.parent_commit()}, "worker", "w@e", "an iteration\n", 1'700'000'000});
  REQUIRE(commit);
  auto made = repo->make_pack({*commit}, {lease.parent_commit()});
  REQUIRE(made);
  pack = *made;
  return *commit;
}

}  // namespace germline::testing
