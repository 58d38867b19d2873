// job: what the worker asks of the importer, and what it answers. The importer runs in a sandbox of
// its own on hostile objects, so its verdict is checked like any other input (wire.hpp), and its
// pack is judged again where it is stored.
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/context/agent_context.hpp"
#include "common/git/object_limits.hpp"

namespace germline::worker {

enum class import_mode {
  candidate,     // judge it and author the commit that is to be validated
  context_only,  // the iteration ended otherwise: author a commit that changes the context alone
};

struct import_job {
  import_mode mode = import_mode::candidate;
  std::string parent_commit;              // the lineage's head
  std::string candidate_commit;           // as claimed in the sandbox; empty: nothing was pushed
  std::vector<std::string> inspirations;  // commits that the candidate may descend from, too
  std::string folder;                     // of the genome; empty: the root
  std::string context_path = "agent_context.json";  // relative to the folder
  std::vector<std::string> protected_globs;         // of the PARENT's manifest, relative to folder

  // For the commit that the worker authors.
  std::string subject;
  std::string run_id, lineage_id, attempt_id;
  std::int64_t fence = 0;
  std::int64_t number = 0;
  std::string author_name = "Germline";
  std::string author_email = "germline@localhost";
  std::int64_t time_s = 0;

  /// Appended to the context. Wanted for context_only; for a candidate whose manifest says
  /// `result = "worktree"` as well, since nobody else writes the entry there.
  std::optional<context_entry> append;

  git::object_limits limits;
  std::int64_t context_bytes = 1 << 20;
  std::int64_t context_depth = 64;
};

enum class import_verdict { candidate, stalled, rejected, context, error };

struct import_output {
  /// candidate: `commit` is to be validated. stalled: nothing but the context changed, no commit.
  /// rejected: `reason` says why, no commit. context: `commit` changes the context file alone.
  /// error: the job itself was wrong.
  import_verdict verdict = import_verdict::error;
  std::string reason;   // rejected: "objects", "protected" or "context"
  std::string details;  // for people; at most 4 KiB
  std::string commit, tree, source_id;
  std::vector<std::string> merged;  // the job's inspirations that the candidate descends from
  std::string raw_commit;           // the agent's own, when its objects are in the pack
  std::string change_sketch;        // candidate: as change_sketch::bytes; empty: it has none
  bool context_ok = false;  // the candidate's context parsed, is bounded and kept the entries
  std::string action;       // of the last entry that the candidate wrote itself; at most 1 KiB
  std::vector<std::string> changed_paths;  // at most 1,000
  bool changed_paths_cut = false;
  std::string pack;  // without deltas; empty when there is no commit
};

}  // namespace germline::worker
