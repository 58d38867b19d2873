#include "worker/mirror/client.hpp"

#include <algorithm>

#include "worker/gateway/spawn.hpp"

namespace germline::worker {
namespace {

/// A renewal that is late is repeated by the next heartbeat.
constexpr std::chrono::milliseconds renew_timeout{500};

}  // namespace

result<std::unique_ptr<mirror_client>> mirror_client::start(const mirror_spec& spec) {
  GERMLINE_TRY_ASSIGN(auto control, make_control_pair());
  helper_spec helper;
  helper.binary = spec.binary;
  helper.arguments = {"--control-fd", "3", "--mirrors", to_json(spec.mirrors)};
  helper.descriptors = {control.theirs.get()};
  helper.uid = spec.uid;
  helper.gid = spec.gid;
  GERMLINE_TRY_ASSIGN(const auto pid, spawn_helper(helper));
  control.theirs.reset();
  std::unique_ptr<mirror_client> client(
      new mirror_client(pid, std::move(control.ours), spec.mirrors));
  // The first answer proves that it started: an unknown fetch is refused.
  auto answer = client->calls_.ask({}, -1, std::chrono::seconds(20));
  if (!answer) return answer.error().within("starting " + spec.binary);
  return client;
}

mirror_client::mirror_client(pid_t pid, unique_fd socket, std::vector<mirror_config> mirrors)
    : pid_(pid),
      mirrors_(std::move(mirrors)),
      calls_(std::move(socket), "mirror",
             {[](const std::string& packet) { return decode_mirror_message(packet); }, {}, {}}) {}

mirror_client::~mirror_client() {
  calls_.end();
  end_helper(pid_);
}

bool mirror_client::has(const std::string& mirror) const {
  return std::ranges::any_of(mirrors_, [&](const auto& one) { return one.name == mirror; });
}

result<void> mirror_client::open(mirror_grant grant, unique_fd listener) {
  mirror_message message;
  message.op = mirror_op::open;
  message.id = std::move(grant.id);
  message.mirrors = std::move(grant.mirrors);
  message.limits = grant.limits;
  message.deadline_boot_ms = grant.deadline_boot_ms;
  GERMLINE_TRY_ASSIGN(const auto answer,
                      calls_.ask(std::move(message), listener.get(), default_timeout));
  if (answer.op == mirror_op::done) return {};
  return error(error_code::invalid_argument, "the mirror refused: " + answer.message);
}

result<void> mirror_client::renew(const std::string& id, std::int64_t deadline_boot_ms) {
  mirror_message message;
  message.op = mirror_op::renew;
  message.id = id;
  message.deadline_boot_ms = deadline_boot_ms;
  GERMLINE_TRY_ASSIGN(const auto answer, calls_.ask(std::move(message), -1, renew_timeout));
  if (answer.op == mirror_op::done) return {};
  return error(error_code::failed_precondition, "the mirror refused: " + answer.message);
}

result<mirror_account> mirror_client::close(const std::string& id) {
  mirror_message message;
  message.op = mirror_op::close;
  message.id = id;
  GERMLINE_TRY_ASSIGN(auto answer, calls_.ask(std::move(message), -1, default_timeout));
  if (answer.op == mirror_op::closed) return std::move(answer.account);
  return error(error_code::not_found, "the mirror refused: " + answer.message);
}

}  // namespace germline::worker
