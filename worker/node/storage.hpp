// storage: whether a worker's own disk lets it work, which it says with every heartbeat: one that
// is full or cannot be written would use up the attempts of every item that it is leased. Where
// room is short, what can be fetched again is dropped first. Any thread; calls block on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "common/result.hpp"

namespace germline::worker {

class storage {
 public:
  /// `folder` is the worker's own. `drop` drops what can be fetched again. REQUIRES that what it
  /// names outlives this.
  storage(std::string folder, std::int64_t room_bytes, std::function<void()> drop)
      : folder_(std::move(folder)), room_bytes_(room_bytes), drop_(std::move(drop)) {}

  /// What keeps this worker from taking leases, for people: "its disk (/var/lib/…) has 3 MiB left;
  /// it needs 64 MiB". Empty: nothing.
  std::string trouble();
  /// The same after an attempt failed: also where the failure is the disk's and is over already.
  std::string trouble_behind(const error& failure);

 private:
  const std::string folder_;
  const std::int64_t room_bytes_;
  const std::function<void()> drop_;
  std::mutex mutex_;
  std::string told_;  // the trouble that was logged last
};

}  // namespace germline::worker
