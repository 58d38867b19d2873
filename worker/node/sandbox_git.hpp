// sandbox_git: git as it is run inside a sandbox, by bytes on pipes alone. The trusted side never
// opens a path inside and never runs git on what is there; what comes out is hostile bytes for the
// importer. Blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/backend.hpp"

namespace germline::worker {

struct branch_at {
  std::string name;    // "inspiration-1"
  std::string commit;  // 40 hex digits
};

/// A repository and a clone to lay out in a fresh sandbox.
struct clone_request {
  std::vector<std::string_view> packs;     // in order; each complete with what came before
  std::vector<branch_at> branches = {};    // beside `lineage`
  std::string commit;                      // 40 hex digits
  std::string origin = "/srv/origin.git";  // the bare repository; becomes remote `origin`
  std::string target = "/workspace";
  uid_role role = uid_role::agent;
};

/// Makes the bare repository with branch `lineage` at the commit, the other branches, and the
/// clone. resource_exhausted: the sandbox has too little memory or space for it, which is the
/// commit's fault.
result<void> lay_out_clone(sandbox& where, const clone_request& request);

/// Commits whatever the agent left in the workspace and pushes it, for `result = "worktree"`.
result<void> commit_worktree(sandbox& where, const std::string& message);

struct pushed_objects {
  std::string commit;  // 40 hex digits, as claimed from inside; empty: nothing was pushed
  std::string pack;    // without deltas, everything not reachable from the parent
};

/// What the agent pushed to `origin` beyond `parent`. Bytes beyond `max_bytes`: resource_exhausted.
result<pushed_objects> read_pushed(sandbox& where, const std::string& parent,
                                   std::size_t max_bytes);

}  // namespace germline::worker
