// outgoing: what workers fetch, on the disk and not in memory, and kept for a while: a transfer
// that was cut off goes on in the same bytes, and who asks for the same at the same time waits for
// one to be made. It does not send: the handlers do. Bounded in number, bytes and age; what is
// being sent stays until it was, beyond the bounds. Owns the files. Any thread; calls block on the
// disk.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "common/spool.hpp"
#include "coordinator/transfers/bounds.hpp"

namespace germline::transfers {

/// All of one thing.
struct whole {
  std::string sha256;
  std::string_view bytes;  // of the spool
  spool held;
};
/// Shared by those who send it and by who keeps it.
using whole_ptr = std::shared_ptr<const whole>;

class outgoing {
 public:
  using sink = std::function<result<void>(std::string_view)>;
  /// Writes all of it.
  using maker = std::function<result<void>(const sink&)>;

  /// Files are made in `directory`. REQUIRES that `time` outlives this.
  outgoing(std::string directory, const clock& time, keeping bounds = {})
      : directory_(std::move(directory)), time_(time), bounds_(bounds) {}
  outgoing(const outgoing&) = delete;
  outgoing& operator=(const outgoing&) = delete;

  /// What is kept under the key, or what `make` writes now. A failure is not kept.
  result<whole_ptr> get(const std::string& key, const maker& make);
  /// Drops what was not used for long.
  void sweep();

 private:
  struct entry {
    whole_ptr made;  // none: somebody makes it
    std::int64_t used_ms = 0;
  };
  result<whole_ptr> write(const maker& make) const;
  void trim();

  const std::string directory_;
  const clock& time_;
  const keeping bounds_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, entry> kept_;
};

}  // namespace germline::transfers
