// native_sandbox: the client's end of one supervisor. Private to native.cpp and its tests.
// Thread-safe: of the threads that wait for messages, one at a time reads the socket and hands out
// what arrives.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "sandbox/backend.hpp"
#include "sandbox/wire.hpp"
#include "sandbox/zygote_link.hpp"

namespace germline {

class native_sandbox final : public sandbox {
 public:
  /// Who made it, and who ends it where its supervisor cannot.
  struct origin {
    std::shared_ptr<zygote_link> zygote;
    std::string name;
    pid_t supervisor = 0;
  };

  /// Waits until the supervisor says that the sandbox is ready, or why it is not.
  static result<std::unique_ptr<sandbox>> connect(unique_fd socket, origin from);
  ~native_sandbox() override;

  result<process_handle> start(process_spec spec) override;
  result<process_outcome> wait(process_handle process, std::int64_t timeout_ms) override;
  result<void> signal(process_handle process, int signal_number) override;
  result<sandbox_usage> read_usage() override;
  result<void> renew(std::int64_t deadline_boot_ms) override;
  result<kill_report> kill() override;
  result<void> destroy() override;
  unique_fd take_gateway_listener() override;

  /// For tests that kill it.
  pid_t supervisor_pid() const noexcept { return from_.supervisor; }

 private:
  native_sandbox(unique_fd socket, origin from)
      : socket_(std::move(socket)), from_(std::move(from)) {}

  using request_body = std::string;
  /// Sends one request and waits for its answer's body (after the request number).
  result<std::string> call(std::uint8_t what, const request_body& body, std::int64_t timeout_ms,
                           const std::vector<int>& fds = {});
  /// Waits until `done`, reading the socket when no other thread does. REQUIRES the lock.
  template <class Done>
  result<void> await(std::unique_lock<std::mutex>& lock, std::int64_t timeout_ms, Done done);
  void dispatch(const std::string& bytes);
  void lose_connection();

  unique_fd socket_;
  origin from_;
  unique_fd listener_;
  std::mutex mutex_;
  std::mutex send_mutex_;
  std::condition_variable changed_;
  bool reading_ = false;
  bool lost_ = false;
  std::optional<kill_report> proof_;  // once everything inside is known to be gone
  std::uint32_t next_request_ = 1;
  std::set<std::uint32_t> asked_;  // and still waited for
  std::map<std::uint32_t, std::string> answers_;
  std::map<std::uint32_t, error> refusals_;
  std::set<std::uint32_t> live_;  // started, and not yet collected by wait()
  std::map<std::uint32_t, process_outcome> outcomes_;
};

}  // namespace germline
