// mirror_client: the node's handle on germline-mirror: starts it, opens and closes the doors of
// fetches. Owns the process (ended on destruction) and the control socket. It fetches nothing.
//
// open, renew and close block, at most for their timeout, and may be called from any thread at
// once. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/packet_caller.hpp"
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

  const pid_t pid_;
  const std::vector<mirror_config> mirrors_;
  packet_caller<mirror_message> calls_;
};

}  // namespace germline::worker
