#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"
#include "common/config/run_file.hpp"
#include "common/config/toml_values.hpp"

namespace germline::cli {
namespace {

result<v1::TestPolicyRequest> request_of(const policy_options& options) {
  v1::TestPolicyRequest request;
  request.set_target(options.target);
  for (const auto& rule : options.rules) request.add_policy(rule);
  if (options.file.empty()) return request;
  GERMLINE_TRY_ASSIGN(const auto text, read_small_file(options.file));
  GERMLINE_TRY_ASSIGN(const auto run, parse_run_file(text, options.file));
  if (run.policy.empty()) {
    return error(error_code::invalid_argument,
                 options.file + " has no rules: give it policy = [...] in [run]");
  }
  for (const auto& rule : run.policy) request.add_policy(rule);
  return request;
}

}  // namespace

exit_code run_policy_test(const session& with, const policy_options& options) {
  const auto request = request_of(options);
  if (!request) return with.fail(request.error());
  control_client client(with.settings, *with.time);
  const auto reply = client.test_policy(*request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : render_policy_test(*reply, with.how));
  return exit_code::done;
}

}  // namespace germline::cli
