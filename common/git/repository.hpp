// repository: a git repository through libgit2, wrapped once. The coordinator's is bare and its
// own. It reads and writes objects and refs; it checks nothing out, runs no hook, reads no
// configuration of the system or a user, and reaches no network. Owns the libgit2 handle. One
// thread at a time; calls block on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/git/object_limits.hpp"
#include "common/git/oid.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/path_kind.hpp"
#include "common/git/tree.hpp"
#include "common/result.hpp"

namespace germline::git {

struct commit_info {
  std::string id;
  std::string tree;
  std::vector<std::string> parents;
  std::string author_name, author_email, message;
  std::int64_t time_s = 0;
};

struct file_info {
  std::string path;
  std::uint32_t mode = 0;
  std::int64_t size_bytes = 0;
  std::string id;
};

struct ref_info {
  std::string name;
  std::string target;
};

struct new_commit {
  std::string tree;
  std::vector<std::string> parents;
  std::string author_name, author_email, message;
  std::int64_t time_s = 0;
};

/// "0000…": as the old value of a ref it means "must not exist".
extern const std::string zero_oid;

class repository {
 public:
  repository(repository&&) noexcept;
  repository& operator=(repository&&) noexcept;
  ~repository();

  /// Makes a bare repository, or opens the one that is there.
  static result<repository> init_bare(const std::string& path);
  static result<repository> open(const std::string& path);

  const std::string& path() const noexcept { return path_; }

  // Objects.
  /// Takes a pack in: pre-scan, index in a quarantine beside the store, every tree and commit in it
  /// judged and its links checked, then `.pack` and `.idx` moved in that order. Nothing of a
  /// refused pack stays. An empty pack is nothing to do. Of few objects each is written by itself,
  /// commits last: a crash may leave a part of them, and the same pack can be taken in again.
  result<void> ingest_pack(std::string_view pack, const object_limits& limits);
  /// A pack without deltas with all that `want` reaches and `have` does not. Unknown `have` ids are
  /// skipped, unknown `want` ids are not_found. Beyond `max_bytes`: resource_exhausted. The same
  /// question gives the same bytes, as long as no more of `have` comes to be known.
  result<void> write_pack(const std::vector<std::string>& want,
                          const std::vector<std::string>& have, std::int64_t max_bytes,
                          const pack_sink& into) const;
  /// The same in one text.
  result<std::string> make_pack(const std::vector<std::string>& want,
                                const std::vector<std::string>& have,
                                std::int64_t max_bytes = std::int64_t{1} << 30) const;
  /// Those of `among` that are known and that `from` reaches (or is), the newest first.
  result<std::vector<std::string>> reached_among(const std::vector<std::string>& from,
                                                 const std::vector<std::string>& among) const;
  bool has_object(const std::string& id) const;
  result<commit_info> read_commit(const std::string& id) const;
  /// not_found when there is no such path; resource_exhausted beyond `max_bytes`.
  result<std::string> read_file_at(const std::string& commit, const std::string& path,
                                   std::size_t max_bytes) const;
  /// Symbolic links are not followed, neither at the path's end nor before it.
  result<path_kind> kind_at(const std::string& commit, const std::string& path) const;
  /// All files, in order of paths; at most `entries_max` entries are looked at.
  result<std::vector<file_info>> list_tree(const std::string& commit,
                                           std::size_t entries_max = 100'000) const;
  /// A unified diff for people; cut at `max_bytes` with a last line that says so.
  result<std::string> diff_text(const std::string& from, const std::string& to,
                                std::size_t max_bytes) const;
  /// The commits from `head` by first parent, newest first.
  result<std::vector<commit_info>> log(const std::string& head, std::size_t count) const;
  /// Whether `ancestor` is `descendant` or reachable from it.
  result<bool> is_ancestor(const std::string& ancestor, const std::string& descendant) const;
  /// The id of a commit's tree.
  result<std::string> tree_of(const std::string& commit) const;
  result<std::string> write_commit(const new_commit& what);
  /// The tree of `base` with one file put in place of what is at `path`. Returns the tree's id.
  /// Refuses a path with a part that judge_name refuses: no clone could check it out.
  result<std::string> replace_file(const std::string& base_commit, const std::string& path,
                                   std::string_view bytes);
  /// The tree of `base` in which `folder` (empty: all) is as in `source`, but for the file at
  /// `kept`, which stays as it is.
  struct graft {
    std::string source, base;  // commits
    std::string folder, kept;
  };
  result<std::string> tree_of_graft(const graft& what);
  /// The tree of `source_commit` in which `path` is as in `from_commit`. For rollbacks.
  result<std::string> tree_with_file_from(const std::string& source_commit, const std::string& path,
                                          const std::string& from_commit);

  /// source_id (source_id.hpp) of a commit.
  result<std::string> source_id_of(const std::string& commit, std::string_view folder,
                                   std::string_view context_path) const;

  // Refs. Names are full ("refs/heads/lineages/…").
  /// The commit that a ref points to; none when there is no such ref.
  result<std::optional<std::string>> resolve(const std::string& ref) const;
  /// Compare-and-swap: the ref must now be at `old_target` (zero_oid: must not exist).
  /// failed_precondition when it is not; the ref then stays as it is.
  result<void> update_ref(const std::string& ref, const std::string& new_target,
                          const std::string& old_target, const std::string& message = "");
  /// Deletes the ref when it is at `old_target`. A ref that is not there is no error.
  result<void> delete_ref(const std::string& ref, const std::string& old_target);
  result<std::vector<ref_info>> list_refs(const std::string& prefix) const;
  /// Points HEAD of a bare repository at a branch, existing or not.
  result<void> set_head(const std::string& ref);

  // Between repositories.
  struct imported {
    std::string commit;
    std::string branch;
  };
  /// Where a person keeps what git shall do in all of their repositories; empty: nowhere.
  struct user_settings {
    std::string home;  // has .gitconfig
    std::string xdg;   // a folder "git" of theirs: has config and ignore
  };
  struct seed {
    std::string commit;
    std::string branch;
    std::string pack;                      // all that the commit and the others reach
    std::vector<std::string> others = {};  // commits; of those that were asked for, what there is
  };
  /// A branch's head with all that it reaches, judged, out of the repository at `path`, which is
  /// only read. An empty `branch` means the one that HEAD names. Errors list the branches there
  /// are.
  static result<seed> export_seed(const std::string& path, const std::string& branch,
                                  std::int64_t max_pack_bytes = std::int64_t{1} << 30,
                                  const std::vector<std::string>& others = {});
  /// What the working tree of `branch` has that the branch has not: changed, new and deleted files,
  /// a folder of new ones as one, "folder/". Beneath `folder` alone, where it is not empty. Nothing
  /// where the branch is not checked out. What `user` wants ignored is left out; for so long their
  /// settings hold for all of this library: no other thread may be in it.
  static result<std::vector<std::string>> uncommitted(const std::string& path,
                                                      const std::string& branch,
                                                      const std::string& folder,
                                                      const user_settings& user);
  /// Whether its tree can be a genome's: regular names, and no more files than are taken.
  result<void> judge_seed(const std::string& commit) const;
  /// Takes in what export_seed gave, here or elsewhere, and judges the commit's tree again. Others
  /// that neither it has nor were here stay away.
  result<void> import_seed(const seed& what);
  /// export_seed and import_seed; `others` come with it where they are there.
  result<imported> import_branch(const std::string& path, const std::string& branch,
                                 const std::vector<std::string>& others = {});
  /// Takes in a pack that make_pack made elsewhere, and points `branch` at `commit`, which it
  /// brings, by compare-and-swap. The branch must be new, or the commit a descendant of it, and no
  /// work tree may have it checked out: failed_precondition, and the branch stays as it is.
  result<void> deliver(const std::string& commit, std::string_view pack, const std::string& branch);

  struct impl;  // for the library's own sources

 private:
  explicit repository(std::unique_ptr<impl> state, std::string path);
  std::unique_ptr<impl> impl_;
  std::string path_;
};

}  // namespace germline::git
