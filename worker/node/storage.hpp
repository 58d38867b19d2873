// storage: whether a worker's own disk lets it work, which it says with every heartbeat: one that
// is full or cannot be written would use up the attempts of every item that it is leased. Where
// room is short, what can be fetched again is dropped first. Owns a thread that looks every few
// seconds, so that nobody who asks waits for the disk. Any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace germline::worker {

class storage {
 public:
  static constexpr std::int64_t look_every_ms = 3'000;
  /// A disk that takes longer to answer is in trouble itself.
  static constexpr std::int64_t answer_limit_ms = 15'000;

  /// Looks once, and then again and again. `folder` is the worker's own. `drop` drops what can be
  /// fetched again; it is called by one thread at a time. REQUIRES that what it names, and `time`,
  /// outlive this.
  storage(std::string folder, std::int64_t room_bytes, std::function<void()> drop,
          const clock& time, std::int64_t every_ms = look_every_ms);
  /// By the system's clock.
  storage(std::string folder, std::int64_t room_bytes, std::function<void()> drop);
  /// Waits for a look that goes on.
  ~storage();
  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;

  /// What keeps this worker from taking leases, for people: "its disk (/var/lib/…) has 3 MiB left;
  /// it needs 64 MiB". Empty: nothing. As it was last seen; does not block.
  std::string trouble() const;
  /// The same after an attempt failed, looking anew: also where the failure is the disk's and is
  /// over already. Blocks on the disk.
  std::string trouble_behind(const error& failure);

 private:
  std::string look();
  void keep_looking();

  const std::string folder_;
  const std::int64_t room_bytes_;
  const std::function<void()> drop_;
  const clock& time_;
  const std::int64_t every_ms_;

  std::mutex looking_;        // held while the disk is asked
  mutable std::mutex mutex_;  // of what follows; never held while the disk is asked
  std::condition_variable changed_;
  std::string told_;                           // the trouble that was seen, and logged, last
  std::optional<std::int64_t> began_boot_ms_;  // of the look that goes on
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace germline::worker
