#include "coordinator/transfers/arriving.hpp"

#include <algorithm>
#include <vector>

#include "common/hash.hpp"
#include "common/spool.hpp"

namespace germline::transfers {

/// Its own mutex guards all of it but `used_ms` and `is_held`, which are the table's.
struct parcel::part {
  std::mutex mutex;
  spool bytes;
  sha256 sum;
  std::uint64_t stream = 0;       // the newest; what an older one brings is not taken
  std::uint64_t finished_by = 0;  // the stream that found it whole
  bool dropped = false;
  std::optional<std::string> answer;

  std::int64_t used_ms = 0;
  bool is_held = false;
};

parcel::parcel(arriving& owner, parcel_name name, std::shared_ptr<part> held, std::int64_t skip)
    : owner_(&owner),
      name_(std::move(name)),
      part_(std::move(held)),
      stream_(part_->stream),
      skip_(skip) {}

parcel::parcel(parcel&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      name_(std::move(other.name_)),
      part_(std::move(other.part_)),
      stream_(other.stream_),
      skip_(other.skip_) {}

parcel::~parcel() {
  if (owner_ != nullptr) owner_->let_go(name_, part_, stream_);
}

std::optional<std::string> parcel::answered() const {
  const std::lock_guard lock(part_->mutex);
  return part_->answer;
}

result<void> parcel::take(std::string_view bytes) {
  const auto over = std::min<std::int64_t>(skip_, static_cast<std::int64_t>(bytes.size()));
  skip_ -= over;
  bytes.remove_prefix(static_cast<std::size_t>(over));
  const std::lock_guard lock(part_->mutex);
  if (part_->dropped) return error(error_code::cancelled, "what was put is no longer wanted");
  if (part_->stream != stream_) {
    return error(error_code::cancelled, "another stream brings the same");
  }
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (part_->bytes.size() + size > name_.size_bytes) {
    return error(error_code::resource_exhausted, "more bytes came than the header declares");
  }
  part_->sum.update(bytes);
  return part_->bytes.append(bytes);
}

bool parcel::complete() const {
  const std::lock_guard lock(part_->mutex);
  return part_->bytes.size() == name_.size_bytes;
}

result<std::string_view> parcel::finish() {
  const auto checked = [&]() -> result<std::string_view> {
    const std::lock_guard lock(part_->mutex);
    if (part_->dropped || part_->stream != stream_) {
      return error(error_code::cancelled, "another stream brings the same");
    }
    if (part_->finished_by != 0) {
      return error(error_code::unavailable, "all of it is here, and it is being stored");
    }
    if (part_->bytes.size() != name_.size_bytes || part_->sum.finish_hex() != name_.sha256) {
      return error(error_code::data_loss, "size or SHA-256 is not what the header declares");
    }
    part_->finished_by = stream_;
    return part_->bytes.view();
  }();
  if (!checked && checked.error().code() == error_code::data_loss) drop();
  return checked;
}

void parcel::settle(const std::string& answer) {
  const std::lock_guard lock(part_->mutex);
  part_->answer = answer;
  part_->bytes = spool();
}

void parcel::drop() {
  owner_->forget(name_, part_);
}

std::int64_t arriving::bytes_of(const parcel_name& name) {
  const auto held = [&]() -> std::shared_ptr<parcel::part> {
    const std::lock_guard lock(mutex_);
    const auto at = parts_.find(name);
    if (at == parts_.end()) return nullptr;
    at->second->used_ms = time_.boot_ms();
    return at->second;
  }();
  if (!held) return 0;
  const std::lock_guard lock(held->mutex);
  return held->answer ? name.size_bytes : held->bytes.size();
}

result<parcel> arriving::resume(const parcel_name& name, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  auto& held = parts_[name];
  if (!held) {
    auto fresh = std::make_shared<parcel::part>();
    auto file = spool::make(directory_);
    if (!file || offset > 0) {
      parts_.erase(name);
      if (!file) return file.error();
      return error(error_code::not_found,
                   "of what was put before nothing is kept; it must come"
                   " from its first byte on");
    }
    fresh->bytes = std::move(*file);
    held = std::move(fresh);
  }
  held->used_ms = time_.boot_ms();
  trim(name);
  const std::lock_guard part_lock(held->mutex);
  const auto here = held->answer ? name.size_bytes : held->bytes.size();
  if (offset > here) {
    return error(error_code::not_found, "only " + std::to_string(here) +
                                            " bytes of it are here, not " + std::to_string(offset));
  }
  held->is_held = true;
  ++held->stream;
  return parcel(*this, name, held, here - offset);
}

void arriving::let_go(const parcel_name& name, const std::shared_ptr<parcel::part>& held,
                      std::uint64_t stream) {
  const std::lock_guard lock(mutex_);
  const auto at = parts_.find(name);
  if (at == parts_.end() || at->second != held) return;
  const std::lock_guard part_lock(held->mutex);
  if (held->finished_by == stream && !held->answer) {
    held->dropped = true;
    parts_.erase(at);
    return;
  }
  if (held->stream != stream) return;
  held->is_held = false;
  held->used_ms = time_.boot_ms();
}

void arriving::forget(const parcel_name& name, const std::shared_ptr<parcel::part>& held) {
  const std::lock_guard lock(mutex_);
  const auto at = parts_.find(name);
  if (at != parts_.end() && at->second == held) parts_.erase(at);
  const std::lock_guard part_lock(held->mutex);
  held->dropped = true;
}

void arriving::sweep(const std::function<bool(const parcel_name&)>& may_put) {
  std::vector<parcel_name> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, held] : parts_) names.push_back(name);
  }
  std::erase_if(names, may_put);  // asks the record, so without the lock
  const std::lock_guard lock(mutex_);
  const auto now_ms = time_.boot_ms();
  std::erase_if(parts_, [&](const auto& each) {
    const auto& [name, held] = each;
    const bool idle = !held->is_held && now_ms - held->used_ms > bounds_.idle_ms;
    const bool over = std::ranges::find(names, name) != names.end();
    if (!idle && !over) return false;
    const std::lock_guard part_lock(held->mutex);
    held->dropped = true;
    return true;
  });
}

void arriving::trim(const parcel_name& but) {
  std::vector<std::pair<std::int64_t, parcel_name>> waiting;
  for (const auto& [name, held] : parts_) {
    if (!held->is_held && name != but) waiting.emplace_back(held->used_ms, name);
  }
  std::ranges::sort(waiting, std::greater());
  std::size_t count = 0;
  std::int64_t bytes = 0;
  for (const auto& [used_ms, name] : waiting) {  // the newest first
    const auto held = parts_.at(name);
    const std::lock_guard part_lock(held->mutex);
    bytes += held->bytes.size();
    if (++count <= bounds_.count && bytes <= bounds_.bytes) continue;
    held->dropped = true;
    parts_.erase(name);
  }
}

}  // namespace germline::transfers
