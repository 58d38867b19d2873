#include "worker/node/bulk_client.hpp"

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

namespace germline::worker {
namespace {

/// Small, so that a slow link is seen to move.
constexpr std::size_t chunk_bytes = 64 << 10;

/// Takes the head of what comes, which says where it goes on.
result<void> begin(const v1::TransferHead& head, std::int64_t max_bytes, arrival& so_far) {
  if (head.size_bytes() < 0 || head.size_bytes() > max_bytes) {
    return error(error_code::resource_exhausted, "it has " + std::to_string(head.size_bytes()) +
                                                     " bytes; at most " +
                                                     std::to_string(max_bytes) + " are taken");
  }
  const bool same = head.sha256() == so_far.sha256 && head.size_bytes() == so_far.size_bytes;
  if (same && head.offset() == so_far.bytes.size()) return {};
  if (head.offset() != 0) {
    return error(error_code::data_loss, "it begins at a byte that was not asked for");
  }
  GERMLINE_TRY(so_far.bytes.clear());
  so_far.sha256 = head.sha256();
  so_far.base = head.base();
  so_far.size_bytes = head.size_bytes();
  return {};
}

result<void> take(const v1::Chunk& chunk, bool first, std::int64_t max_bytes, arrival& so_far) {
  if (first && !chunk.has_head()) {
    return error(error_code::data_loss, "it begins without its head");
  }
  if (first) GERMLINE_TRY(begin(chunk.head(), max_bytes, so_far));
  const auto size = static_cast<std::int64_t>(chunk.data().size());
  if (so_far.bytes.size() + size > so_far.size_bytes) {
    return error(error_code::data_loss, "more bytes came than its head says");
  }
  return so_far.bytes.append(chunk.data());
}

/// Appends all chunks.
template <class Reader>
result<void> read_all(Reader& reader, grpc::ClientContext& context, call_guard& guard,
                      const fetch_wish& wish, arrival& so_far, transfer_watch& watch) {
  v1::Chunk chunk;
  for (bool first = true; reader.Read(&chunk); first = false) {
    guard.moved();
    watch.moved_bytes += static_cast<std::int64_t>(chunk.data().size());
    if (auto taken = take(chunk, first, wish.max_bytes, so_far); !taken) {
      context.TryCancel();
      reader.Finish();
      return taken;
    }
  }
  GERMLINE_TRY(guard.conclude(reader.Finish()));
  if (so_far.sha256.empty() || so_far.bytes.size() != so_far.size_bytes) {
    return error(error_code::data_loss, "it ended before its last byte");
  }
  return {};
}

v1::PutHeader header_of(const put_parcel& parcel, std::int64_t offset) {
  v1::PutHeader header;
  header.set_worker_id(parcel.ticket.worker_id);
  header.set_attempt_id(parcel.ticket.attempt_id);
  header.set_fence(parcel.ticket.fence);
  header.set_sha256(parcel.sha256);
  header.set_size_bytes(static_cast<std::int64_t>(parcel.bytes.size()));
  header.set_offset(offset);
  return header;
}

}  // namespace

bulk_client::bulk_client(const std::shared_ptr<grpc::Channel>& channel, patience limits)
    : stub_(v1::Fleet::NewStub(channel)), limits_(limits) {}

result<void> bulk_client::fetch(const fetch_wish& wish, arrival& so_far, transfer_watch& watch) {
  grpc::ClientContext context;
  call_guard guard(context, watch.cancelled, limits_);
  if (wish.kind == content_kind::artefact) {
    v1::FetchArtefactRequest request;
    request.set_worker_id(wish.worker_id);
    request.set_artefact_id(wish.artefact_id);
    request.set_offset(so_far.bytes.size());
    request.set_sha256(so_far.sha256);
    const auto reader = stub_->FetchArtefact(&context, request);
    return read_all(*reader, context, guard, wish, so_far, watch);
  }
  v1::FetchObjectsRequest request;
  request.set_worker_id(wish.worker_id);
  for (const auto& id : wish.want) request.add_want(id);
  for (const auto& id : wish.have) request.add_have(id);
  request.set_offset(so_far.bytes.size());
  request.set_sha256(so_far.sha256);
  const auto reader = stub_->FetchObjects(&context, request);
  return read_all(*reader, context, guard, wish, so_far, watch);
}

result<std::int64_t> bulk_client::put_offset(const put_parcel& parcel, transfer_watch& watch) {
  grpc::ClientContext context;
  call_guard guard(context, watch.cancelled, limits_);
  guard.moved();
  v1::PutOffset reply;
  GERMLINE_TRY(guard.conclude(stub_->GetPutOffset(&context, header_of(parcel, 0), &reply)));
  if (reply.offset() < 0 || reply.offset() > static_cast<std::int64_t>(parcel.bytes.size())) {
    return error(error_code::data_loss, "the coordinator says that it has more than there is");
  }
  return reply.offset();
}

result<std::string> bulk_client::put(const put_parcel& parcel, std::int64_t offset,
                                     transfer_watch& watch) {
  grpc::ClientContext context;
  call_guard guard(context, watch.cancelled, limits_);
  v1::PutReply reply;
  const auto writer = parcel.kind == content_kind::pack ? stub_->PutObjects(&context, &reply)
                                                        : stub_->PutArtefact(&context, &reply);
  v1::PutRequest request;
  *request.mutable_header() = header_of(parcel, offset);
  bool open = writer->Write(request);
  for (auto at = static_cast<std::size_t>(offset); open && at < parcel.bytes.size();
       at += chunk_bytes) {
    const auto piece = parcel.bytes.substr(at, chunk_bytes);
    request.mutable_chunk()->set_data(std::string(piece));
    open = writer->Write(request);
    if (open) watch.moved_bytes += static_cast<std::int64_t>(piece.size());
    guard.moved();
  }
  writer->WritesDone();
  guard.awaits_answer();
  GERMLINE_TRY(guard.conclude(writer->Finish()));
  return reply.id();
}

}  // namespace germline::worker
