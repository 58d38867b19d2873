#include "common/git/repository.hpp"

#include <algorithm>
#include <limits>

#include "common/git/commit.hpp"
#include "common/git/repository_impl.hpp"

namespace germline::git {

const std::string zero_oid(40, '0');

result<std::string> repository::impl::read_object(const oid& id, object_type type) const {
  git_odb_object* raw = nullptr;
  const auto wanted = to_git(id);
  if (const int status = git_odb_read(&raw, odb.get(), &wanted); status != 0) {
    return git_error("reading object " + id.hex(), status);
  }
  const odb_object_handle object(raw);
  if (git_odb_object_type(raw) != static_cast<git_object_t>(type)) {
    return error(error_code::invalid_argument,
                 "object " + id.hex() + " is not a " + std::string(to_string(type)));
  }
  return std::string(static_cast<const char*>(git_odb_object_data(raw)), git_odb_object_size(raw));
}

result<oid> repository::impl::write_object(object_type type, std::string_view bytes) {
  git_oid id;
  const int status =
      git_odb_write(&id, odb.get(), bytes.data(), bytes.size(), static_cast<git_object_t>(type));
  if (status != 0) return git_error("writing an object", status);
  return from_git(id);
}

result<object_type> repository::impl::type_of(const oid& id) const {
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  const auto wanted = to_git(id);
  if (const int status = git_odb_read_header(&size, &type, odb.get(), &wanted); status != 0) {
    return git_error("looking up object " + id.hex(), status);
  }
  return static_cast<object_type>(type);
}

bool repository::impl::has(const oid& id) const {
  const auto wanted = to_git(id);
  return git_odb_exists(odb.get(), &wanted) == 1;
}

result<oid> repository::impl::tree_of(const std::string& commit) const {
  GERMLINE_TRY_ASSIGN(const auto id, oid::parse(commit));
  git_commit* raw = nullptr;
  const auto wanted = to_git(id);
  if (const int status = git_commit_lookup(&raw, repo.get(), &wanted); status != 0) {
    return git_error("reading commit " + commit, status);
  }
  const commit_handle found(raw);
  return from_git(*git_commit_tree_id(raw));
}

tree_reader repository::impl::reader() const {
  return [this](const oid& id) { return read_object(id, object_type::tree); };
}

repository::repository(std::unique_ptr<impl> state, std::string path)
    : impl_(std::move(state)), path_(std::move(path)) {}
repository::repository(repository&&) noexcept = default;
repository& repository::operator=(repository&&) noexcept = default;
repository::~repository() = default;

result<repository> repository::init_bare(const std::string& path) {
  init_libgit2();
  git_repository_init_options options;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
  options.initial_head = "main";
  git_repository* raw = nullptr;
  if (const int status = git_repository_init_ext(&raw, path.c_str(), &options); status != 0) {
    return git_error("making the repository " + path, status);
  }
  const repository_handle made(raw);
  return open(path);
}

result<repository> repository::open(const std::string& path) {
  init_libgit2();
  auto state = std::make_unique<impl>();
  git_repository* raw = nullptr;
  if (const int status =
          git_repository_open_ext(&raw, path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
      status != 0) {
    return git_error("opening the repository " + path, status);
  }
  state->repo.reset(raw);
  git_odb* odb = nullptr;
  if (const int status = git_repository_odb(&odb, raw); status != 0) {
    return git_error("opening the objects of " + path, status);
  }
  state->odb.reset(odb);
  git_repository_set_ident(raw, "Germline", "germline@localhost");
  // Of a linked working tree too: what is shared with the others.
  std::string home = git_repository_commondir(raw);
  return repository(std::move(state), std::move(home));
}

bool repository::has_object(const std::string& id) const {
  const auto parsed = oid::parse(id);
  return parsed && impl_->has(*parsed);
}

result<commit_info> repository::read_commit(const std::string& id) const {
  GERMLINE_TRY_ASSIGN(const auto parsed, oid::parse(id));
  git_commit* raw = nullptr;
  const auto wanted = to_git(parsed);
  if (const int status = git_commit_lookup(&raw, impl_->repo.get(), &wanted); status != 0) {
    return git_error("reading commit " + id, status);
  }
  const commit_handle found(raw);
  commit_info info;
  info.id = id;
  info.tree = from_git(*git_commit_tree_id(raw)).hex();
  for (unsigned i = 0; i < git_commit_parentcount(raw); ++i) {
    info.parents.push_back(from_git(*git_commit_parent_id(raw, i)).hex());
  }
  const auto* author = git_commit_author(raw);
  info.author_name = author->name;
  info.author_email = author->email;
  info.message = git_commit_message(raw);
  info.time_s = git_commit_time(raw);
  return info;
}

result<path_kind> repository::kind_at(const std::string& commit, const std::string& path) const {
  GERMLINE_TRY_ASSIGN(const auto tree, impl_->tree_of(commit));
  GERMLINE_TRY_ASSIGN(const auto entry, find_entry(tree, path, impl_->reader()));
  switch (static_cast<entry_mode>(entry.mode)) {
    case entry_mode::file:
      return path_kind::file;
    case entry_mode::executable:
      return path_kind::executable;
    case entry_mode::tree:
      return path_kind::folder;
    case entry_mode::symlink:
    case entry_mode::submodule:
      break;
  }
  return entry.mode == 0 ? path_kind::none : path_kind::other;
}

result<std::string> repository::read_file_at(const std::string& commit, const std::string& path,
                                             std::size_t max_bytes) const {
  GERMLINE_TRY_ASSIGN(const auto tree, impl_->tree_of(commit));
  GERMLINE_TRY_ASSIGN(const auto entry, find_entry(tree, path, impl_->reader()));
  if (entry.mode == 0) {
    return error(error_code::not_found, "there is no '" + path + "' at commit " + commit);
  }
  if (entry.mode != static_cast<std::uint32_t>(entry_mode::file) &&
      entry.mode != static_cast<std::uint32_t>(entry_mode::executable)) {
    return error(error_code::invalid_argument,
                 "'" + path + "' at commit " + commit + " is not a regular file");
  }
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  const auto wanted = to_git(entry.id);
  if (const int status = git_odb_read_header(&size, &type, impl_->odb.get(), &wanted);
      status != 0) {
    return git_error("reading '" + path + "'", status);
  }
  if (size > max_bytes) {
    return error(error_code::resource_exhausted, "'" + path + "' at commit " + commit + " has " +
                                                     std::to_string(size) + " bytes (limit " +
                                                     std::to_string(max_bytes) + ")");
  }
  return impl_->read_object(entry.id, object_type::blob);
}

result<std::vector<file_info>> repository::list_tree(const std::string& commit,
                                                     std::size_t entries_max) const {
  GERMLINE_TRY_ASSIGN(const auto root, impl_->tree_of(commit));
  struct folder {
    std::string prefix;
    oid id;
  };
  std::vector<folder> open = {{"", root}};
  std::vector<file_info> files;
  std::size_t seen = 0;
  while (!open.empty()) {
    const auto here = std::move(open.back());
    open.pop_back();
    GERMLINE_TRY_ASSIGN(const auto bytes, impl_->read_object(here.id, object_type::tree));
    GERMLINE_TRY_ASSIGN(const auto entries,
                        parse_tree(bytes, std::numeric_limits<std::int64_t>::max()));
    for (const auto& entry : entries) {
      if (++seen > entries_max) {
        return error(error_code::resource_exhausted, "the tree of " + commit + " has more than " +
                                                         std::to_string(entries_max) + " entries");
      }
      auto path = here.prefix + entry.name;
      if (entry.is_tree()) {
        open.push_back({path + "/", entry.id});
        continue;
      }
      file_info info{std::move(path), entry.mode, 0, entry.id.hex()};
      std::size_t size = 0;
      git_object_t type = GIT_OBJECT_INVALID;
      const auto wanted = to_git(entry.id);
      if (git_odb_read_header(&size, &type, impl_->odb.get(), &wanted) == 0) {
        info.size_bytes = static_cast<std::int64_t>(size);
      }
      files.push_back(std::move(info));
    }
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

result<std::string> repository::write_commit(const new_commit& what) {
  commit_text text;
  GERMLINE_TRY_ASSIGN(text.tree, oid::parse(what.tree));
  for (const auto& parent : what.parents) {
    GERMLINE_TRY_ASSIGN(auto id, oid::parse(parent));
    if (!impl_->has(id)) return error(error_code::not_found, "there is no commit " + parent);
    text.parents.push_back(id);
  }
  if (!impl_->has(text.tree)) return error(error_code::not_found, "there is no tree " + what.tree);
  text.name = what.author_name;
  text.email = what.author_email;
  text.time_s = what.time_s;
  text.message = "\n" + what.message;
  GERMLINE_TRY_ASSIGN(const auto id,
                      impl_->write_object(object_type::commit, git::write_commit(text)));
  return id.hex();
}

namespace {

/// Runs edit_tree with a writer that may fail.
result<std::string> edit_and_write(const oid& root, std::string_view path, const tree_entry* entry,
                                   const tree_reader& read,
                                   const std::function<result<oid>(std::string_view)>& write) {
  std::optional<error> failed;
  GERMLINE_TRY_ASSIGN(const auto tree,
                      edit_tree(root, path, entry, read, [&](std::string_view bytes) {
                        auto written = write(bytes);
                        if (!written) failed = written.error();
                        return written ? *written : oid{};
                      }));
  if (failed) return *failed;
  return tree.hex();
}

}  // namespace

result<std::string> repository::replace_file(const std::string& base_commit,
                                             const std::string& path, std::string_view bytes) {
  GERMLINE_TRY(judge_path(path));
  GERMLINE_TRY_ASSIGN(const auto root, impl_->tree_of(base_commit));
  GERMLINE_TRY_ASSIGN(auto entry, find_entry(root, path, impl_->reader()));
  if (entry.mode != static_cast<std::uint32_t>(entry_mode::executable)) {
    entry.mode = static_cast<std::uint32_t>(entry_mode::file);
  }
  GERMLINE_TRY_ASSIGN(entry.id, impl_->write_object(object_type::blob, bytes));
  return edit_and_write(root, path, &entry, impl_->reader(), [this](std::string_view tree) {
    return impl_->write_object(object_type::tree, tree);
  });
}

result<std::string> repository::tree_with_file_from(const std::string& source_commit,
                                                    const std::string& path,
                                                    const std::string& from_commit) {
  GERMLINE_TRY_ASSIGN(const auto root, impl_->tree_of(source_commit));
  GERMLINE_TRY_ASSIGN(const auto from, impl_->tree_of(from_commit));
  GERMLINE_TRY_ASSIGN(const auto entry, find_entry(from, path, impl_->reader()));
  return edit_and_write(
      root, path, entry.mode == 0 ? nullptr : &entry, impl_->reader(),
      [this](std::string_view tree) { return impl_->write_object(object_type::tree, tree); });
}

result<std::string> repository::tree_of_graft(const graft& what) {
  const auto write = [this](std::string_view tree) {
    return impl_->write_object(object_type::tree, tree);
  };
  GERMLINE_TRY_ASSIGN(auto root, impl_->tree_of(what.source));
  GERMLINE_TRY_ASSIGN(const auto base, impl_->tree_of(what.base));
  if (!what.folder.empty()) {
    GERMLINE_TRY_ASSIGN(const auto source, find_entry(root, what.folder, impl_->reader()));
    if (!source.is_tree()) {
      return error(error_code::invalid_argument, "there is no folder '" + what.folder + "' in it");
    }
    GERMLINE_TRY_ASSIGN(const auto put,
                        edit_and_write(base, what.folder, &source, impl_->reader(), write));
    GERMLINE_TRY_ASSIGN(root, oid::parse(put));
  }
  GERMLINE_TRY_ASSIGN(const auto kept, find_entry(base, what.kept, impl_->reader()));
  return edit_and_write(root, what.kept, kept.mode == 0 ? nullptr : &kept, impl_->reader(), write);
}

result<std::string> repository::tree_of(const std::string& commit) const {
  GERMLINE_TRY_ASSIGN(const auto root, impl_->tree_of(commit));
  return root.hex();
}

result<std::string> repository::source_id_of(const std::string& commit, std::string_view folder,
                                             std::string_view context_path) const {
  GERMLINE_TRY_ASSIGN(const auto root, impl_->tree_of(commit));
  return source_id(root, folder, context_path, impl_->reader());
}

}  // namespace germline::git
