#include "common/git/handles.hpp"

#include <mutex>

namespace germline::git {

void init_libgit2() {
  static std::once_flag once;
  std::call_once(once, [] {
    GERMLINE_ASSERT(git_libgit2_init() > 0);
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                            GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      GERMLINE_ASSERT(git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "") == 0);
    }
    git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "");
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    // Nothing of a repository is run or obeyed here: its objects and refs are read as data, and a
    // user may well point at a repository that belongs to somebody else.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  });
}

error git_error(std::string_view doing, int status) {
  const auto* last = ::git_error_last();
  const std::string text =
      std::string(doing) + ": " +
      (last != nullptr && last->message != nullptr ? last->message : "unknown git error");
  switch (status) {
    case GIT_ENOTFOUND:
      return {error_code::not_found, text};
    case GIT_EEXISTS:
      return {error_code::already_exists, text};
    case GIT_EMODIFIED:
      return {error_code::failed_precondition, text};
    case GIT_EINVALIDSPEC:
      return {error_code::invalid_argument, text};
    case GIT_ELOCKED:
      return {error_code::unavailable, text};
    default:
      return {error_code::internal, text};
  }
}

}  // namespace germline::git
