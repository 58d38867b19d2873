#include "worker/node/artefact_cache.hpp"

#include "common/log.hpp"

namespace germline::worker {

artefact_pin::~artefact_pin() {
  if (owner_ != nullptr) owner_->release(id_);
}

result<std::string> artefact_pin::tree_path() const {
  GERMLINE_ASSERT(owner_ != nullptr);
  return owner_->store_.tree_path(id_);
}

void artefact_pin::keep() {
  if (owner_ != nullptr) owner_->keep(id_);
}

artefact_pin artefact_cache::pin(const std::string& id) {
  auto [at, fresh] = used_.try_emplace(id);
  // What was here before anybody used it is some generation's: it was kept, or this is a new life.
  if (fresh) at->second.kept = store_.contains(id);
  ++at->second.pins;
  return {*this, id};
}

result<artefact_pin> artefact_cache::use(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (!store_.contains(id)) {
    return error(error_code::not_found, "no artefact '" + id + "' is stored");
  }
  auto held = pin(id);
  used_.at(id).kept = true;
  return held;
}

result<artefact_pin> artefact_cache::seal(const std::vector<artefact::file>& files) {
  GERMLINE_TRY_ASSIGN(const auto sealed, store_.seal_files(files));
  const auto id = artefact::artefact_id(sealed);
  // Pinned before it is stored, so that nobody who has the same content takes it away meanwhile.
  auto held = [&] {
    const std::lock_guard lock(mutex_);
    return pin(id);
  }();
  GERMLINE_TRY(store_.put(files, sealed));
  return held;
}

void artefact_cache::keep(const std::string& id) {
  const std::lock_guard lock(mutex_);
  used_.at(id).kept = true;
}

void artefact_cache::release(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto at = used_.find(id);
  if (--at->second.pins > 0) return;
  const bool kept = at->second.kept;
  used_.erase(at);
  if (kept) {
    store_.touch(id);
    trim(kept_bytes_);
  } else if (store_.contains(id)) {
    if (const auto gone = store_.remove(id); !gone) log_error("{}", gone.error().message());
  }
}

void artefact_cache::clear() {
  const std::lock_guard lock(mutex_);
  trim(0);
}

void artefact_cache::trim(std::int64_t most_bytes) {
  const auto stored = store_.list_by_use();
  std::int64_t bytes = 0;
  for (const auto& each : stored) {  // the newest first
    if (used_.contains(each.id)) continue;
    bytes += each.bytes;
    if (bytes <= most_bytes) continue;
    if (const auto gone = store_.remove(each.id); !gone) log_error("{}", gone.error().message());
  }
}

}  // namespace germline::worker
