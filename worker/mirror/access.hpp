// mirror_access: the seam through which a fetch of dependencies gets its mirrors: a listening
// socket inside its sandbox is handed to germline-mirror, which bounds what is asked and what
// comes. Blocking; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/mirror/control.hpp"

namespace germline::worker {

struct mirror_grant {
  std::string id;                    // of the fetch, and of no other that is open
  std::vector<std::string> mirrors;  // names
  mirror_limits limits;
  std::int64_t deadline_boot_ms = 0;
};

class mirror_access {
 public:
  virtual ~mirror_access() = default;
  /// Whether there is a mirror of that name.
  virtual bool has(const std::string& mirror) const = 0;
  /// Serves the fetch from now until close() or its deadline.
  virtual result<void> open(mirror_grant grant, unique_fd listener) = 0;
  virtual result<void> renew(const std::string& id, std::int64_t deadline_boot_ms) = 0;
  /// Cuts what runs and closes the listener. When this returns nothing of the fetch is under way
  /// and nothing will start.
  virtual result<mirror_account> close(const std::string& id) = 0;
};

}  // namespace germline::worker
