#include "sandbox/native_sandbox.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "common/clock.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {
namespace {

using protocol::kind;
constexpr std::int64_t prepare_timeout_ms = 30'000;
constexpr std::int64_t start_timeout_ms = 60'000;
constexpr std::int64_t call_timeout_ms = 5'000;
constexpr std::int64_t kill_timeout_ms = 2'000;  // then the zygote does it
constexpr std::int64_t slice_ms = 200;

error read_failure(wire::reader& in) {
  const auto code = in.u8();
  auto text = in.text();
  if (!in.ok() || code > static_cast<std::uint8_t>(error_code::internal)) {
    return {error_code::internal, "the supervisor's answer is malformed"};
  }
  return {static_cast<error_code>(code), std::move(text)};
}

error connection_lost() {
  return {error_code::unavailable, "the sandbox's supervisor is gone"};
}

}  // namespace

result<std::unique_ptr<sandbox>> native_sandbox::connect(unique_fd socket, origin from) {
  auto received = receive_packet(socket.get(), prepare_timeout_ms);
  if (!received) {
    GERMLINE_TRY(from.zygote->end_sandbox(from.name));
    return received.error().within("preparing a sandbox");
  }
  auto& first = *received;
  if (first.end) return connection_lost();
  wire::reader in(first.bytes);
  const auto what = static_cast<kind>(in.u8());
  if (what != kind::ready) {
    in.u32();
    return read_failure(in).within("preparing a sandbox");
  }
  std::unique_ptr<native_sandbox> made(new native_sandbox(std::move(socket), std::move(from)));
  if (!first.fds.empty()) made->listener_ = std::move(first.fds[0]);
  return std::unique_ptr<sandbox>(std::move(made));
}

native_sandbox::~native_sandbox() {
  (void)destroy();
}

void native_sandbox::lose_connection() {
  lost_ = true;
  for (const auto id : live_) {
    process_outcome outcome;
    outcome.kind = outcome_kind::killed;
    outcome.detail = "the sandbox's supervisor is gone";
    outcomes_.emplace(id, outcome);
  }
}

void native_sandbox::dispatch(const std::string& bytes) {
  wire::reader in(bytes);
  const auto what = static_cast<kind>(in.u8());
  if (what == kind::exited) {
    const auto id = in.u32();
    process_outcome outcome;
    outcome.kind = static_cast<outcome_kind>(in.u8());
    outcome.code = static_cast<int>(in.i64());
    outcome.detail = in.text();
    outcome.wall_ms = in.i64();
    outcome.cpu_ms = in.i64();
    outcome.peak_memory_bytes = in.i64();
    if (in.finished()) outcomes_.emplace(id, outcome);
    return;
  }
  if (what == kind::ended) {
    const bool proven = in.u8() == 1;
    const auto took_ms = in.i64();
    if (in.finished() && proven) proof_ = kill_report{true, took_ms};
    return;
  }
  const auto request = in.u32();
  if (!in.ok() || !asked_.contains(request)) return;  // nobody waits for it any more
  if (what == kind::failed) {
    refusals_.emplace(request, read_failure(in));
    return;
  }
  constexpr std::size_t header = sizeof(std::uint8_t) + sizeof(std::uint32_t);
  if (what == kind::started) {
    // Before any exit of it can be asked for.
    wire::reader id(std::string_view(bytes).substr(header));
    live_.insert(id.u32());
  }
  answers_.emplace(request, bytes.substr(header));
}

template <class Done>
result<void> native_sandbox::await(std::unique_lock<std::mutex>& lock, std::int64_t timeout_ms,
                                   Done done) {
  const system_clock_source time;
  const auto now = time.boot_ms();
  const auto until = timeout_ms > std::numeric_limits<std::int64_t>::max() - now
                         ? std::numeric_limits<std::int64_t>::max()
                         : now + timeout_ms;
  while (!done()) {
    if (lost_) return connection_lost();
    const auto left = until - time.boot_ms();
    if (left <= 0) return error(error_code::deadline_exceeded, "no answer from the sandbox yet");
    const auto slice = std::min(left, slice_ms);
    if (reading_) {
      changed_.wait_for(lock, std::chrono::milliseconds(slice));
      continue;
    }
    reading_ = true;
    lock.unlock();
    auto received = receive_packet(socket_.get(), static_cast<int>(slice));
    lock.lock();
    reading_ = false;
    if (received && !received->end) {
      dispatch(received->bytes);
    } else if (received || received.error().code() != error_code::deadline_exceeded) {
      lose_connection();
    }
    changed_.notify_all();
  }
  return {};
}

result<std::string> native_sandbox::call(std::uint8_t what, const request_body& body,
                                         std::int64_t timeout_ms, const std::vector<int>& fds) {
  std::unique_lock lock(mutex_);
  if (lost_) return connection_lost();
  const auto request = next_request_++;
  asked_.insert(request);
  lock.unlock();
  wire::writer out;
  out.u8(what).u32(request);
  result<void> done;
  {
    const std::lock_guard sending(send_mutex_);
    done = send_packet(socket_.get(), out.bytes() + body, fds, static_cast<int>(timeout_ms));
  }
  lock.lock();
  if (done) {
    done = await(lock, timeout_ms,
                 [&] { return answers_.count(request) != 0 || refusals_.count(request) != 0; });
  }
  asked_.erase(request);
  if (!done) return done.error();
  if (const auto refused = refusals_.extract(request)) return refused.mapped();
  return answers_.extract(request).mapped();
}

result<process_handle> native_sandbox::start(process_spec spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return error(error_code::invalid_argument, "a process needs a program");
  }
  for (const auto* list : {&spec.argv, &spec.env}) {
    for (const auto& entry : *list) {
      if (entry.find('\0') != std::string::npos) {
        return error(error_code::invalid_argument, "an argument or variable holds a NUL byte");
      }
    }
  }
  std::vector<int> fds;
  std::uint8_t given = 0;
  const std::pair<const unique_fd*, std::uint8_t> streams[] = {
      {&spec.stdin_fd, protocol::has_stdin},
      {&spec.stdout_fd, protocol::has_stdout},
      {&spec.stderr_fd, protocol::has_stderr},
      {&spec.report_fd, protocol::has_report}};
  for (const auto& [fd, bit] : streams) {
    if (!*fd) continue;
    given = static_cast<std::uint8_t>(given | bit);
    fds.push_back(fd->get());
  }
  wire::writer inner;
  inner.u8(static_cast<std::uint8_t>(spec.role)).u8(given).u8(spec.alone ? 1 : 0);
  inner.text(spec.cwd).list(spec.argv).list(spec.env);
  wire::writer body;
  body.i64(spec.wall_ms).text(inner.bytes());
  const auto answer =
      call(static_cast<std::uint8_t>(kind::start), body.bytes(), start_timeout_ms, fds);
  if (!answer) return answer.error();
  wire::reader in(*answer);
  return process_handle{in.u32()};
}

result<process_outcome> native_sandbox::wait(process_handle process, std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  if (live_.count(process.id) == 0) {
    return error(error_code::not_found, "no such process, or it was collected already");
  }
  const auto waited = await(lock, timeout_ms, [&] { return outcomes_.count(process.id) != 0; });
  if (outcomes_.count(process.id) == 0) return waited.error();
  live_.erase(process.id);
  auto node = outcomes_.extract(process.id);
  return std::move(node.mapped());
}

result<void> native_sandbox::signal(process_handle process, int signal_number) {
  wire::writer body;
  body.i64(process.id).i64(signal_number);
  GERMLINE_TRY(call(static_cast<std::uint8_t>(kind::signal), body.bytes(), call_timeout_ms));
  return {};
}

result<sandbox_usage> native_sandbox::read_usage() {
  const auto answer = call(static_cast<std::uint8_t>(kind::usage), {}, call_timeout_ms);
  if (!answer) return answer.error();
  wire::reader in(*answer);
  sandbox_usage usage;
  usage.memory_bytes = in.i64();
  usage.peak_memory_bytes = in.i64();
  usage.cpu_ms = in.i64();
  usage.pids = in.i64();
  usage.oom_kills = in.i64();
  return usage;
}

result<void> native_sandbox::renew(std::int64_t deadline_boot_ms) {
  wire::writer body;
  body.i64(deadline_boot_ms);
  GERMLINE_TRY(call(static_cast<std::uint8_t>(kind::renew), body.bytes(), call_timeout_ms));
  return {};
}

result<kill_report> native_sandbox::kill() {
  const system_clock_source time;
  const auto began = time.boot_ms();
  const auto answer = call(static_cast<std::uint8_t>(kind::kill), {}, kill_timeout_ms);
  std::unique_lock lock(mutex_);
  if (answer) {
    wire::reader in(*answer);
    const bool proven = in.u8() == 1;
    const auto took_ms = in.i64();
    if (in.finished() && proven) proof_ = kill_report{true, took_ms};
  } else if (answer.error().code() == error_code::unavailable) {
    // It has ended: what it said last may not have been read yet.
    (void)await(lock, kill_timeout_ms, [&] { return proof_.has_value(); });
  }
  if (proof_) return *proof_;
  lock.unlock();
  // The supervisor is stopped, dead, or not able to: its zygote is there for that.
  GERMLINE_TRY(from_.zygote->end_sandbox(from_.name));
  lock.lock();
  lose_connection();
  changed_.notify_all();
  proof_ = kill_report{true, time.boot_ms() - began};
  return *proof_;
}

result<void> native_sandbox::destroy() {
  {
    const std::lock_guard lock(mutex_);
    listener_.reset();
  }
  const auto report = kill();
  const std::lock_guard lock(mutex_);
  lose_connection();
  changed_.notify_all();
  // Half-closing ends the supervisor; other threads may still hold the number in a poll.
  ::shutdown(socket_.get(), SHUT_RDWR);
  if (!report) return report.error().within("the sandbox could not be shown to be gone");
  return {};
}

unique_fd native_sandbox::take_gateway_listener() {
  const std::lock_guard lock(mutex_);
  return std::move(listener_);
}

}  // namespace germline
