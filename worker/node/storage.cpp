#include "worker/node/storage.hpp"

#include "common/disk.hpp"
#include "common/log.hpp"
#include "common/spool.hpp"
#include "common/text/units.hpp"

namespace germline::worker {
namespace {

/// Empty: it can be.
std::string why_not_written(const std::string& folder) {
  auto trial = spool::make(folder);
  const auto written = trial ? trial->append("x") : result<void>(trial.error());
  return written ? "" : "its disk cannot be written: " + written.error().message();
}

}  // namespace

std::string storage::trouble() {
  const std::lock_guard lock(mutex_);
  auto left = free_bytes_on(folder_);
  if (left < room_bytes_) {
    drop_();
    left = free_bytes_on(folder_);
  }
  const auto why = left < room_bytes_ ? "its disk (" + folder_ + ") has " + rough_size(left) +
                                            " left; it needs " + rough_size(room_bytes_)
                                      : why_not_written(folder_);
  if (why.empty() != told_.empty()) {  // not each time that a number changes
    if (why.empty()) {
      log_info("its disk is as it should be again; this worker takes leases");
    } else {
      log_error("this worker takes no lease: {}", why);
    }
  }
  told_ = why;
  return why;
}

std::string storage::trouble_behind(const error& failure) {
  auto lasting = trouble();
  if (!lasting.empty()) return lasting;
  const auto code = failure.code();
  const bool may_be = code == error_code::internal || code == error_code::resource_exhausted;
  return may_be && names_disk_fault(failure.message()) ? failure.message() : "";
}

}  // namespace germline::worker
