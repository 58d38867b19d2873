#include "worker/importer/tree_walk.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace germline::worker {
namespace {

using git::object_type;
using git::oid;
using git::tree_entry;

error over(std::string message) {
  return {error_code::resource_exhausted, std::move(message)};
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "/" + name;
}

}  // namespace

result<const git::pack_view::entry*> object_pool::find(const oid& id, object_type type) const {
  const auto* entry = parent_.find(id);
  if (entry == nullptr) entry = candidate_.find(id);
  if (entry == nullptr) {
    return error(error_code::invalid_argument,
                 "the " + std::string(git::to_string(type)) + " " + id.hex() + " is missing");
  }
  if (entry->type != type) {
    return error(error_code::invalid_argument,
                 "object " + id.hex() + " is a " + std::string(git::to_string(entry->type)) +
                     " in place of a " + std::string(git::to_string(type)));
  }
  return entry;
}

result<std::string> object_pool::read(const oid& id, object_type type) const {
  GERMLINE_TRY_ASSIGN(const auto* entry, find(id, type));
  return (is_known(id) ? parent_ : candidate_).read(*entry);
}

result<void> object_pool::expect(const oid& id, object_type type) const {
  GERMLINE_TRY(find(id, type));
  return {};
}

result<std::int64_t> object_pool::size(const oid& id, object_type type) const {
  GERMLINE_TRY_ASSIGN(const auto* entry, find(id, type));
  return static_cast<std::int64_t>(entry->size);
}

result<void> tree_walk::count(std::size_t more) {
  walked_ += static_cast<std::int64_t>(more);
  if (walked_ > limits_.walked_entries) {
    return over("the trees have more than " + std::to_string(limits_.walked_entries) +
                " entries in all");
  }
  return {};
}

result<const tree_walk::entries*> tree_walk::load(const oid& id) {
  GERMLINE_TRY_ASSIGN(const auto* here, parsed(id));
  GERMLINE_TRY(count(here->size() + 1));
  return here;
}

result<const tree_walk::entries*> tree_walk::parsed(const oid& id) {
  auto at = loaded_.find(id);
  if (at == loaded_.end()) {
    GERMLINE_TRY_ASSIGN(const auto bytes, pool_.read(id, object_type::tree));
    GERMLINE_TRY_ASSIGN(auto parsed, git::parse_tree(bytes, limits_.tree_entries));
    if (!pool_.is_known(id)) GERMLINE_TRY(git::judge_tree(bytes, parsed));
    at = loaded_.emplace(id, std::move(parsed)).first;
  }
  return &at->second;
}

result<void> tree_walk::judge(const oid& root, const oid& base) {
  if (root == base) return {};
  GERMLINE_TRY_ASSIGN(const auto* before, load(base));
  return judge_tree(root, before, "", 0);
}

result<void> tree_walk::judge_tree(const oid& id, const entries* base, const std::string& path,
                                   std::int64_t depth) {
  if (depth >= limits_.tree_depth) {
    return over("trees nest deeper than " + std::to_string(limits_.tree_depth));
  }
  if (!judged_.insert({id, depth}).second) return {};
  GERMLINE_TRY_ASSIGN(const auto* here, load(id));
  if (!pool_.is_known(id)) new_objects_.insert(id);
  std::unordered_map<std::string_view, const tree_entry*> before;
  if (base != nullptr) {
    for (const auto& entry : *base) before.emplace(entry.name, &entry);
  }
  for (const auto& entry : *here) {
    const auto same_name = before.find(entry.name);
    const auto* old = same_name == before.end() ? nullptr : same_name->second;
    GERMLINE_TRY(judge_entry(entry, old, path, depth));
  }
  return {};
}

result<void> tree_walk::judge_entry(const tree_entry& entry, const tree_entry* before,
                                    const std::string& path, std::int64_t depth) {
  if (before != nullptr && before->id == entry.id && before->mode == entry.mode) return {};
  const auto here = join(path, entry.name);
  if (here.size() > 4'095) return over("a path has more than 4095 bytes");
  if (entry.is_tree()) {
    const entries* below = nullptr;
    if (before != nullptr && before->is_tree()) {
      GERMLINE_TRY_ASSIGN(below, load(before->id));
    }
    return judge_tree(entry.id, below, here, depth + 1);
  }
  GERMLINE_TRY(pool_.expect(entry.id, object_type::blob));
  if (!pool_.is_known(entry.id)) new_objects_.insert(entry.id);
  if (entry.mode == static_cast<std::uint32_t>(git::entry_mode::symlink)) {
    GERMLINE_TRY_ASSIGN(const auto target, pool_.read(entry.id, object_type::blob));
    GERMLINE_TRY(git::judge_symlink(here, target));
  }
  return {};
}

result<void> tree_walk::bound_checkout(const oid& root) {
  GERMLINE_TRY_ASSIGN(const auto bytes, checkout_bytes(root, 0));
  if (bytes <= limits_.checkout_bytes) return {};
  return over("checked out, the files come to " + std::to_string(bytes) +
              " bytes in all; at most " + std::to_string(limits_.checkout_bytes) + " are taken");
}

/// Each tree is summed up once, however often it stands anywhere.
result<std::int64_t> tree_walk::checkout_bytes(const oid& id, std::int64_t depth) {
  constexpr std::int64_t enough = std::int64_t{1} << 61;  // two of these do not overflow
  if (depth >= limits_.tree_depth) {
    return over("trees nest deeper than " + std::to_string(limits_.tree_depth));
  }
  if (const auto known = checked_out_.find(id); known != checked_out_.end()) return known->second;
  GERMLINE_TRY_ASSIGN(const auto* here, parsed(id));
  std::int64_t sum = 0;
  for (const auto& entry : *here) {
    const auto bytes = entry.is_tree() ? checkout_bytes(entry.id, depth + 1)
                                       : pool_.size(entry.id, object_type::blob);
    if (!bytes) return bytes.error();
    sum = std::min(sum + *bytes, enough);
  }
  checked_out_.emplace(id, sum);
  return sum;
}

result<void> tree_walk::compare(const oid& root, const oid& base,
                                const std::function<result<void>(const std::string&)>& changed) {
  changed_ = &changed;
  return root == base ? result<void>() : compare_trees(&root, &base, "", 0);
}

result<void> tree_walk::compare_trees(const oid* now, const oid* before, const std::string& path,
                                      std::int64_t depth) {
  if (depth >= limits_.tree_depth) {
    return over("trees nest deeper than " + std::to_string(limits_.tree_depth));
  }
  static const entries none;
  const entries* after_entries = &none;
  const entries* before_entries = &none;
  if (now != nullptr) {
    GERMLINE_TRY_ASSIGN(after_entries, load(*now));
  }
  if (before != nullptr) {
    GERMLINE_TRY_ASSIGN(before_entries, load(*before));
  }
  std::map<std::string_view, std::pair<const tree_entry*, const tree_entry*>> by_name;
  for (const auto& entry : *after_entries) by_name[entry.name].first = &entry;
  for (const auto& entry : *before_entries) by_name[entry.name].second = &entry;
  for (const auto& [name, pair] : by_name) {
    GERMLINE_TRY(compare_entry(pair.first, pair.second, join(path, std::string(name)), depth));
  }
  return {};
}

result<void> tree_walk::compare_entry(const tree_entry* now, const tree_entry* before,
                                      const std::string& path, std::int64_t depth) {
  if (now != nullptr && before != nullptr && now->id == before->id && now->mode == before->mode) {
    return {};
  }
  const bool tree_now = now != nullptr && now->is_tree();
  const bool tree_before = before != nullptr && before->is_tree();
  if ((now != nullptr && !tree_now) || (before != nullptr && !tree_before)) {
    GERMLINE_TRY((*changed_)(path));
  }
  if (tree_now || tree_before) {
    return compare_trees(tree_now ? &now->id : nullptr, tree_before ? &before->id : nullptr, path,
                         depth + 1);
  }
  return {};
}

}  // namespace germline::worker
