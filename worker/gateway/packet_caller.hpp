// packet_caller: questions to a helper process over a socket of packets, and its answers, which are
// matched by `seq`. Owns the socket and a thread that reads it. It starts and ends no process, and
// knows of a message its `seq` alone.
// ask() blocks, at most for its timeout, and may be called from any thread at once. The callbacks
// come from the reading thread: they must be quick, and must not call ask() or destroy this.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <sys/socket.h>

#include "common/assert.hpp"
#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/control.hpp"

namespace germline::worker {

/// REQUIRES of Message a number `seq` and encode(const Message&), found by its namespace.
template <typename Message>
class packet_caller {
 public:
  struct callbacks {
    std::function<result<Message>(const std::string&)> decode;
    /// Of each message that comes: true where it answers no question, and was taken care of.
    std::function<bool(Message&)> take_unasked;
    /// The other end is gone, without end() before. May be empty.
    std::function<void()> on_gone;
  };

  /// `who` is asked, as errors name it: "gateway".
  packet_caller(unique_fd socket, std::string who, callbacks calls)
      : socket_(std::move(socket)), who_(std::move(who)), calls_(std::move(calls)) {
    reader_ = std::thread([this] { read_answers(); });
  }
  ~packet_caller() { end(); }
  packet_caller(const packet_caller&) = delete;
  packet_caller& operator=(const packet_caller&) = delete;

  /// `fd` goes along; -1: none does. `unavailable`: the other end is gone; `deadline_exceeded`: no
  /// answer came in time, and it is not known whether what was asked for was done.
  result<Message> ask(Message question, int fd, std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (gone_) return gone_error();
    const std::uint64_t seq = next_seq_++;
    question.seq = seq;
    waiting_.emplace(seq, std::nullopt);
    lock.unlock();
    const auto sent = send_packet(socket_.get(), encode(question), fd);
    lock.lock();
    const auto answered = [&] { return gone_ || waiting_.at(seq).has_value(); };
    const bool in_time = sent && changed_.wait_for(lock, timeout, answered);
    auto answer = std::move(waiting_.at(seq));
    waiting_.erase(seq);
    if (answer) return std::move(*answer);
    if (gone_ || !sent) return gone_error();
    GERMLINE_ASSERT(!in_time);
    return error(
        error_code::deadline_exceeded,
        "the " + who_ + " did not answer '" + std::string(to_string(question.op)) + "' in time");
  }

  /// Closes both directions, which ends the other end, and waits for the reading thread.
  void end() {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
    }
    ::shutdown(socket_.get(), SHUT_RDWR);
    if (reader_.joinable()) reader_.join();
  }

 private:
  error gone_error() const {
    return {error_code::unavailable, "the " + who_ + " process is gone; its log says why"};
  }

  void read_answers() {
    for (;;) {
      auto packet = receive_packet(socket_.get());
      if (!packet || packet->bytes.empty()) break;
      auto message = calls_.decode(packet->bytes);
      if (!message) break;  // it speaks another language: as good as gone
      if (calls_.take_unasked && calls_.take_unasked(*message)) continue;
      {
        const std::scoped_lock lock(mutex_);
        const auto waiter = waiting_.find(message->seq);
        if (waiter == waiting_.end()) continue;  // gave up waiting
        waiter->second = std::move(*message);
      }
      changed_.notify_all();
    }
    bool unasked = false;
    {
      const std::scoped_lock lock(mutex_);
      gone_ = true;
      unasked = !ending_;
    }
    changed_.notify_all();
    if (unasked && calls_.on_gone) calls_.on_gone();
  }

  const unique_fd socket_;
  const std::string who_;
  const callbacks calls_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::optional<Message>> waiting_;
  std::uint64_t next_seq_ = 1;
  bool gone_ = false;
  bool ending_ = false;
  std::thread reader_;
};

}  // namespace germline::worker
