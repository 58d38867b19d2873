// model_session: one attempt's way to a model, from opening to its end. Keeps two promises that an
// attempt's proof rests on: the gateway's deadline is never later than the attempt's lease or its
// sandbox's wall time; and when close() has returned, no request of the attempt is under way and
// none can start. It is not the gateway and meters nothing.
// open() and close() belong to the attempt's thread; renew() may come from any.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "common/clock.hpp"
#include "worker/node/model_access.hpp"

namespace germline::worker {

class model_session {
 public:
  /// `models` may be null: then open() is refused. REQUIRES that both outlive the session.
  model_session(model_access* models, const clock& time, std::string attempt_id,
                std::int64_t lease_until_boot_ms);

  /// Opens the gateway until the earlier of `wall_until_boot_ms` and the lease. The grant's
  /// attempt and deadline are set here.
  result<void> open(model_grant grant, unique_fd listener, std::int64_t wall_until_boot_ms);
  /// The lease stands until this time. Remembered where the session is not open yet.
  void renew(std::int64_t lease_until_boot_ms);
  /// Ends it and returns what was used, nothing where it was never open. A gateway that does not
  /// answer is asked again until it does, is gone, or the deadline has passed, which it keeps by
  /// itself; then the usage is not known: an error.
  result<model_account> close();

 private:
  std::int64_t deadline() const;

  model_access* models_;
  const clock& time_;
  std::string attempt_id_;
  std::mutex mutex_;
  bool open_ = false;
  std::int64_t lease_until_boot_ms_;
  std::int64_t wall_until_boot_ms_ = 0;
};

}  // namespace germline::worker
