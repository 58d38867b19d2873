// mirror_client: the node's handle on germline-mirror: starts it, opens and closes the doors of
// fetches. Owns the process (ended on destruction) and the control socket. It fetches nothing.
//
// open, renew and close block, at most for their timeout, and may be called from any thread at
// once. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/mirror/access.hpp"
#include "worker/mirror/control.hpp"

namespace germline::worker {

struct mirror_spec {
  std::string binary;  // path of germline-mirror
  std::vector<mirror_config> mirrors;
  /// Whom it runs as. Without them it keeps the caller's uid, and refuses to run as root.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

class mirror_client final : public mirror_access {
 public:
  static constexpr std::chrono::milliseconds default_timeout{5000};

  /// Starts the process. `unavailable`: it did not start; its log on standard error says why.
  static result<std::unique_ptr<mirror_client>> start(const mirror_spec& spec);
  ~mirror_client() override;
  mirror_client(const mirror_client&) = delete;
  mirror_client& operator=(const mirror_client&) = delete;

  bool has(const std::string& mirror) const override;
  result<void> open(mirror_grant grant, unique_fd listener) override;
  result<void> renew(const std::string& id, std::int64_t deadline_boot_ms) override;
  result<mirror_account> close(const std::string& id) override;

  pid_t pid() const { return pid_; }

 private:
  mirror_client(pid_t pid, unique_fd socket, std::vector<mirror_config> mirrors);
  result<mirror_message> ask(mirror_message request, int fd, std::chrono::milliseconds timeout);
  void read_replies();

  const pid_t pid_;
  const unique_fd socket_;
  const std::vector<mirror_config> mirrors_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::optional<mirror_message>> waiting_;
  std::uint64_t next_seq_ = 1;
  bool gone_ = false;
  std::thread reader_;
};

}  // namespace germline::worker
