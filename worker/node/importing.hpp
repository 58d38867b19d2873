// importing: what an agent pushed becomes one commit of the worker's own, or a reason why not. The
// judging is done by germline-importer in a sandbox of its own, one process an import: a function
// from bytes to bytes. Here is what the attempt asks of it and how it reads the answer. Blocking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/node/building.hpp"
#include "worker/node/sandbox_set.hpp"

namespace germline::worker {

struct import_request {
  std::string_view parent_pack;
  std::string parent_commit;
  std::string_view candidate_pack;        // hostile; empty: nothing was pushed
  std::string candidate_commit;           // as claimed from inside; empty: nothing was pushed
  std::vector<std::string> inspirations;  // commits that the agent could merge
  std::vector<std::string> protected_globs;
  std::string context_path;
  std::string folder;
  std::int64_t workspace_bytes = 0;  // of the sandboxes in which the tree is to be checked out
  bool context_only = false;         // author a commit of the context alone
  bool write_entry = false;  // `result = "worktree"`: the context entry is written for the agent
  std::string entry_action;  // the worker's own entry, for a commit of the context alone
  std::string entry_details;
  std::string run_id, lineage_id, attempt_id;
  std::int64_t fence = 0;
  std::int64_t number = 0;
  std::int64_t utc_ms = 0;
};

struct import_answer {
  std::optional<refusal> refused;  // objects, protected, context
  bool stalled = false;            // nothing changed but the context
  std::string commit;              // canonical
  std::string raw_commit;          // the agent's own; empty where its objects are not in the pack
  std::string pack;                // objects of both beyond the parent's
  std::string source_id;
  std::vector<std::string> merged;  // inspirations that what was pushed descends from
  std::string change_sketch;        // as change_sketch::bytes; empty: there is none
  std::string action;               // what the agent's newest context entry says it did
};

/// An error is the machine's fault. `input` is an empty spool, for what the importer reads.
result<import_answer> import_candidate_in_sandbox(sandbox_set& sandboxes,
                                                  const std::string& programs_dir,
                                                  const import_request& request, spool input);

}  // namespace germline::worker
