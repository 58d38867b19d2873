#include "coordinator/api/bulk_transfers.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "common/artefact/artefact_store.hpp"
#include "common/artefact/tar.hpp"
#include "common/hash.hpp"
#include "common/ids.hpp"
#include "coordinator/api/gate.hpp"
#include "coordinator/durable_file.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {
namespace {

using transfers::content_kind;

constexpr std::size_t max_chunk_bytes = 1 << 20;
/// Small, so that a slow link is seen to move.
constexpr std::size_t sent_chunk_bytes = 64 << 10;
constexpr std::int64_t max_pack_bytes = 256 << 20;
constexpr std::int64_t max_artefact_bytes = 512 << 20;
constexpr int max_wanted = 64;
constexpr std::chrono::seconds sweep_interval{10};

error cut_off() {
  return {error_code::cancelled, "the worker went away"};
}

template <class Strings>
std::vector<std::string> in_order(const Strings& given) {
  std::vector<std::string> list(given.begin(), given.end());
  std::ranges::sort(list);
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

}  // namespace

bulk_transfers::bulk_transfers(const clock& time, record_reader& reader, refs::git_refs& repository,
                               refs::repository_places places)
    : reader_(reader),
      repository_(repository),
      places_(std::move(places)),
      outgoing_(places_.artefacts, time),
      arriving_(places_.artefacts, time),
      calls_(time),
      sweeper_([this] { sweep_loop(); }) {}

bulk_transfers::~bulk_transfers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  sweeper_.join();
}

void bulk_transfers::sweep_loop() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, sweep_interval, [this] { return stopping_; })) {
    lock.unlock();
    calls_.sweep();
    outgoing_.sweep();
    arriving_.sweep([this](const transfers::parcel_name& name) {
      const auto holds = reader_.holds_fence(name.attempt_id, name.fence, name.worker_id);
      return !holds || *holds;  // what the record cannot say now is asked again
    });
    lock.lock();
  }
}

result<void> bulk_transfers::send(grpc::ServerContext& context, chunk_writer& stream,
                                  const sending& what) {
  const auto bytes = what.all.bytes;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const bool goes_on =
      what.offset > 0 && what.offset <= size && what.asked_sha256 == what.all.sha256;
  auto at = goes_on ? static_cast<std::size_t>(what.offset) : 0;
  v1::Chunk chunk;
  auto* head = chunk.mutable_head();
  head->set_sha256(what.all.sha256);
  head->set_size_bytes(size);
  head->set_offset(static_cast<std::int64_t>(at));
  head->set_base(what.base);
  auto watch = calls_.begin([&context] { context.TryCancel(); });
  do {
    chunk.set_data(std::string(bytes.substr(at, sent_chunk_bytes)));
    if (!stream.Write(chunk)) return cut_off();
    watch.moved();
    at += chunk.data().size();
    chunk.clear_head();
  } while (at < bytes.size());
  return {};
}

result<void> bulk_transfers::fetch_objects(grpc::ServerContext& context,
                                           const v1::FetchObjectsRequest& request,
                                           chunk_writer& stream) {
  if (request.want_size() == 0 || request.want_size() > max_wanted ||
      request.have_size() > max_wanted) {
    return error(error_code::invalid_argument,
                 "1 to 64 commits may be wanted, and at most 64 named as there");
  }
  const auto want = in_order(request.want());
  // One of what the worker has is enough: the newest that the wanted commits stand on. Of other
  // lineages nothing counts: by that no worker could tell what a pack is complete with.
  GERMLINE_TRY_ASSIGN(const auto reached,
                      repository_.reached_among(want, in_order(request.have())));
  const auto base = reached.empty() ? std::string() : reached.front();
  const auto have = base.empty() ? std::vector<std::string>() : std::vector<std::string>{base};
  std::string key = "objects";
  for (const auto& id : want) key += " " + id;
  key += " ^" + base;
  GERMLINE_TRY_ASSIGN(const auto pack,
                      outgoing_.get(key, [&](const transfers::outgoing::sink& into) {
                        return repository_.write_pack(want, have, into);
                      }));
  return send(context, stream, {*pack, base, request.offset(), request.sha256()});
}

result<void> bulk_transfers::fetch_artefact(grpc::ServerContext& context,
                                            const v1::FetchArtefactRequest& request,
                                            chunk_writer& stream) {
  const auto& id = request.artefact_id();
  if (!is_sha256(id)) {
    return error(error_code::invalid_argument, "an artefact's id is a SHA-256, 64 hex digits");
  }
  GERMLINE_TRY_ASSIGN(const bool may, reader_.may_fetch(id, request.worker_id()));
  if (!may) {
    return error(error_code::permission_denied,
                 "held-out files are for a worker that has an evaluation of their run leased");
  }
  GERMLINE_TRY_ASSIGN(
      const auto tar,
      outgoing_.get("artefact " + id, [&](const transfers::outgoing::sink& into) -> result<void> {
        GERMLINE_TRY_ASSIGN(const auto artefacts,
                            artefact::artefact_store::open(places_.artefacts));
        return artefacts.write_tar(id, into);
      }));
  return send(context, stream, {*tar, "", request.offset(), request.sha256()});
}

result<transfers::parcel_name> bulk_transfers::admit(const v1::PutHeader& header,
                                                     content_kind kind) {
  const auto max_bytes = kind == content_kind::pack ? max_pack_bytes : max_artefact_bytes;
  if (header.size_bytes() < 0 || header.size_bytes() > max_bytes) {
    return error(error_code::resource_exhausted,
                 "at most " + std::to_string(max_bytes) + " bytes are taken");
  }
  if (!is_sha256(header.sha256())) {
    return error(error_code::invalid_argument, "the header's sha256 is not 64 hex digits");
  }
  if (header.offset() < 0 || header.offset() > header.size_bytes()) {
    return error(error_code::invalid_argument, "the header's offset is not within the whole");
  }
  GERMLINE_TRY(attempt_id::parse(header.attempt_id()));
  GERMLINE_TRY_ASSIGN(const bool holds,
                      reader_.holds_fence(header.attempt_id(), header.fence(), header.worker_id()));
  if (!holds) {
    return error(error_code::failed_precondition, "this attempt no longer holds the lease");
  }
  return transfers::parcel_name{kind,           header.worker_id(), header.attempt_id(),
                                header.fence(), header.sha256(),    header.size_bytes()};
}

result<std::int64_t> bulk_transfers::put_offset(const v1::PutHeader& header) {
  // The header does not say the kind. Where the other kind is put, it is told that nothing is
  // there.
  GERMLINE_TRY_ASSIGN(auto name, admit(header, content_kind::artefact));
  const auto of_artefact = arriving_.bytes_of(name);
  name.kind = content_kind::pack;
  return std::max(of_artefact, arriving_.bytes_of(name));
}

result<std::string> bulk_transfers::put(grpc::ServerContext& context, put_reader& stream,
                                        content_kind kind) {
  v1::PutRequest request;
  auto watch = calls_.begin([&context] { context.TryCancel(); });
  if (!stream.Read(&request) || !request.has_header()) {
    return error(error_code::invalid_argument, "the first message must be the header");
  }
  GERMLINE_TRY(check_speaks_for(caller_of(context), request.header().worker_id()));
  GERMLINE_TRY_ASSIGN(const auto name, admit(request.header(), kind));
  GERMLINE_TRY_ASSIGN(auto parcel, arriving_.resume(name, request.header().offset()));
  if (auto answered = parcel.answered()) return std::move(*answered);
  while (stream.Read(&request)) {
    watch.moved();
    const auto& data = request.chunk().data();
    if (data.size() > max_chunk_bytes) {
      return error(error_code::resource_exhausted, "a chunk has at most 1 MiB");
    }
    GERMLINE_TRY(parcel.take(data));
  }
  watch.done();
  if (!parcel.complete() && context.IsCancelled()) return cut_off();  // it may go on
  GERMLINE_TRY_ASSIGN(const auto bytes, parcel.finish());
  GERMLINE_TRY_ASSIGN(const auto answer, store(name, bytes));
  parcel.settle(answer);
  return answer;
}

result<std::string> bulk_transfers::store(const transfers::parcel_name& name,
                                          std::string_view bytes) {
  if (name.kind == content_kind::pack) {
    GERMLINE_TRY(write_durably(refs::quarantined_pack(places_, name.attempt_id), bytes));
    return name.sha256;
  }
  GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
  GERMLINE_TRY_ASSIGN(const auto files, artefact::read_tar(bytes, {}, {}));
  return artefacts.put(files);
}

}  // namespace germline
