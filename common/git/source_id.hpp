// source_id: names what a generation *is*, apart from its memory: the tree without the context
// file; and build_id, which names what building it gives. Pure but for reading the repository.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/git/tree.hpp"
#include "common/result.hpp"

namespace germline::git {

/// Reads a tree's raw bytes by id.
using tree_reader = std::function<result<std::string>(const oid&)>;

/// SHA-256 over the genome folder's tree with `context_path` (relative to the folder) taken out. A
/// folder "" is the root. not_found when there is no such folder.
result<std::string> source_id(const oid& root_tree, std::string_view folder,
                              std::string_view context_path, const tree_reader& read);

/// SHA-256 over all that determines an artefact, each part with its length before it.
std::string build_id(std::string_view source_id, std::string_view base_digest,
                     std::string_view build_command, const std::vector<std::string>& artefact);

/// The id of the tree in which the entry at `path` is replaced, or put in when it is not there, or
/// with no entry given taken out; a folder that this leaves empty goes too. New trees are passed to
/// `write`, which returns their ids. A path through something that is no tree: invalid_argument.
result<oid> edit_tree(const oid& root, std::string_view path, const tree_entry* entry,
                      const tree_reader& read, const std::function<oid(std::string_view)>& write);

/// The entry at a path, or none (an entry with mode 0).
result<tree_entry> find_entry(const oid& root, std::string_view path, const tree_reader& read);

}  // namespace germline::git
