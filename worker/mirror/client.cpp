#include "worker/mirror/client.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/gateway/control.hpp"
#include "worker/gateway/spawn.hpp"

namespace germline::worker {
namespace {

/// A renewal that is late is repeated by the next heartbeat.
constexpr std::chrono::milliseconds renew_timeout{500};

error gone_error() {
  return {error_code::unavailable, "the mirror process is gone; its log says why"};
}

}  // namespace

result<std::unique_ptr<mirror_client>> mirror_client::start(const mirror_spec& spec) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno_error("making the mirror's control socket", errno);
  }
  unique_fd ours(pair[0]);
  unique_fd theirs(pair[1]);
  const timeval longest_send{2, 0};  // one that does not read must not hold the caller
  ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &longest_send, sizeof longest_send);
  helper_spec helper;
  helper.binary = spec.binary;
  helper.arguments = {"--control-fd", "3", "--mirrors", to_json(spec.mirrors)};
  helper.descriptors = {theirs.get()};
  helper.uid = spec.uid;
  helper.gid = spec.gid;
  GERMLINE_TRY_ASSIGN(const auto pid, spawn_helper(helper));
  theirs.reset();
  std::unique_ptr<mirror_client> client(new mirror_client(pid, std::move(ours), spec.mirrors));
  // The first answer proves that it started: an unknown fetch is refused.
  auto answer = client->ask({}, -1, std::chrono::seconds(20));
  if (!answer) return answer.error().within("starting " + spec.binary);
  return client;
}

mirror_client::mirror_client(pid_t pid, unique_fd socket, std::vector<mirror_config> mirrors)
    : pid_(pid), socket_(std::move(socket)), mirrors_(std::move(mirrors)) {
  reader_ = std::thread([this] { read_replies(); });
}

mirror_client::~mirror_client() {
  ::shutdown(socket_.get(), SHUT_RDWR);  // the mirror ends at this
  reader_.join();
  for (int waited_ms = 0; waited_ms < 2000; waited_ms += 10) {
    const pid_t ended = ::waitpid(pid_, nullptr, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno == ECHILD)) return;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
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
  GERMLINE_TRY_ASSIGN(const auto answer, ask(std::move(message), listener.get(), default_timeout));
  if (answer.op == mirror_op::done) return {};
  return error(error_code::invalid_argument, "the mirror refused: " + answer.message);
}

result<void> mirror_client::renew(const std::string& id, std::int64_t deadline_boot_ms) {
  mirror_message message;
  message.op = mirror_op::renew;
  message.id = id;
  message.deadline_boot_ms = deadline_boot_ms;
  GERMLINE_TRY_ASSIGN(const auto answer, ask(std::move(message), -1, renew_timeout));
  if (answer.op == mirror_op::done) return {};
  return error(error_code::failed_precondition, "the mirror refused: " + answer.message);
}

result<mirror_account> mirror_client::close(const std::string& id) {
  mirror_message message;
  message.op = mirror_op::close;
  message.id = id;
  GERMLINE_TRY_ASSIGN(auto answer, ask(std::move(message), -1, default_timeout));
  if (answer.op == mirror_op::closed) return std::move(answer.account);
  return error(error_code::not_found, "the mirror refused: " + answer.message);
}

result<mirror_message> mirror_client::ask(mirror_message request, int fd,
                                          std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (gone_) return gone_error();
  const auto seq = next_seq_++;
  request.seq = seq;
  waiting_.emplace(seq, std::nullopt);
  lock.unlock();
  const auto sent = send_packet(socket_.get(), encode(request), fd);
  lock.lock();
  if (sent) {
    changed_.wait_for(lock, timeout, [&] { return gone_ || waiting_.at(seq).has_value(); });
  }
  auto answer = std::move(waiting_.at(seq));
  waiting_.erase(seq);
  if (answer) return std::move(*answer);
  if (gone_ || !sent) return gone_error();
  return error(error_code::deadline_exceeded, "the mirror process did not answer in time");
}

void mirror_client::read_replies() {
  for (;;) {
    auto packet = receive_packet(socket_.get());
    if (!packet || packet->bytes.empty()) break;
    auto message = decode_mirror_message(packet->bytes);
    if (!message) break;  // it speaks another language: as good as gone
    {
      const std::scoped_lock lock(mutex_);
      const auto waiter = waiting_.find(message->seq);
      if (waiter == waiting_.end()) continue;  // gave up waiting
      waiter->second = std::move(*message);
    }
    changed_.notify_all();
  }
  {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
  }
  changed_.notify_all();
}

}  // namespace germline::worker
