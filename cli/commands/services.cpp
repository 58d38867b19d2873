#include "cli/commands/services.hpp"

#include <grpc/support/log.h>
#include <unistd.h>

#include "cli/up/up.hpp"
#include "common/clock.hpp"
#include "common/line_limit.hpp"
#include "common/log.hpp"
#include "common/text/tags.hpp"
#include "coordinator/service.hpp"
#include "worker/node/service.hpp"

namespace germline::cli {
namespace {

/// With the service's own lines. Whoever reaches the port can cause them.
void log_of_grpc(gpr_log_func_args* given) {
  if (given->severity != GPR_LOG_SEVERITY_ERROR) return;
  static const system_clock_source time;
  static line_limit limit;
  if (const auto more = limit.take(time.boot_ms())) log_error("gRPC: {}{}", given->message, *more);
}

/// A listener of gRPC 1.51 that once failed to accept, for want of descriptors, accepts nobody ever
/// after, and says no more than this line. A coordinator that stands and answers nobody is worse
/// than one that ends, which its supervisor starts again.
void log_of_grpc_that_listens(gpr_log_func_args* given) {
  log_of_grpc(given);
  if (!std::string_view(given->message).starts_with("Failed accept4")) return;
  log_error("nobody is accepted any more; this coordinator ends, to be started again");
  ::_exit(1);
}

exit_code conclude(const session& with, const result<int>& ended) {
  if (!ended) return with.fail(ended.error());
  return *ended == 0 ? exit_code::done : exit_code::failed;
}

}  // namespace

exit_code run_coordinator_command(const session& with) {
  init_logging("coordinator");
  gpr_set_log_function(&log_of_grpc_that_listens);
  coordinator_config config;
  config.listen_address = with.coordinator();
  config.state_dir = with.settings.get("state_dir");
  config.tls_listen = with.settings.get("tls_listen");
  config.tls_dir = with.settings.get("tls_dir");
  config.pki_dir = with.settings.get("pki_dir");
  config.fleet_budget = {with.settings.get("fleet_budget"), with.settings.get("fleet_token_budget"),
                         with.settings.get("fleet_request_budget")};
  config.times.kill_wait_ms = with.settings.get_int("kill_wait_s") * 1'000;
  return conclude(with, run_coordinator(config));
}

exit_code run_worker_judged_by(const session& with, const worker::validator_seam& seam) {
  init_logging("worker");
  gpr_set_log_function(&log_of_grpc);
  const auto uids = uids_of(with.settings);
  worker::worker_config config;
  config.coordinator = with.coordinator();
  config.join_token = with.settings.get("worker.join_token");
  config.tls_dir = with.settings.get("tls_dir");
  config.state_dir = with.settings.get("state_dir");
  config.slots = static_cast<int>(with.settings.get_int("worker.slots"));
  if (auto tags = parse_tags(with.settings.get("worker.tags")); tags) {  // checked when loaded
    config.tags = std::move(*tags);
  }
  config.gateway_config = with.settings.get("worker.gateway_config");
  config.mirrors = with.settings.get("worker.mirrors");
  config.mirrors_config = with.settings.get("worker.mirrors_config");
  config.libexec_dir = with.settings.get("libexec_dir");
  config.node_uid = uids.node;
  config.gateway_uid = uids.gateway;
  config.mirror_uid = uids.mirror;
  config.services_gid = uids.group;
  config.socket_gid = static_cast<std::uint32_t>(with.settings.get_int("worker.socket_group"));
  config.sandbox_uid_base = static_cast<std::uint32_t>(with.settings.get_int("uid_base"));
  return conclude(with, run_worker_with_validator(config, seam));
}

}  // namespace germline::cli
