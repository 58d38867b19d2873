#include "common/git/source_id.hpp"

#include <algorithm>
#include <limits>

#include "common/git/pack_writer.hpp"
#include "common/hash.hpp"

namespace germline::git {
namespace {

constexpr auto any_number = std::numeric_limits<std::int64_t>::max();
constexpr auto tree_mode = static_cast<std::uint32_t>(entry_mode::tree);

struct split_path {
  std::string_view first, rest;
};

split_path split(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

auto find(std::vector<tree_entry>& entries, std::string_view name) {
  return std::find_if(entries.begin(), entries.end(),
                      [&](const tree_entry& e) { return e.name == name; });
}

using tree_writer = std::function<oid(std::string_view)>;

/// The edited tree, or a zero id when it would be empty.
result<oid> edit_below(std::vector<tree_entry> entries, std::string_view path,
                       const tree_entry* entry, const tree_reader& read, const tree_writer& write) {
  const auto [first, rest] = split(path);
  if (first.empty()) return error(error_code::invalid_argument, "a path has an empty part");
  auto at = find(entries, first);
  if (rest.empty()) {
    if (at != entries.end()) entries.erase(at);
    if (entry != nullptr) {
      entries.push_back(*entry);
      entries.back().name = first;
    }
  } else {
    std::vector<tree_entry> below;
    if (at != entries.end()) {
      if (!at->is_tree()) {
        return error(error_code::invalid_argument, "'" + std::string(first) + "' is not a folder");
      }
      GERMLINE_TRY_ASSIGN(const auto bytes, read(at->id));
      GERMLINE_TRY_ASSIGN(below, parse_tree(bytes, any_number));
    }
    GERMLINE_TRY_ASSIGN(const auto id, edit_below(std::move(below), rest, entry, read, write));
    at = find(entries, first);
    if (at != entries.end()) entries.erase(at);
    if (!id.is_zero()) entries.push_back({tree_mode, std::string(first), id});
  }
  if (entries.empty()) return oid{};
  return write(write_tree(std::move(entries)));
}

void update_with_length(sha256& digest, std::string_view part) {
  digest.update(std::to_string(part.size()) + ":");
  digest.update(part);
}

}  // namespace

result<oid> edit_tree(const oid& root, std::string_view path, const tree_entry* entry,
                      const tree_reader& read, const tree_writer& write) {
  GERMLINE_TRY_ASSIGN(const auto bytes, read(root));
  GERMLINE_TRY_ASSIGN(auto entries, parse_tree(bytes, any_number));
  GERMLINE_TRY_ASSIGN(const auto id, edit_below(std::move(entries), path, entry, read, write));
  return id.is_zero() ? write("") : id;
}

result<tree_entry> find_entry(const oid& root, std::string_view path, const tree_reader& read) {
  tree_entry here{tree_mode, "", root};
  while (!path.empty()) {
    if (!here.is_tree()) return tree_entry{};
    GERMLINE_TRY_ASSIGN(const auto bytes, read(here.id));
    GERMLINE_TRY_ASSIGN(auto entries, parse_tree(bytes, any_number));
    const auto [first, rest] = split(path);
    const auto at = find(entries, first);
    if (at == entries.end()) return tree_entry{};
    here = *at;
    path = rest;
  }
  return here;
}

result<std::string> source_id(const oid& root_tree, std::string_view folder,
                              std::string_view context_path, const tree_reader& read) {
  GERMLINE_TRY_ASSIGN(const auto at, find_entry(root_tree, folder, read));
  if (!at.is_tree()) {
    return error(error_code::not_found, "there is no folder '" + std::string(folder) + "'");
  }
  GERMLINE_TRY_ASSIGN(const auto entry, find_entry(at.id, context_path, read));
  auto id = at.id;
  if (entry.mode != 0) {
    const auto hash_only = [](std::string_view bytes) {
      return hash_object(object_type::tree, bytes);
    };
    GERMLINE_TRY_ASSIGN(id, edit_tree(at.id, context_path, nullptr, read, hash_only));
  }
  sha256 digest;
  update_with_length(digest, "germline source 1");
  update_with_length(digest, id.hex());
  return digest.finish_hex();
}

std::string build_id(std::string_view source_id, std::string_view base_digest,
                     std::string_view build_command, const std::vector<std::string>& artefact) {
  sha256 digest;
  update_with_length(digest, "germline build 1");
  update_with_length(digest, source_id);
  update_with_length(digest, base_digest);
  update_with_length(digest, build_command);
  for (const auto& path : artefact) update_with_length(digest, path);
  return digest.finish_hex();
}

}  // namespace germline::git
