// tree_walk: walks a candidate's trees against the parent's, by object id. Two walks: one judges
// every tree (names, modes, links, that what it refers to is there), one lists what changed. Both
// are bounded in depth and in entries looked at, so that a fan-out of trees ends.
// For the importer's own sources. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/git/object_limits.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/tree.hpp"
#include "common/result.hpp"

namespace germline::worker {

/// The parent's objects and the candidate's. An object that the parent has is taken from there.
class object_pool {
 public:
  object_pool(const git::pack_view& parent, const git::pack_view& candidate)
      : parent_(parent), candidate_(candidate) {}

  bool is_known(const git::oid& id) const { return parent_.find(id) != nullptr; }
  /// An error when it is in neither pack, or of another type.
  result<std::string> read(const git::oid& id, git::object_type type) const;
  result<void> expect(const git::oid& id, git::object_type type) const;
  result<std::int64_t> size(const git::oid& id, git::object_type type) const;

 private:
  result<const git::pack_view::entry*> find(const git::oid& id, git::object_type type) const;
  const git::pack_view& parent_;
  const git::pack_view& candidate_;
};

class tree_walk {
 public:
  tree_walk(const object_pool& pool, const git::object_limits& limits)
      : pool_(pool), limits_(limits) {}

  /// Judges the tree `root` and all beneath it that is not as in the parent's tree `base`. Each
  /// tree is judged once for each depth at which it stands.
  result<void> judge(const git::oid& root, const git::oid& base);

  /// Bounds what all files beneath `root` come to when they are checked out: one blob may stand at
  /// any number of paths. REQUIRES that `root` was judged.
  result<void> bound_checkout(const git::oid& root);

  /// Calls `changed` with the path of each file that differs between the two trees, in no special
  /// order; an error that it returns ends the walk.
  result<void> compare(const git::oid& root, const git::oid& base,
                       const std::function<result<void>(const std::string&)>& changed);

  /// Everything new that was judged: what the canonical pack must hold.
  const std::set<git::oid>& new_objects() const noexcept { return new_objects_; }

 private:
  using entries = std::vector<git::tree_entry>;
  result<void> judge_tree(const git::oid& id, const entries* base, const std::string& path,
                          std::int64_t depth);
  result<void> judge_entry(const git::tree_entry& entry, const git::tree_entry* before,
                           const std::string& path, std::int64_t depth);
  result<void> compare_entry(const git::tree_entry* now, const git::tree_entry* before,
                             const std::string& path, std::int64_t depth);
  result<void> compare_trees(const git::oid* now, const git::oid* before, const std::string& path,
                             std::int64_t depth);
  result<std::int64_t> checkout_bytes(const git::oid& id, std::int64_t depth);
  result<const entries*> load(const git::oid& id);
  result<const entries*> parsed(const git::oid& id);
  result<void> count(std::size_t more);

  const object_pool& pool_;
  const git::object_limits& limits_;
  const std::function<result<void>(const std::string&)>* changed_ = nullptr;
  std::int64_t walked_ = 0;
  std::map<git::oid, entries> loaded_;
  std::map<git::oid, std::int64_t> checked_out_;
  std::set<std::pair<git::oid, std::int64_t>> judged_;
  std::set<git::oid> new_objects_;
};

}  // namespace germline::worker
