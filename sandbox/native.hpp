// native_backend: Germline's own launcher. It owns the connection to one zygote process, which it
// starts (fork and exec) or is given; each sandbox it prepares has a supervisor process of its own.
// The death of this object's process, of the zygote or of a supervisor ends the sandboxes.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "common/unique_fd.hpp"
#include "sandbox/backend.hpp"

namespace germline {

class zygote_link;

struct native_options {
  std::string zygote_path;           // germline-zygote
  std::string init_path;             // germline-init
  std::string as_candidate_path;     // germline-as-candidate
  std::string exports_root;          // what policies may mount lies beneath; empty = nothing may be
  std::string instance = "default";  // names the cgroups: germline/<instance>/...
  std::uint32_t slots = 8;           // sandboxes at a time
  std::uint32_t uid_base = 1'879'048'192;  // slot n owns [base + 65536 * (n + 1), + 65536)
};

class native_backend final : public sandbox_backend {
 public:
  /// Starts a zygote. The caller must be root.
  static result<std::unique_ptr<native_backend>> start(const native_options& options);
  /// Takes an inherited SOCK_SEQPACKET connection to a zygote that runs already.
  static std::unique_ptr<native_backend> adopt(unique_fd zygote_socket);
  /// Looks for the helper programs beside this executable, then in ../libexec/germline.
  static void find_helpers(native_options& options);

  ~native_backend() override;

  result<std::unique_ptr<sandbox>> prepare(const sandbox_policy& policy) override;
  result<void> recover() override;
  /// Of the zygote that start() made; 0 where it was adopted.
  pid_t zygote_pid() const noexcept { return zygote_pid_; }

 private:
  native_backend(unique_fd socket, pid_t pid);

  std::shared_ptr<zygote_link> link_;
  unique_fd
      lifeline_;  // of the zygote: once it is closed, by our death at the latest, that is killed
  pid_t zygote_pid_ = 0;
};

}  // namespace germline
