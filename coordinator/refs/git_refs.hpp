// git_refs: the seam to the coordinator's bare repository. It keeps objects, pins what the record
// names, and projects lineages' branches from the record. It never decides what a branch should
// be: the record does. `open_git_refs` (repository.cpp) makes the real one over libgit2.
// Implementations may be called from any thread; each call is short but may touch the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/artefact/held_out.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/path_kind.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"

namespace germline::refs {

/// Brings an attempt's pack out of quarantine and pins what it says.
struct ingest_request {
  attempt_id attempt;
  std::string commit;      // canonical or context commit; must have `parent` as its only parent
  std::string raw_commit;  // the agent's own, may be empty
  std::string parent;
  std::string artefact_id;  // must be stored already; empty: none is needed
};

/// What the coordinator writes into the context where an iteration ended and no worker's commit can
/// be had: every attempt was lost, or the result's objects cannot be taken.
struct context_request {
  lineage_id lineage;
  item_id item;
  std::string parent;  // the lineage's head
  std::string folder;  // of the genome
  std::string action, details;
  std::int64_t now_ms = 0;  // UTC
};

/// What takes a lineage back: the ancestor's source with the context of the head.
struct rollback_request {
  lineage_id lineage;
  std::string head;      // the lineage's; the new commit's parent
  std::string ancestor;  // the generation's commit
  generation_id generation;
  std::string folder;  // of the genome
  std::string why;
  std::int64_t now_ms = 0;  // UTC
};

/// What moves a lineage to another generation: a merge that has nothing of the head but its
/// history. Its branch so goes on, and shows where its source came from.
struct move_request {
  lineage_id lineage;
  std::string head;  // the lineage's
  std::string onto;  // the generation's commit, or a context commit after it
  generation_id generation;
  std::int64_t now_ms = 0;  // UTC
};

/// What makes another generation's source something that an agent can merge: a commit on `base`
/// with the source of `source` and the context of `base`. In the histories of lineages that were
/// moved a commit stands behind others whose source it has nothing of, so that git would merge
/// nothing.
struct graft {
  std::string source;  // the generation's commit
  std::string base;    // of the newest generation that it and the lineage's head both come from
  generation_id generation;
  std::int64_t born_ms = 0;  // UTC; the commit's time, so that the same is the same commit
};
struct graft_request {
  std::string folder;  // of the genome
  std::vector<graft> grafts;
};

/// How much the files of a commit are.
struct size_request {
  std::string commit;
  std::string folder;  // of the genome
};
struct sizes {
  std::int64_t source_bytes = 0;   // of all files but the context
  std::int64_t context_bytes = 0;  // of the context; 0: there is none
};

struct project_request {
  lineage_id lineage;
  std::string target;  // the head that the record has
  std::string last;    // where the branch was last put; empty: never
};

enum class standing {
  ok,        // the branch was at the target, or one of its ancestors, and is at the target now
  mended,    // it was gone or damaged, and is at the target now
  diverged,  // somebody else moved it; it is left as it is
};
struct projection {
  standing how = standing::ok;
  std::string details;
};

/// Where a run's seed comes from: a repository on this machine, or what PutSeed brought.
struct seed_source {
  std::string path;
  std::string branch;                     // empty: HEAD
  std::string seed_id;                    // empty: `path` is read
  std::string commit;                     // with seed_id
  std::vector<std::string> imports = {};  // commits of other archives, here or with it
};

struct imported_seed {
  std::string commit;
  std::string branch;  // as resolved
  std::string genome_toml;
};

class git_refs {
 public:
  virtual ~git_refs() = default;

  /// Keeps a seed's pack in quarantine until as many runs were made of it as brought it; its id. Of
  /// more than a few the oldest are dropped, but for those of the last minute.
  virtual result<std::string> keep_seed(const std::string& pack) = 0;
  /// Takes the seed in, as data, and pins its commit as the seed of `run`. Errors say what is wrong
  /// with the input.
  virtual result<imported_seed> import_seed(const seed_source& source, const std::string& folder,
                                            const run_id& run) = 0;
  /// Pins a seed that is here for another run, too.
  virtual result<void> keep_seed_again(const std::string& commit, const run_id& run) = 0;
  /// The seed of a run that came to nothing is pinned no more. What cannot be done is logged.
  virtual void forget_seed(const run_id& run) = 0;
  /// Seals files that evaluators alone are to see, from a tar of unknown origin. Where no run has
  /// them they go after an hour, as other artefacts do.
  virtual result<artefact::held_out> keep_held_out(std::string_view tar) = 0;
  /// What was kept by that id; it is then kept for another hour. Errors say what is wrong.
  virtual result<artefact::held_out> find_held_out(const std::string& id) = 0;
  virtual result<void> ingest(const ingest_request& request) = 0;
  /// Removes the quarantined packs of attempts that are over; `is_leased` says of each by its id.
  /// That of a leased one stays, however old: its result may come yet.
  virtual void sweep(const std::function<result<bool>(const std::string&)>& is_leased) = 0;
  /// Removes the sealed artefacts that no generation and no run has: of attempts that ended between
  /// bringing theirs and their result. One brought within the last hour stays, since its result may
  /// come.
  virtual result<std::size_t> sweep_artefacts(const std::vector<std::string>& of_generations) = 0;
  /// Authors a commit on `parent` that changes the context file alone, pins it, and returns its id.
  virtual result<std::string> author_context(const context_request& request) = 0;
  /// Authors the commit of a rollback, pins it, and returns its id. Once more for the same head it
  /// makes another, which is pinned in place of the first.
  virtual result<std::string> author_rollback(const rollback_request& request) = 0;
  /// Authors the commit of a move, pins it, and returns its id; that of `onto` where the head is
  /// among its ancestors. Once more for the same head it makes another, in place of the first.
  virtual result<std::string> author_move(const move_request& request) = 0;
  /// Authors the commits of grafts; their ids in the order asked for. They are not pinned: what
  /// nobody merges is wanted by one iteration alone.
  virtual result<std::vector<std::string>> author_grafts(const graft_request& request) = 0;
  virtual result<sizes> sizes_at(const size_request& request) = 0;
  virtual result<projection> project(const project_request& request) = 0;
  /// The agent's own commit of an attempt; empty where none was kept.
  virtual result<std::string> raw_commit(const attempt_id& attempt) = 0;
  /// A pack with everything reachable from `want` and not from `have`, and the same in pieces.
  virtual result<std::string> make_pack(const std::vector<std::string>& want,
                                        const std::vector<std::string>& have) = 0;
  virtual result<void> write_pack(const std::vector<std::string>& want,
                                  const std::vector<std::string>& have,
                                  const git::pack_sink& into) = 0;
  /// Those of `have` that are known here and that `want` reaches.
  virtual result<std::vector<std::string>> reached_among(const std::vector<std::string>& want,
                                                         const std::vector<std::string>& have) = 0;
  virtual result<std::string> read_file(const std::string& commit, const std::string& path,
                                        std::int64_t max_bytes) = 0;
  /// What stands at a path; symbolic links are not followed.
  virtual result<git::path_kind> kind_at(const std::string& commit, const std::string& path) = 0;
  /// A unified diff, cut at `max_bytes` with a last line that says so.
  virtual result<std::string> diff(const std::string& from, const std::string& to,
                                   std::int64_t max_bytes) = 0;
};

/// What the real repository stands on: `<state_dir>/objects.git`, quarantined packs in
/// `<state_dir>/incoming`, sealed artefacts in `<state_dir>/artefacts`.
struct repository_places {
  std::string objects, incoming, artefacts;
};

/// Makes or opens the real one, and clears what a killed process left half done. REQUIRES that no
/// other process of Germline uses these places.
result<std::shared_ptr<git_refs>> open_git_refs(const repository_places& places);

/// Where an attempt's pack waits for its result to be accepted.
std::string quarantined_pack(const repository_places& places, const std::string& attempt);

}  // namespace germline::refs
