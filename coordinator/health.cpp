#include "coordinator/health.hpp"

#include <limits>

#include "common/disk.hpp"
#include "common/log.hpp"
#include "common/text/units.hpp"

namespace germline {
namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t lease_room_bytes = 32 * mib;  // a result, its objects and its artefact
constexpr std::int64_t write_room_bytes =
    1 * mib;  // below this a failed write needs no other cause

}  // namespace

health::health(std::string folder)
    : folder_(std::move(folder)), free_bytes_(std::numeric_limits<std::int64_t>::max()) {}

void health::look() {
  const auto free_bytes = free_bytes_on(folder_);
  const std::lock_guard lock(mutex_);
  free_bytes_ = free_bytes;
  const bool was_short = !disk_.empty();
  if (free_bytes >= lease_room_bytes) {
    disk_.clear();
    objects_.clear();  // whoever wanted to store them tries again, or is killed
    if (was_short) log_info("the disk of {} has room again; leases go on", folder_);
    return;
  }
  disk_ = "the disk of " + folder_ + " has " + std::to_string(free_bytes / mib) +
          " MiB left: nothing is leased before it has " + format_size_bytes(lease_room_bytes);
  if (!was_short) log_error("{}", disk_);
}

void health::note_record(const result<void>& outcome) {
  note(record_, "the record cannot be written", outcome);
}

void health::note_objects(const result<void>& outcome) {
  note(objects_, "objects cannot be stored", outcome);
}

void health::note(std::string& trouble, const std::string& what, const result<void>& outcome) {
  const std::lock_guard lock(mutex_);
  if (outcome) {
    if (!trouble.empty()) log_info("no more: {}", trouble);
    trouble.clear();
  } else if (outcome.error().code() == error_code::unavailable) {
    if (trouble.empty()) log_error("{}: {}; it is tried again", what, outcome.error().message());
    trouble = what + ": " + printable(outcome.error().message());
  }
}

bool health::record_is_well() const {
  const std::lock_guard lock(mutex_);
  return record_.empty();
}

error health::judged(const error& failure) const {
  const auto code = failure.code();
  if (code != error_code::internal && code != error_code::resource_exhausted) return failure;
  const bool full = code == error_code::internal && free_bytes_on(folder_) < write_room_bytes;
  if (!full && !names_disk_fault(failure.message())) return failure;
  return {error_code::unavailable, failure.message()};
}

std::vector<std::string> health::troubles() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& each : {disk_, record_, objects_}) {
    if (!each.empty()) all.push_back(each);
  }
  return all;
}

std::string health::why_no_leases() const {
  const std::lock_guard lock(mutex_);
  if (disk_.empty()) return "";
  return "room on the coordinator's disk, which has " + std::to_string(free_bytes_ / mib) +
         " MiB left";
}

}  // namespace germline
