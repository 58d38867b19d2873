#include "worker/gateway/client.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/gateway/spawn.hpp"

namespace germline::worker {
namespace {

/// As lines "NAME=KEY", as main.cpp reads them. Wipes them.
result<void> write_keys(std::vector<gateway_key>& keys, int pipe) {
  constexpr std::size_t most_bytes = 32'768;  // what a pipe surely takes without a reader
  std::string lines;
  lines.reserve(most_bytes);  // so that no copy is left behind by growing
  bool fits = true;
  for (auto& [name, key] : keys) {
    while (key.ends_with('\n')) key.pop_back();
    fits = fits && lines.size() + name.size() + key.size() + 2 <= most_bytes &&
           name.find_first_of("=\n") == std::string::npos && key.find('\n') == std::string::npos;
    if (fits) lines.append(name).append("=").append(key).append("\n");
    ::explicit_bzero(key.data(), key.size());
  }
  const ssize_t wrote = fits ? ::write(pipe, lines.data(), lines.size()) : 0;
  const bool sent = wrote == static_cast<ssize_t>(lines.size());
  ::explicit_bzero(lines.data(), lines.size());
  if (!fits) {
    return error(error_code::invalid_argument, "an API key is too long, or has several lines");
  }
  if (!sent) return errno_error("handing the keys to the gateway", errno);
  return {};
}

/// Whether it ended itself, saying why in its log; not, whatever killed it. Its end of the socket
/// is closed: it has ended, or is about to. It is not reaped.
bool ends_by_itself(pid_t pid) {
  for (int waited_ms = 0; waited_ms < 2'000; waited_ms += 10) {
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) != 0) break;
    if (ended.si_pid == pid) return ended.si_code == CLD_EXITED && ended.si_status == 1;
    ::usleep(10'000);
  }
  return false;
}

}  // namespace

result<std::unique_ptr<gateway_client>> gateway_client::start(gateway_spec spec,
                                                              gateway_callbacks callbacks) {
  GERMLINE_TRY_ASSIGN(auto control, make_control_pair());
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return errno_error("making the gateway's key pipe", errno);
  }
  unique_fd key_read(pipe_ends[0]);
  unique_fd key_write(pipe_ends[1]);
  GERMLINE_TRY(write_keys(spec.keys, key_write.get()));
  key_write.reset();

  helper_spec helper;
  helper.binary = spec.binary;
  helper.arguments = {"--config", spec.config_file, "--control-fd", "3", "--key-fd", "4"};
  if (!spec.journals_directory.empty()) {
    helper.arguments.insert(helper.arguments.end(), {"--journals", spec.journals_directory});
  }
  helper.descriptors = {control.theirs.get(), key_read.get()};
  helper.uid = spec.uid;
  helper.gid = spec.gid;
  GERMLINE_TRY_ASSIGN(const auto pid, spawn_helper(helper));
  control.theirs.reset();
  key_read.reset();
  auto client = std::unique_ptr<gateway_client>(
      new gateway_client(pid, std::move(control.ours), std::move(callbacks)));
  // The first answer proves that it started: an unknown attempt is refused.
  control_message hello;
  hello.op = control_op::renew;
  auto answer = client->calls_.ask(std::move(hello), -1, std::chrono::seconds(20));
  if (answer) return client;
  // What it refuses as it begins it will refuse again.
  const bool refuses = answer.error().code() == error_code::unavailable && ends_by_itself(pid);
  return error(refuses ? error_code::failed_precondition : answer.error().code(),
               "starting " + spec.binary + ": " + answer.error().message());
}

gateway_client::gateway_client(pid_t pid, unique_fd socket, gateway_callbacks callbacks)
    : pid_(pid),
      callbacks_(std::move(callbacks)),
      calls_(std::move(socket), "gateway",
             {[](const std::string& packet) { return decode(packet); },
              [this](const control_message& message) { return take_report(message); },
              callbacks_.on_gone}) {}

gateway_client::~gateway_client() {
  calls_.end();
  end_helper(pid_);
}

result<void> gateway_client::open(gateway_open request, std::chrono::milliseconds timeout) {
  control_message message;
  message.op = control_op::open;
  message.attempt_id = std::move(request.attempt_id);
  message.token = std::move(request.token);
  message.open_to_anyone = request.open_to_anyone;
  message.model = std::move(request.model);
  message.replay = std::move(request.replay);
  message.deadline_boot_ms = request.deadline_boot_ms;
  message.limits = request.limits;
  GERMLINE_TRY_ASSIGN(const auto answer,
                      calls_.ask(std::move(message), request.listener.get(), timeout));
  if (answer.op == control_op::opened) return {};
  return error(answer.lasting ? error_code::failed_precondition : error_code::invalid_argument,
               "the gateway refused: " + answer.message);
}

result<void> gateway_client::renew(const std::string& attempt_id, std::int64_t deadline_boot_ms,
                                   std::chrono::milliseconds timeout) {
  control_message message;
  message.op = control_op::renew;
  message.attempt_id = attempt_id;
  message.deadline_boot_ms = deadline_boot_ms;
  GERMLINE_TRY_ASSIGN(const auto answer, calls_.ask(std::move(message), -1, timeout));
  if (answer.op == control_op::renewed) return {};
  return error(error_code::failed_precondition, "the gateway refused: " + answer.message);
}

result<gateway_account> gateway_client::close(const std::string& attempt_id,
                                              std::chrono::milliseconds timeout) {
  control_message message;
  message.op = control_op::close;
  message.attempt_id = attempt_id;
  GERMLINE_TRY_ASSIGN(const auto answer, calls_.ask(std::move(message), -1, timeout));
  if (answer.op == control_op::closed) {
    return gateway_account{answer.usage, answer.obstacle, answer.refused};
  }
  return error(error_code::not_found, "the gateway refused: " + answer.message);
}

bool gateway_client::take_report(const control_message& message) const {
  if (message.op == control_op::event) {
    if (callbacks_.on_event) callbacks_.on_event(message.attempt_id, message.event_json);
    return true;
  }
  if (message.op != control_op::usage) return false;
  if (callbacks_.on_usage) {
    callbacks_.on_usage(message.attempt_id, message.usage, message.message);
  }
  return true;
}

}  // namespace germline::worker
