#include "worker/node/storage.hpp"

#include <chrono>

#include "common/disk.hpp"
#include "common/log.hpp"
#include "common/spool.hpp"
#include "common/text/units.hpp"

namespace germline::worker {
namespace {

const system_clock_source system_time;

/// Empty: it can be.
std::string why_not_written(const std::string& folder) {
  auto trial = spool::make(folder);
  const auto written = trial ? trial->append("x") : result<void>(trial.error());
  return written ? "" : "its disk cannot be written: " + written.error().message();
}

}  // namespace

storage::storage(std::string folder, std::int64_t room_bytes, std::function<void()> drop)
    : storage(std::move(folder), room_bytes, std::move(drop), system_time) {}

storage::storage(std::string folder, std::int64_t room_bytes, std::function<void()> drop,
                 const clock& time, std::int64_t every_ms)
    : folder_(std::move(folder)),
      room_bytes_(room_bytes),
      drop_(std::move(drop)),
      time_(time),
      every_ms_(every_ms) {
  look();
  thread_ = std::thread([this] { keep_looking(); });
}

storage::~storage() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void storage::keep_looking() {
  std::unique_lock lock(mutex_);
  const std::chrono::milliseconds pause(every_ms_);
  while (!changed_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

std::string storage::trouble() const {
  const std::lock_guard lock(mutex_);
  const bool hangs = began_boot_ms_ && time_.boot_ms() - *began_boot_ms_ > answer_limit_ms;
  return hangs ? "its disk (" + folder_ + ") does not answer" : told_;
}

std::string storage::look() {
  const std::lock_guard turn(looking_);
  {
    const std::lock_guard lock(mutex_);
    began_boot_ms_ = time_.boot_ms();
  }
  auto left = free_bytes_on(folder_);
  if (left < room_bytes_) {
    drop_();
    left = free_bytes_on(folder_);
  }
  const auto why = left < room_bytes_ ? "its disk (" + folder_ + ") has " + rough_size(left) +
                                            " left; it needs " + rough_size(room_bytes_)
                                      : why_not_written(folder_);
  const std::lock_guard lock(mutex_);
  began_boot_ms_.reset();
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
  auto lasting = look();
  if (!lasting.empty()) return lasting;
  const auto code = failure.code();
  const bool may_be = code == error_code::internal || code == error_code::resource_exhausted;
  return may_be && names_disk_fault(failure.message()) ? failure.message() : "";
}

}  // namespace germline::worker
