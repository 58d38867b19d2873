// base_digest: names the sandbox base "host", this machine's /usr without /usr/local, so that a
// worker whose base differs is not given work of a run that was founded on another. Reads dpkg's
// database and walks /usr; takes about a second, once at start.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline::worker {

/// SHA-256 over name and version of every installed package, and over path, size and mtime of each
/// file below `usr` that no package owns. `dpkg_dir` is normally /var/lib/dpkg.
result<std::string> compute_base_digest(const std::string& dpkg_dir, const std::string& usr);

}  // namespace germline::worker
