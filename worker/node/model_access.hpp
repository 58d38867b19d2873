// model_access: the seam through which an attempt gets a model: a listening socket inside its
// sandbox is handed to the gateway, which meters and bounds what is sent. Blocking; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "germline/v1/types.pb.h"
#include "worker/gateway/control.hpp"

namespace germline::worker {

struct model_grant {
  std::string attempt_id;
  std::string token;  // for this attempt only
  std::string model;
  v1::IterationLimits limits;
  std::optional<replay_wish> replay = std::nullopt;  // no model is asked
  std::int64_t deadline_boot_ms = 0;
};

/// What an attempt used, and what stood in the way of its newest request.
struct model_account {
  v1::Usage usage;
  model_obstacle obstacle;
};

class model_access {
 public:
  virtual ~model_access() = default;
  virtual result<void> open(const model_grant& grant, unique_fd listener) = 0;
  virtual result<void> renew(const std::string& attempt_id, std::int64_t deadline_boot_ms) = 0;
  /// Cuts what runs, closes the listener, and returns what was used.
  virtual result<model_account> close(const std::string& attempt_id) = 0;
};

}  // namespace germline::worker
