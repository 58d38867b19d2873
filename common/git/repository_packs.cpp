#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "common/git/commit.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/repository_impl.hpp"
#include "common/unique_fd.hpp"

namespace germline::git {
namespace {

namespace fs = std::filesystem;
constexpr auto any_number = std::numeric_limits<std::int64_t>::max();

/// A directory of its own that is gone when this goes.
class quarantine {
 public:
  static result<quarantine> make(const std::string& beneath) {
    std::string path = beneath + "germline-quarantine-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return errno_error("making " + path, errno);
    return quarantine(std::move(path));
  }
  quarantine(quarantine&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  quarantine& operator=(quarantine&&) = delete;
  ~quarantine() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const noexcept { return path_; }

 private:
  explicit quarantine(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

result<void> sync_directory(const std::string& path) {
  const unique_fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return errno_error("syncing " + path, errno);
  return {};
}

/// The type of an object in a pack that is being judged or in the store.
result<object_type> type_in(const oid& id, const pack_view& view, const repository::impl& store) {
  if (const auto* entry = view.find(id)) return entry->type;
  auto type = store.type_of(id);
  if (!type) {
    return error(error_code::invalid_argument, "the pack refers to object " + id.hex() +
                                                   ", which is neither in it nor in the store");
  }
  return type;
}

result<void> expect_type(const oid& id, object_type wanted, const pack_view& view,
                         const repository::impl& store) {
  GERMLINE_TRY_ASSIGN(const auto type, type_in(id, view, store));
  if (type != wanted) {
    return error(error_code::invalid_argument,
                 "object " + id.hex() + " is a " + std::string(to_string(type)) +
                     " in place of a " + std::string(to_string(wanted)));
  }
  return {};
}

/// Judges every commit and tree of a pack for itself, and that all it refers to is there.
result<void> judge_pack(const pack_view& view, const repository::impl& store,
                        const object_limits& limits) {
  for (const auto& [id, entry] : view.entries()) {
    if (entry.type == object_type::blob) continue;
    GERMLINE_TRY_ASSIGN(const auto bytes, view.read(entry));
    if (entry.type == object_type::commit) {
      GERMLINE_TRY_ASSIGN(const auto header, parse_commit(bytes));
      GERMLINE_TRY(expect_type(header.tree, object_type::tree, view, store));
      for (const auto& parent : header.parents) {
        GERMLINE_TRY(expect_type(parent, object_type::commit, view, store));
      }
      continue;
    }
    GERMLINE_TRY_ASSIGN(const auto entries, parse_tree(bytes, limits.tree_entries));
    GERMLINE_TRY(judge_tree(bytes, entries));
    for (const auto& child : entries) {
      GERMLINE_TRY(expect_type(child.id, child.is_tree() ? object_type::tree : object_type::blob,
                               view, store));
    }
  }
  return {};
}

/// Of so few objects no pack is kept: as git does with what is pushed (receive.unpackLimit).
constexpr std::size_t unpacked_max = 100;

/// Each object after all that it names, so that whatever is there is whole.
result<void> unpack(const pack_view& view, repository::impl& store) {
  std::vector<oid> commits;
  for (const auto type : {object_type::blob, object_type::tree, object_type::commit}) {
    for (const auto& [id, entry] : view.entries()) {
      if (entry.type != type) continue;
      if (type == object_type::commit) {
        commits.push_back(id);
        continue;
      }
      GERMLINE_TRY_ASSIGN(const auto bytes, view.read(entry));
      GERMLINE_TRY(store.write_object(type, bytes));
    }
  }
  std::set<oid> open(commits.begin(), commits.end());
  while (!open.empty()) {  // each time round at least the eldest are written
    const auto before = open.size();
    for (const auto& id : commits) {
      if (!open.contains(id)) continue;
      GERMLINE_TRY_ASSIGN(const auto bytes, view.read(*view.find(id)));
      GERMLINE_TRY_ASSIGN(const auto header, parse_commit(bytes));
      const bool is_next = std::ranges::none_of(
          header.parents, [&](const oid& parent) { return open.contains(parent); });
      if (!is_next) continue;
      GERMLINE_TRY(store.write_object(object_type::commit, bytes));
      open.erase(id);
    }
    if (open.size() == before) {
      return error(error_code::invalid_argument, "the commits of a pack are their own parents");
    }
  }
  return {};
}

/// Collects what a pack must hold, each object once, in the order in which it was met.
class packer {
 public:
  explicit packer(const repository::impl& store) : store_(store) {}

  /// Marks a tree and all beneath it as known to the other side.
  result<void> exclude(const oid& tree) { return visit(tree, false); }
  result<void> include_commit(const oid& id, const oid& tree) {
    chosen_.emplace_back(id, object_type::commit);
    return visit(tree, true);
  }
  result<void> write(std::int64_t max_bytes, const pack_sink& into) const {
    GERMLINE_TRY_ASSIGN(auto pack,
                        pack_stream::begin(static_cast<std::uint32_t>(chosen_.size()), into));
    for (const auto& [id, type] : chosen_) {
      GERMLINE_TRY_ASSIGN(const auto bytes, store_.read_object(id, type));
      GERMLINE_TRY(pack.add(type, bytes));
      if (static_cast<std::int64_t>(pack.bytes()) > max_bytes) {
        return error(error_code::resource_exhausted,
                     "the pack would have more than " + std::to_string(max_bytes) + " bytes");
      }
    }
    return pack.finish();
  }

 private:
  result<void> visit(const oid& root, bool include) {
    std::vector<oid> open = {root};
    while (!open.empty()) {
      const auto id = open.back();
      open.pop_back();
      if (!seen_.insert(id).second) continue;
      if (include) chosen_.emplace_back(id, object_type::tree);
      GERMLINE_TRY_ASSIGN(const auto bytes, store_.read_object(id, object_type::tree));
      GERMLINE_TRY_ASSIGN(const auto entries, parse_tree(bytes, any_number));
      for (const auto& entry : entries) {
        if (entry.mode == static_cast<std::uint32_t>(entry_mode::submodule)) continue;
        if (entry.is_tree()) {
          open.push_back(entry.id);
        } else if (seen_.insert(entry.id).second && include) {
          chosen_.emplace_back(entry.id, object_type::blob);
        }
      }
    }
    return {};
  }

  const repository::impl& store_;
  std::set<oid> seen_;
  std::vector<std::pair<oid, object_type>> chosen_;
};

/// A walk from commits to all that they reach, the newest first.
result<revwalk_handle> walk_from(const repository::impl& store,
                                 const std::vector<std::string>& starts) {
  git_revwalk* raw = nullptr;
  if (const int status = git_revwalk_new(&raw, store.repo.get()); status != 0) {
    return git_error("walking commits", status);
  }
  revwalk_handle walk(raw);
  for (const auto& text : starts) {
    GERMLINE_TRY_ASSIGN(const auto id, oid::parse(text));
    if (!store.has(id)) return error(error_code::not_found, "there is no commit " + text);
    const auto start = to_git(id);
    if (const int status = git_revwalk_push(raw, &start); status != 0) {
      return git_error("walking from " + text, status);
    }
  }
  return walk;
}

}  // namespace

result<void> repository::impl::store_pack(std::string_view pack) {
  const std::string home = git_repository_commondir(repo.get());
  GERMLINE_TRY_ASSIGN(const auto aside, quarantine::make(home));
  git_indexer* raw = nullptr;
  int status = git_indexer_new(&raw, aside.path().c_str(), 0444, nullptr, nullptr);
  const indexer_handle indexer(raw);
  git_indexer_progress progress{};
  if (status == 0) status = git_indexer_append(raw, pack.data(), pack.size(), &progress);
  if (status == 0) status = git_indexer_commit(raw, &progress);
  if (status != 0) return git_error("indexing a pack", status);
  const std::string name = std::string("pack-") + git_indexer_name(raw);
  const auto target = home + "objects/pack";
  std::error_code failed;
  fs::create_directories(target, failed);
  for (const auto* suffix : {".pack", ".idx"}) {
    fs::rename(aside.path() + "/" + name + suffix, target + "/" + name + suffix, failed);
    if (failed) return errno_error("moving " + name + suffix, failed.value());
  }
  GERMLINE_TRY(sync_directory(target));
  status = git_odb_refresh(odb.get());
  if (status != 0) return git_error("looking at the new pack", status);
  return {};
}

result<void> repository::ingest_pack(std::string_view pack, const object_limits& limits) {
  GERMLINE_TRY_ASSIGN(const auto view, pack_view::open(pack, limits));
  if (view.size() == 0) return {};
  GERMLINE_TRY(judge_pack(view, *impl_, limits));
  // A lookup may go through all packs, so there must not be one for each birth.
  if (view.size() > unpacked_max) return impl_->store_pack(pack);
  return unpack(view, *impl_);
}

result<void> repository::write_pack(const std::vector<std::string>& want,
                                    const std::vector<std::string>& have, std::int64_t max_bytes,
                                    const pack_sink& into) const {
  GERMLINE_TRY_ASSIGN(const auto walk, walk_from(*impl_, want));
  packer pack(*impl_);
  for (const auto& text : have) {
    const auto id = oid::parse(text);
    if (!id || !impl_->has(*id)) continue;
    const auto known = to_git(*id);
    if (git_revwalk_hide(walk.get(), &known) != 0) continue;
    GERMLINE_TRY_ASSIGN(const auto tree, impl_->tree_of(text));
    GERMLINE_TRY(pack.exclude(tree));
  }
  git_oid next;
  int status = 0;
  while ((status = git_revwalk_next(&next, walk.get())) == 0) {
    const auto id = from_git(next);
    GERMLINE_TRY_ASSIGN(const auto tree, impl_->tree_of(id.hex()));
    GERMLINE_TRY(pack.include_commit(id, tree));
  }
  if (status != GIT_ITEROVER) return git_error("walking commits", status);
  return pack.write(max_bytes, into);
}

result<std::string> repository::make_pack(const std::vector<std::string>& want,
                                          const std::vector<std::string>& have,
                                          std::int64_t max_bytes) const {
  std::string pack;
  GERMLINE_TRY(write_pack(want, have, max_bytes, [&](std::string_view bytes) -> result<void> {
    pack += bytes;
    return {};
  }));
  return pack;
}

result<std::vector<std::string>> repository::reached_among(
    const std::vector<std::string>& from, const std::vector<std::string>& among) const {
  std::set<oid> wanted;
  for (const auto& text : among) {
    const auto id = oid::parse(text);
    if (id && impl_->has(*id)) wanted.insert(*id);
  }
  std::vector<std::string> reached;
  if (wanted.empty()) return reached;
  GERMLINE_TRY_ASSIGN(const auto walk, walk_from(*impl_, from));
  git_oid next;
  int status = 0;
  while (!wanted.empty() && (status = git_revwalk_next(&next, walk.get())) == 0) {
    const auto id = from_git(next);
    if (wanted.erase(id) > 0) reached.push_back(id.hex());
  }
  if (status != 0 && status != GIT_ITEROVER) return git_error("walking commits", status);
  return reached;
}

}  // namespace germline::git
