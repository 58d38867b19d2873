// handles: libgit2's objects as owned values, and its errors as results. For common/git's own
// sources; callers of the library include repository.hpp.
#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/git/oid.hpp"
#include "common/result.hpp"

namespace germline::git {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* handle) const noexcept {
    Free(handle);
  }
};

using repository_handle = std::unique_ptr<git_repository, freed_by<git_repository_free>>;
using odb_handle = std::unique_ptr<git_odb, freed_by<git_odb_free>>;
using odb_object_handle = std::unique_ptr<git_odb_object, freed_by<git_odb_object_free>>;
using commit_handle = std::unique_ptr<git_commit, freed_by<git_commit_free>>;
using tree_handle = std::unique_ptr<git_tree, freed_by<git_tree_free>>;
using reference_handle = std::unique_ptr<git_reference, freed_by<git_reference_free>>;
using indexer_handle = std::unique_ptr<git_indexer, freed_by<git_indexer_free>>;
using diff_handle = std::unique_ptr<git_diff, freed_by<git_diff_free>>;
using status_handle = std::unique_ptr<git_status_list, freed_by<git_status_list_free>>;
using revwalk_handle = std::unique_ptr<git_revwalk, freed_by<git_revwalk_free>>;
using ref_iterator_handle =
    std::unique_ptr<git_reference_iterator, freed_by<git_reference_iterator_free>>;

/// Starts libgit2 once in the process, with no search path for configuration files, no templates,
/// and strict checking of the objects that it makes. Thread-safe.
void init_libgit2();

/// libgit2's last error of this thread as an error of ours.
error git_error(std::string_view doing, int status);

inline git_oid to_git(const oid& id) {
  git_oid raw;
  git_oid_fromraw(&raw, id.bytes.data());
  return raw;
}
inline oid from_git(const git_oid& id) {
  return oid::from_raw({reinterpret_cast<const char*>(id.id), GIT_OID_RAWSZ});
}

}  // namespace germline::git
