#include "worker/gateway/client.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
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

error gone_error() {
  return {error_code::unavailable, "the gateway process is gone; its log says why"};
}

}  // namespace

result<std::unique_ptr<gateway_client>> gateway_client::start(gateway_spec spec,
                                                              gateway_callbacks callbacks) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("making the gateway's control socket", errno);
  }
  unique_fd ours(pair[0]);
  const timeval longest_send{2, 0};  // a gateway that does not read must not hold the caller
  ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &longest_send, sizeof longest_send);
  unique_fd theirs(pair[1]);
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
  helper.descriptors = {theirs.get(), key_read.get()};
  helper.uid = spec.uid;
  helper.gid = spec.gid;
  GERMLINE_TRY_ASSIGN(const auto pid, spawn_helper(helper));
  theirs.reset();
  key_read.reset();
  auto client = std::unique_ptr<gateway_client>(
      new gateway_client(pid, std::move(ours), std::move(callbacks)));
  // The first answer proves that it started: an unknown attempt is refused.
  control_message hello;
  hello.op = control_op::renew;
  auto answer = client->ask(std::move(hello), -1, std::chrono::seconds(20));
  if (!answer) return answer.error().within("starting " + spec.binary);
  return client;
}

gateway_client::gateway_client(pid_t pid, unique_fd socket, gateway_callbacks callbacks)
    : pid_(pid), socket_(std::move(socket)), callbacks_(std::move(callbacks)) {
  reader_ = std::thread([this] { read_replies(); });
}

gateway_client::~gateway_client() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  ::shutdown(socket_.get(), SHUT_RDWR);  // the gateway ends at this
  reader_.join();
  for (int waited_ms = 0; waited_ms < 2000; waited_ms += 10) {
    const pid_t ended = ::waitpid(pid_, nullptr, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno == ECHILD)) return;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
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
  GERMLINE_TRY_ASSIGN(const auto answer, ask(std::move(message), request.listener.get(), timeout));
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
  GERMLINE_TRY_ASSIGN(const auto answer, ask(std::move(message), -1, timeout));
  if (answer.op == control_op::renewed) return {};
  return error(error_code::failed_precondition, "the gateway refused: " + answer.message);
}

result<gateway_account> gateway_client::close(const std::string& attempt_id,
                                              std::chrono::milliseconds timeout) {
  control_message message;
  message.op = control_op::close;
  message.attempt_id = attempt_id;
  GERMLINE_TRY_ASSIGN(const auto answer, ask(std::move(message), -1, timeout));
  if (answer.op == control_op::closed) {
    return gateway_account{answer.usage, answer.obstacle, answer.refused};
  }
  return error(error_code::not_found, "the gateway refused: " + answer.message);
}

result<control_message> gateway_client::ask(control_message request, int fd,
                                            std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (gone_) return gone_error();
  const std::uint64_t seq = next_seq_++;
  request.seq = seq;
  waiting_.emplace(seq, std::nullopt);
  lock.unlock();
  const auto sent = send_packet(socket_.get(), encode(request), fd);
  lock.lock();
  const auto answered = [&] { return gone_ || waiting_.at(seq).has_value(); };
  const bool in_time = sent && changed_.wait_for(lock, timeout, answered);
  auto answer = std::move(waiting_.at(seq));
  waiting_.erase(seq);
  if (answer) return std::move(*answer);
  if (gone_ || !sent) return gone_error();
  GERMLINE_ASSERT(!in_time);
  return error(error_code::deadline_exceeded,
               "the gateway did not answer '" + std::string(to_string(request.op)) + "' in time");
}

void gateway_client::read_replies() {
  for (;;) {
    auto packet = receive_packet(socket_.get());
    if (!packet || packet->bytes.empty()) break;
    auto message = decode(packet->bytes);
    if (!message) break;  // it speaks another language: as good as gone
    deliver(std::move(*message));
  }
  bool unasked = false;
  {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
    unasked = !stopping_;
  }
  changed_.notify_all();
  if (unasked && callbacks_.on_gone) callbacks_.on_gone();
}

void gateway_client::deliver(control_message message) {
  if (message.op == control_op::event) {
    if (callbacks_.on_event) callbacks_.on_event(message.attempt_id, message.event_json);
    return;
  }
  if (message.op == control_op::usage) {
    if (callbacks_.on_usage) {
      callbacks_.on_usage(message.attempt_id, message.usage, message.message);
    }
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    const auto waiter = waiting_.find(message.seq);
    if (waiter == waiting_.end()) return;  // gave up waiting
    waiter->second = std::move(message);
  }
  changed_.notify_all();
}

}  // namespace germline::worker
