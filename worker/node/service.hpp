// The worker's process group on one machine: starts the zygote while still root, then the gateway,
// then gives up root itself and runs the node until SIGTERM or SIGINT. Only wires; what it decides
// is node_state's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

struct worker_config {
  /// Everything of this worker's on disk: sealed artefacts, packs, transcripts. Made when missing.
  std::string state_dir;
  /// "unix:/path" or "HOST:PORT", as grpc_tls.hpp reads it.
  std::string coordinator;
  /// Over TLS: what to ask for a certificate with, where there is none yet.
  std::string join_token;
  /// Over TLS: credentials that were brought along; empty: those that it asks for itself.
  std::string tls_dir;
  /// Stable over restarts; empty: read from or written to state_dir/worker_id. Over TLS it is the
  /// name in the certificate, whatever stands here.
  std::string worker_id;
  /// Attempts at a time, 1 to 64. Each may hold two sandboxes for a moment.
  int slots = 1;
  /// What this worker has that a run may ask for; checked.
  std::vector<std::string> tags;
  /// The uid and gid that the node runs under once its helpers stand.
  std::uint32_t node_uid = 1'879'048'193;
  std::uint32_t gateway_uid = 1'879'048'194;
  std::uint32_t mirror_uid = 1'879'048'197;
  std::uint32_t services_gid = 1'879'048'193;
  /// A group that may use the coordinator's socket, for the node alone; 0: none.
  std::uint32_t socket_gid = 0;
  /// First of the uid ranges of the sandboxes.
  std::uint32_t sandbox_uid_base = 1'879'048'192;
  /// Where germline-zygote and the other helper programs are; empty: beside this executable.
  std::string libexec_dir;
  /// How much of sealed artefacts that no attempt uses stays; the least recently used go first.
  std::int64_t kept_artefact_bytes = std::int64_t{8} << 30;
  /// The same of packs of objects.
  std::int64_t kept_object_bytes = std::int64_t{2} << 30;
  /// The same of what genomes' [deps] came to.
  std::int64_t kept_deps_bytes = std::int64_t{8} << 30;
  /// With less room on the disk of state_dir it takes no lease.
  std::int64_t lease_room_bytes = 64 << 20;
  /// The gateway's TOML; empty: no model can be used.
  std::string gateway_config;
  /// Mirrors for [deps] of genomes, "npm=URL,…", and the TOML with more of them; both may be empty.
  std::string mirrors;
  std::string mirrors_config;
};

class validator;
/// Makes what judges in the place of `real`, or nothing to keep it.
using validator_seam = std::function<std::unique_ptr<validator>(validator& real)>;

/// run_worker with another validator. Only programs of `tests/` call this: the product has no
/// flag, variable or key that could.
result<int> run_worker_with_validator(const worker_config& config, const validator_seam& seam);

/// Runs until told to end. The value is the process's exit code. Must be called before any thread
/// was started, as root.
result<int> run_worker(const worker_config& config);

}  // namespace germline::worker
