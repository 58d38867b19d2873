#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "common/assert.hpp"
#include "common/git/repository.hpp"

namespace germline::cli {
namespace {

constexpr std::size_t max_have = 64;  // as FetchGeneration takes them

/// Root delivers to somebody else's repository as its owner, so that what is written there is
/// theirs; itself again when this ends. One at a time, and no other thread at work: the ids are the
/// process's.
class acting_as_owner {
 public:
  /// The owner of `path`, or nobody else where that is root or where this is not root.
  static result<acting_as_owner> of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return errno_error("looking at " + path, errno);
    acting_as_owner acting;
    if (::geteuid() != 0 || info.st_uid == 0) return acting;
    acting.acting_ = true;
    acting.groups_.resize(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    if (::getgroups(static_cast<int>(acting.groups_.size()), acting.groups_.data()) < 0 ||
        ::setgroups(0, nullptr) != 0 || ::setegid(info.st_gid) != 0 ||
        ::seteuid(info.st_uid) != 0) {
      return errno_error("becoming the owner of " + path, errno);
    }
    return acting;
  }
  acting_as_owner(acting_as_owner&& other) noexcept
      : acting_(std::exchange(other.acting_, false)), groups_(std::move(other.groups_)) {}
  acting_as_owner(const acting_as_owner&) = delete;
  acting_as_owner& operator=(const acting_as_owner&) = delete;
  acting_as_owner& operator=(acting_as_owner&&) = delete;
  ~acting_as_owner() {
    if (!acting_) return;
    // Root's real and saved ids stand, so these do not fail. The change of ids made the process
    // one that nobody may trace, a leak checker included.
    GERMLINE_ASSERT(::seteuid(0) == 0 && ::setegid(0) == 0 &&
                    ::setgroups(groups_.size(), groups_.data()) == 0);
    ::prctl(PR_SET_DUMPABLE, 1);
  }

 private:
  acting_as_owner() = default;
  bool acting_ = false;
  std::vector<gid_t> groups_;  // root's own
};

/// A repository to read.
result<git::repository> home_at(const std::string& place) {
  auto home = git::repository::open(place);
  if (home) return home;
  if (::faccessat(AT_FDCWD, place.c_str(), R_OK | X_OK, AT_EACCESS) != 0) {
    return errno_error("this account may not read " + place, errno);
  }
  if (home.error().code() == error_code::not_found) {
    return error(error_code::not_found, place +
                                            " is no git repository; name the one to deliver to "
                                            "with --repository");
  }
  return error(error_code::failed_precondition,
               place + " cannot be used as a git repository: " + home.error().message());
}

/// Whether objects and branches can be put into it.
result<void> check_writable(const git::repository& home) {
  for (const auto* part : {"", "objects", "refs", "refs/heads"}) {
    const auto path = home.path() + part;
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0 || errno == ENOENT) {
      continue;
    }
    return error(error_code::permission_denied,
                 "nothing was delivered: this account may not write to " + path + " (" +
                     std::strerror(errno) +
                     "). Try as the repository's owner, or name one of your own with --repository");
  }
  return {};
}

/// The commits that the repository's branches stand on, as many as may be named.
result<std::vector<std::string>> heads_of(const git::repository& home) {
  GERMLINE_TRY_ASSIGN(const auto refs, home.list_refs("refs/heads/"));
  std::vector<std::string> heads;
  for (const auto& ref : refs) {
    if (heads.size() == max_have) break;
    heads.push_back(ref.target);
  }
  return heads;
}

/// The generation that is meant: itself, or the newest one of a lineage or of a run that has one.
result<std::string> generation_of(control_client& client, const std::string& target) {
  v1::ShowRequest request;
  request.set_target(target);
  GERMLINE_TRY_ASSIGN(const auto shown, client.show(request));
  if (shown.has_generation()) return shown.generation().generation_id();
  const auto newest = [](const v1::LineageInfo& lineage) -> result<std::string> {
    if (!lineage.head_generation().empty()) return lineage.head_generation();
    return error(
        error_code::failed_precondition,
        lineage.lineage_id() + " has no generation yet; `germline tree` says how far it is");
  };
  if (shown.has_lineage()) return newest(shown.lineage());
  if (shown.has_run() && shown.run().lineages_size() == 1) return newest(shown.run().lineages(0));
  std::string names;
  for (const auto& each : shown.run().lineages()) names += "\n  " + each.lineage_id();
  return error(error_code::invalid_argument,
               shown.has_run() ? "'" + target + "' is a run of several lineages; name one:" + names
                               : "'" + target +
                                     "' is no generation; an iteration that was not born "
                                     "has none. See what it changed with `germline diff`");
}

struct delivery {
  std::string generation, commit, repository, branch;
};

result<delivery> deliver(const session& with, const promote_options& options) {
  control_client client(with.settings, *with.time);
  delivery made;
  GERMLINE_TRY_ASSIGN(made.generation, generation_of(client, options.target));
  v1::ShowRequest about;
  about.set_target(made.generation);
  GERMLINE_TRY_ASSIGN(const auto shown, client.show(about));
  made.commit = shown.generation().commit();
  made.branch = options.branch.empty() ? "germline/" + made.generation : options.branch;
  made.repository = options.repository;
  if (made.repository.empty()) {
    v1::GetTreeRequest whole;
    whole.set_target(shown.generation().lineage_id());
    GERMLINE_TRY_ASSIGN(const auto tree, client.get_tree(whole));
    made.repository = tree.run().repository();
  }
  std::error_code failed;
  const auto place = std::filesystem::canonical(made.repository, failed);
  if (failed) {
    return error(error_code::not_found, "no repository at '" + made.repository + "' (" +
                                            failed.message() + "); name one with --repository");
  }
  made.repository = place.string();
  GERMLINE_TRY_ASSIGN(const auto read, home_at(made.repository));
  {
    GERMLINE_TRY_ASSIGN(const auto owner, acting_as_owner::of(read.path()));
    GERMLINE_TRY(check_writable(read));
  }
  v1::FetchGenerationRequest request;
  request.set_generation(made.generation);
  GERMLINE_TRY_ASSIGN(const auto heads, heads_of(read));
  for (const auto& head : heads) request.add_have(head);
  GERMLINE_TRY_ASSIGN(const auto pack, client.fetch_generation(request));
  GERMLINE_TRY_ASSIGN(const auto owner, acting_as_owner::of(read.path()));
  GERMLINE_TRY_ASSIGN(auto home, home_at(made.repository));
  GERMLINE_TRY(home.deliver(made.commit, pack, made.branch));
  return made;
}

}  // namespace

exit_code run_promote(const session& with, const promote_options& options) {
  const auto made = deliver(with, options);
  if (!made) return with.fail(made.error());
  if (with.json) {
    with.data(nlohmann::ordered_json{{"generation_id", made->generation},
                                     {"commit", made->commit},
                                     {"repository", made->repository},
                                     {"branch", made->branch}}
                  .dump(2, ' ', true, nlohmann::json::error_handler_t::replace) +
              "\n");
    return exit_code::done;
  }
  with.data(safe_line(made->branch) + "\n");
  with.message(safe_line(made->generation) + " is the branch '" + safe_line(made->branch) +
               "' of " + safe_line(made->repository) + "; to take it over there:\n  git merge " +
               safe_line(made->branch));
  return exit_code::done;
}

}  // namespace germline::cli
