// transport: the seam through which an attempt moves git objects and artefacts. fleet_client is
// the real one. Blocking, bounded; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/spool.hpp"

namespace germline::worker {

/// Names the attempt that a transfer belongs to.
struct put_ticket {
  std::string worker_id;
  std::string attempt_id;
  std::int64_t fence = 0;
};

class transport {
 public:
  virtual ~transport() = default;
  /// Appends a pack with all that is reachable from `want` to `into`.
  virtual result<void> fetch_objects(const std::string& worker_id,
                                     const std::vector<std::string>& want, std::int64_t max_bytes,
                                     spool& into) = 0;
  /// Appends the artefact's tar to `into`.
  virtual result<void> fetch_artefact(const std::string& worker_id, const std::string& artefact_id,
                                      std::int64_t max_bytes, spool& into) = 0;
  virtual result<void> put_objects(const put_ticket& ticket, const std::string& pack) = 0;
  /// Returns the artefact id that the coordinator computed.
  virtual result<std::string> put_artefact(const put_ticket& ticket, std::string_view tar) = 0;
};

}  // namespace germline::worker
