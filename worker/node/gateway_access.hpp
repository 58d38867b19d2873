// gateway_access: model_access by the gateway process. Events and usage that the gateway reports
// go to the sink as progress of their attempt. Thread-safe; see gateway_client for what blocks.
#pragma once

#include <memory>
#include <string>

#include "common/clock.hpp"
#include "worker/gateway/client.hpp"
#include "worker/node/model_access.hpp"
#include "worker/node/node_actor.hpp"

namespace germline::worker {

class gateway_access final : public model_access {
 public:
  /// Starts the gateway.
  static result<std::unique_ptr<gateway_access>> start(gateway_spec spec, const clock& time);

  /// Where progress goes; progress that comes before is dropped. Set once.
  void report_to(progress_sink sink);
  /// Of the gateway process; it may have ended.
  pid_t pid() const { return client_->pid(); }

  result<void> open(const model_grant& grant, unique_fd listener) override;
  result<void> renew(const std::string& attempt_id, std::int64_t deadline_boot_ms) override;
  result<model_account> close(const std::string& attempt_id) override;

 private:
  explicit gateway_access(const clock& time) : time_(time) {}
  void on_event(const std::string& attempt_id, const std::string& event_json);
  void on_usage(const std::string& attempt_id, const gateway_usage& usage,
                const std::string& problem);
  void report(v1::AttemptProgress progress);

  const clock& time_;
  std::mutex mutex_;
  progress_sink sink_;
  std::unique_ptr<gateway_client> client_;  // last: its thread calls the above
};

}  // namespace germline::worker
