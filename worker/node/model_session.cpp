#include "worker/node/model_session.hpp"

#include <algorithm>

#include "common/log.hpp"

namespace germline::worker {

model_session::model_session(model_access* models, const clock& time, std::string attempt_id,
                             std::int64_t lease_until_boot_ms)
    : models_(models),
      time_(time),
      attempt_id_(std::move(attempt_id)),
      lease_until_boot_ms_(lease_until_boot_ms) {}

std::int64_t model_session::deadline() const {
  return std::min(wall_until_boot_ms_, lease_until_boot_ms_);
}

result<void> model_session::open(model_grant grant, unique_fd listener,
                                 std::int64_t wall_until_boot_ms) {
  if (models_ == nullptr) {
    const std::string next = grant.replay ? "replay it again" : "germline resume";
    return error(error_code::failed_precondition,
                 "this worker has no gateway to ask a model: start `germline up` with "
                 "ANTHROPIC_API_KEY set, or with --gateway-config; then " +
                     next);
  }
  const std::scoped_lock lock(mutex_);
  wall_until_boot_ms_ = wall_until_boot_ms;
  grant.attempt_id = attempt_id_;
  grant.deadline_boot_ms = deadline();
  GERMLINE_TRY(models_->open(grant, std::move(listener)));
  open_ = true;
  return {};
}

void model_session::renew(std::int64_t lease_until_boot_ms) {
  const std::scoped_lock lock(mutex_);
  lease_until_boot_ms_ = std::max(lease_until_boot_ms_, lease_until_boot_ms);
  if (!open_) return;
  if (const auto renewed = models_->renew(attempt_id_, deadline()); !renewed) {
    log_warning("renewing {} at the gateway: {}", attempt_id_, renewed.error().message());
  }
}

result<model_account> model_session::close() {
  std::int64_t last_ms = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (!open_) return model_account();
    open_ = false;  // no renewal comes after this, so the deadline stands
    last_ms = deadline();
  }
  for (;;) {
    auto used = models_->close(attempt_id_);
    if (used || used.error().code() != error_code::deadline_exceeded) return used;
    log_error("ending {} at the gateway: {}", attempt_id_, used.error().message());
    if (time_.boot_ms() > last_ms) return used;
  }
}

}  // namespace germline::worker
