#include <filesystem>

#include "common/git/repository_impl.hpp"

namespace germline::git {
namespace {

std::string branch_list(const repository& where) {
  const auto refs = where.list_refs("refs/heads/");
  std::string text;
  std::size_t count = 0;
  for (const auto& ref : refs ? *refs : std::vector<ref_info>()) {
    if (++count > 20) return text + ", …";
    text += (text.empty() ? "" : ", ") + ref.name.substr(sizeof("refs/heads/") - 1);
  }
  return text;
}

struct diff_text_state {
  std::string text;
  std::size_t max_bytes;
  bool cut = false;
};

int append_line(const git_diff_delta*, const git_diff_hunk*, const git_diff_line* line,
                void* payload) {
  auto& state = *static_cast<diff_text_state*>(payload);
  if (state.text.size() + line->content_len + 1 > state.max_bytes) {
    state.cut = true;
    return GIT_EUSER;
  }
  if (line->origin == '+' || line->origin == '-' || line->origin == ' ') state.text += line->origin;
  state.text.append(line->content, line->content_len);
  return 0;
}

result<tree_handle> lookup_tree(git_repository* repo, const oid& id) {
  git_tree* raw = nullptr;
  const auto wanted = to_git(id);
  if (const int status = git_tree_lookup(&raw, repo, &wanted); status != 0) {
    return git_error("reading tree " + id.hex(), status);
  }
  return tree_handle(raw);
}

/// Judges the whole tree of a seed: what is refused of a candidate is refused of a seed.
result<void> judge_files(const repository& from, const std::string& commit) {
  GERMLINE_TRY_ASSIGN(const auto files, from.list_tree(commit));
  const auto checkout_bytes_max = object_limits().checkout_bytes;
  std::int64_t checkout_bytes = 0;
  for (const auto& file : files) {
    checkout_bytes += file.size_bytes;
    if (file.mode == static_cast<std::uint32_t>(entry_mode::submodule)) {
      return error(error_code::invalid_argument,
                   "'" + file.path + "' is a submodule; a genome must hold its files itself");
    }
    std::string_view rest = file.path;
    while (!rest.empty()) {
      const auto slash = rest.find('/');
      GERMLINE_TRY(judge_name(rest.substr(0, slash)));
      rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    }
  }
  if (checkout_bytes > checkout_bytes_max) {
    return error(error_code::invalid_argument,
                 "checked out, the files of " + commit + " come to " +
                     std::to_string(checkout_bytes) + " bytes in all; at most " +
                     std::to_string(checkout_bytes_max) + " are taken");
  }
  return {};
}

/// A person's own settings of git, as long as it lives. Otherwise nobody's are read, see
/// handles.cpp.
class settings_in_force {
 public:
  explicit settings_in_force(const repository::user_settings& user) { set(user.home, user.xdg); }
  settings_in_force(const settings_in_force&) = delete;
  settings_in_force& operator=(const settings_in_force&) = delete;
  ~settings_in_force() { set("", ""); }

 private:
  static void set(const std::string& home, const std::string& xdg) {
    init_libgit2();
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, home.c_str());
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, xdg.c_str());
  }
};

/// Whether the repository's own work tree or another that belongs to it stands on the branch.
bool is_checked_out(git_repository* repo, const std::string& ref) {
  git_reference* raw = nullptr;
  if (git_reference_lookup(&raw, repo, ref.c_str()) != 0) return false;
  const reference_handle branch(raw);
  return git_branch_is_checked_out(raw) == 1;
}

}  // namespace

result<std::string> repository::diff_text(const std::string& from, const std::string& to,
                                          std::size_t max_bytes) const {
  GERMLINE_TRY_ASSIGN(const auto old_id, impl_->tree_of(from));
  GERMLINE_TRY_ASSIGN(const auto new_id, impl_->tree_of(to));
  GERMLINE_TRY_ASSIGN(const auto old_tree, lookup_tree(impl_->repo.get(), old_id));
  GERMLINE_TRY_ASSIGN(const auto new_tree, lookup_tree(impl_->repo.get(), new_id));
  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.max_size = 1 << 20;
  git_diff* raw = nullptr;
  if (const int status =
          git_diff_tree_to_tree(&raw, impl_->repo.get(), old_tree.get(), new_tree.get(), &options);
      status != 0) {
    return git_error("comparing " + from + " and " + to, status);
  }
  const diff_handle diff(raw);
  diff_text_state state{{}, max_bytes};
  const int status = git_diff_print(raw, GIT_DIFF_FORMAT_PATCH, append_line, &state);
  if (status != 0 && !state.cut) return git_error("writing the difference", status);
  if (state.cut)
    state.text +=
        "(the difference goes on: it has more than " + std::to_string(max_bytes) + " bytes)\n";
  return std::move(state.text);
}

result<std::vector<commit_info>> repository::log(const std::string& head, std::size_t count) const {
  std::vector<commit_info> commits;
  for (auto next = head; commits.size() < count;) {
    GERMLINE_TRY_ASSIGN(auto info, read_commit(next));
    const bool last = info.parents.empty();
    if (!last) next = info.parents.front();
    commits.push_back(std::move(info));
    if (last) break;
  }
  return commits;
}

result<bool> repository::is_ancestor(const std::string& ancestor,
                                     const std::string& descendant) const {
  GERMLINE_TRY_ASSIGN(const auto above, oid::parse(ancestor));
  GERMLINE_TRY_ASSIGN(const auto below, oid::parse(descendant));
  if (above == below) return true;
  const auto parent = to_git(above);
  const auto child = to_git(below);
  const int status = git_graph_descendant_of(impl_->repo.get(), &child, &parent);
  if (status < 0) return git_error("looking for " + ancestor + " above " + descendant, status);
  return status == 1;
}

result<void> repository::judge_seed(const std::string& commit) const {
  GERMLINE_TRY(judge_files(*this, commit));
  // What came with a pack may lack what it names.
  GERMLINE_TRY_ASSIGN(const auto files, list_tree(commit));
  for (const auto& file : files) {
    if (!has_object(file.id)) return error(error_code::not_found, file.path + " is not there");
  }
  return {};
}

result<repository::seed> repository::export_seed(const std::string& path, const std::string& branch,
                                                 std::int64_t max_pack_bytes,
                                                 const std::vector<std::string>& others) {
  auto opened = open(path);
  if (!opened) {
    return error(error_code::not_found,
                 "'" + path + "' is not a git repository (" + opened.error().message() + ")");
  }
  const auto& from = *opened;
  if (git_repository_is_shallow(from.impl_->repo.get()) == 1) {
    return error(error_code::failed_precondition,
                 "'" + path + "' is a shallow clone; run `git fetch --unshallow` in it first");
  }
  seed taken{"", branch, ""};
  if (branch.empty()) {
    git_reference* raw = nullptr;
    const int status = git_repository_head(&raw, from.impl_->repo.get());
    const reference_handle head(raw);
    const auto branches = branch_list(from);
    if (status != 0) {
      return error(error_code::not_found,
                   branches.empty()
                       ? "'" + path + "' has no commit yet; commit the genome first"
                       : "'" + path + "' has no current branch; name one of: " + branches);
    }
    if (git_repository_head_detached(from.impl_->repo.get()) == 1) {
      return error(
          error_code::not_found,
          "'" + path + "' has no current branch (HEAD is detached); name one of: " + branches);
    }
    taken.branch = git_reference_shorthand(raw);
  }
  GERMLINE_TRY_ASSIGN(const auto target, from.resolve("refs/heads/" + taken.branch));
  if (!target) {
    const auto branches = branch_list(from);
    return error(error_code::not_found,
                 "'" + path + "' has no branch '" + taken.branch + "'; " +
                     (branches.empty() ? "it has no commit yet" : "it has: " + branches));
  }
  taken.commit = *target;
  if (auto judged = judge_files(from, taken.commit); !judged) {
    return judged.error().within("the branch '" + taken.branch + "' of '" + path + "'");
  }
  std::vector<std::string> wanted{taken.commit};
  for (const auto& other : others) {
    if (!from.has_object(other)) continue;
    taken.others.push_back(other);
    wanted.push_back(other);
  }
  GERMLINE_TRY_ASSIGN(taken.pack, from.make_pack(wanted, {}, max_pack_bytes));
  return taken;
}

result<void> repository::import_seed(const seed& what) {
  GERMLINE_TRY_ASSIGN(const auto id, oid::parse(what.commit));
  object_limits limits;  // a history, not one candidate
  limits.objects = 2'000'000;
  limits.total_bytes = std::int64_t{4} << 30;
  limits.blob_bytes = 256 << 20;
  GERMLINE_TRY(pack_view::open(what.pack, limits));
  bool lacks = !impl_->has(id);
  for (const auto& other : what.others) lacks = lacks || !has_object(other);
  if (lacks) GERMLINE_TRY(impl_->store_pack(what.pack));
  if (!impl_->has(id)) return error(error_code::not_found, "the pack lacks " + what.commit);
  return judge_files(*this, what.commit);
}

result<repository::imported> repository::import_branch(const std::string& path,
                                                       const std::string& branch,
                                                       const std::vector<std::string>& others) {
  constexpr std::int64_t max_pack_bytes = std::int64_t{1} << 30;
  GERMLINE_TRY_ASSIGN(const auto taken, export_seed(path, branch, max_pack_bytes, others));
  GERMLINE_TRY(import_seed(taken));
  return imported{taken.commit, taken.branch};
}

result<std::vector<std::string>> repository::uncommitted(const std::string& path,
                                                         const std::string& branch,
                                                         const std::string& folder,
                                                         const user_settings& user) {
  const settings_in_force theirs(user);
  GERMLINE_TRY_ASSIGN(const auto from, open(path));
  auto* repo = from.impl_->repo.get();
  git_reference* raw = nullptr;
  if (git_repository_is_bare(repo) == 1 || git_repository_head(&raw, repo) != 0) {
    return std::vector<std::string>();
  }
  const reference_handle head(raw);
  if (git_repository_head_detached(repo) == 1 || git_reference_shorthand(raw) != branch) {
    return std::vector<std::string>();
  }
  git_status_options options = GIT_STATUS_OPTIONS_INIT;
  options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_EXCLUDE_SUBMODULES |
                  GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
  std::string within = folder;
  char* paths[] = {within.data()};
  if (!within.empty()) options.pathspec = {paths, 1};
  git_status_list* list = nullptr;
  const int status = git_status_list_new(&list, repo, &options);
  const status_handle found(list);
  if (status != 0) return git_error("reading what is not committed", status);
  std::vector<std::string> files;
  for (std::size_t i = 0; i < git_status_list_entrycount(list); ++i) {
    const auto* entry = git_status_byindex(list, i);
    const auto* delta =
        entry->index_to_workdir != nullptr ? entry->index_to_workdir : entry->head_to_index;
    if (delta == nullptr) continue;
    const auto* name =
        delta->new_file.path != nullptr ? delta->new_file.path : delta->old_file.path;
    if (name != nullptr) files.emplace_back(name);
  }
  return files;
}

result<void> repository::deliver(const std::string& commit, std::string_view pack,
                                 const std::string& branch) {
  const auto ref = "refs/heads/" + branch;
  int valid = 0;
  if (git_reference_name_is_valid(&valid, ref.c_str()) != 0 || valid == 0) {
    return error(error_code::invalid_argument, "'" + branch + "' cannot be a branch's name");
  }
  GERMLINE_TRY_ASSIGN(const auto id, oid::parse(commit));
  GERMLINE_TRY_ASSIGN(const auto now, resolve(ref));
  if (now && *now == commit) return {};
  if (now && is_checked_out(impl_->repo.get(), ref)) {
    return error(error_code::failed_precondition,
                 "the branch '" + branch + "' is checked out in '" + path_ +
                     "'; deliver to another branch and merge it there");
  }
  if (!impl_->has(id)) GERMLINE_TRY(impl_->store_pack(pack));
  if (now) {
    GERMLINE_TRY_ASSIGN(const auto forward, is_ancestor(*now, commit));
    if (!forward) {
      return error(error_code::failed_precondition,
                   "the branch '" + branch + "' of '" + path_ + "' has commits that " + commit +
                       " does not descend from; deliver to another branch and merge it there");
    }
  }
  return update_ref(ref, commit, now ? *now : zero_oid, "germline: promote");
}

}  // namespace germline::git
