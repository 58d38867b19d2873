// bulk_transfers: the calls of fleet.proto that move git objects and artefacts: plain blocking
// handlers on the server's bounded threads, with bounds on every chunk and total, that go on where
// one before was cut off. Who may put is asked of the record; everybody may fetch. Owns what is
// kept of unfinished transfers, and a thread that drops what nobody came back for. gRPC calls it
// from threads of its own.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "coordinator/refs/git_refs.hpp"
#include "coordinator/transfers/arriving.hpp"
#include "coordinator/transfers/live_calls.hpp"
#include "coordinator/transfers/outgoing.hpp"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline {

class record_reader;

class bulk_transfers {
 public:
  /// REQUIRES that everything given outlives this.
  bulk_transfers(const clock& time, record_reader& reader, refs::git_refs& repository,
                 refs::repository_places places);
  ~bulk_transfers();
  bulk_transfers(const bulk_transfers&) = delete;
  bulk_transfers& operator=(const bulk_transfers&) = delete;

  using chunk_writer = grpc::ServerWriter<v1::Chunk>;
  using put_reader = grpc::ServerReader<v1::PutRequest>;

  result<void> fetch_objects(grpc::ServerContext& context, const v1::FetchObjectsRequest& request,
                             chunk_writer& stream);
  result<void> fetch_artefact(grpc::ServerContext& context, const v1::FetchArtefactRequest& request,
                              chunk_writer& stream);
  result<std::int64_t> put_offset(const v1::PutHeader& header);
  /// The answer: the pack's SHA-256, or the artefact's id.
  result<std::string> put(grpc::ServerContext& context, put_reader& stream,
                          transfers::content_kind kind);

 private:
  struct sending {
    const transfers::whole& all;
    std::string base;          // of a pack: what it stands on
    std::int64_t offset;       // how much of it the worker has,
    std::string asked_sha256;  // if it is still this
  };
  result<void> send(grpc::ServerContext& context, chunk_writer& stream, const sending& what);
  /// What a put is called, once it is known that it may be put.
  result<transfers::parcel_name> admit(const v1::PutHeader& header, transfers::content_kind kind);
  result<std::string> store(const transfers::parcel_name& name, std::string_view bytes);
  void sweep_loop();

  record_reader& reader_;
  refs::git_refs& repository_;
  const refs::repository_places places_;
  transfers::outgoing outgoing_;
  transfers::arriving arriving_;
  transfers::live_calls calls_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread sweeper_;
};

}  // namespace germline
