#include "worker/importer/import.hpp"

#include <algorithm>

#include "common/context/agent_context.hpp"
#include "common/git/commit.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/source_id.hpp"
#include "common/text/change_sketch.hpp"
#include "common/text/glob.hpp"
#include "worker/importer/tree_walk.hpp"

namespace germline::worker {
namespace {

using git::object_type;
using git::oid;

constexpr std::size_t changed_paths_max = 1'000;
constexpr std::size_t changed_bytes_max = 256 * 1024;
constexpr std::size_t details_bytes_max = 4'096;
// What a candidate that was not born may leave for reading, for as long as the record is kept.
constexpr std::size_t raw_bytes_max = 4 << 20;
// Of what is compared with other changes; a larger change is compared with none.
constexpr std::size_t sketched_paths_max = 1'000;
constexpr std::size_t sketched_bytes_max = 2 << 20;
constexpr std::string_view manifest_path = "genome.toml";

/// One import, from start to verdict. Its parts below are in the order in which they run.
class importer {
 public:
  importer(const import_job& job, const git::pack_view& parent_pack,
           const git::pack_view& candidate_pack, bool has_candidate)
      : job_(job),
        parent_pack_(parent_pack),
        candidate_pack_(candidate_pack),
        has_candidate_(has_candidate),
        pool_(parent_pack, candidate_pack),
        walk_(pool_, job.limits) {}

  result<import_output> run();

 private:
  /// An error here is the parent's fault.
  result<void> read_parent();
  /// An error of these is the candidate's.
  result<void> judge_objects();
  result<void> find_changes();
  result<void> judge_context();

  result<import_output> author_candidate();
  result<void> sketch_changes();
  result<std::string> text_at(const oid& tree, const std::string& path);
  result<import_output> author_context();
  result<import_output> author(const oid& tree, git::pack_writer& pack);
  result<oid> with_context(const oid& tree, std::string_view bytes, git::pack_writer& pack);
  result<void> add_new_objects(git::pack_writer& pack);
  import_output refuse(std::string reason, std::string details);

  std::string in_folder(std::string_view path) const {
    return job_.folder.empty() ? std::string(path) : job_.folder + "/" + std::string(path);
  }
  result<std::optional<std::string>> read_context(const oid& tree);
  git::tree_reader reader() {
    return [this](const oid& id) -> result<std::string> {
      const auto made = made_trees_.find(id);
      if (made != made_trees_.end()) return made->second;
      return pool_.read(id, object_type::tree);
    };
  }

  const import_job& job_;
  const git::pack_view& parent_pack_;
  const git::pack_view& candidate_pack_;
  const bool has_candidate_;
  object_pool pool_;
  tree_walk walk_;
  oid parent_, parent_tree_, candidate_, candidate_tree_;
  std::vector<oid> new_commits_;
  std::optional<std::string> parent_context_, candidate_context_;
  std::map<oid, std::string> made_trees_;
  bool objects_ok_ = false;
  std::size_t changed_bytes_ = 0;
  std::vector<std::string> to_sketch_;  // paths; one too many where there are too many
  import_output out_;
};

result<std::optional<std::string>> importer::read_context(const oid& tree) {
  const auto path = in_folder(job_.context_path);
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    GERMLINE_TRY_ASSIGN(const auto above, git::find_entry(tree, path.substr(0, slash), reader()));
    if (above.mode != 0 && !above.is_tree()) {  // the context could not be written
      return error(error_code::invalid_argument,
                   "'" + path.substr(0, slash) + "', where the context belongs, is not a folder");
    }
  }
  GERMLINE_TRY_ASSIGN(const auto entry, git::find_entry(tree, path, reader()));
  if (entry.mode == 0) return std::optional<std::string>();
  if (entry.mode != static_cast<std::uint32_t>(git::entry_mode::file) &&
      entry.mode != static_cast<std::uint32_t>(git::entry_mode::executable)) {
    return error(error_code::invalid_argument, "the context file is not a regular file");
  }
  GERMLINE_TRY_ASSIGN(auto bytes, pool_.read(entry.id, object_type::blob));
  return std::optional<std::string>(std::move(bytes));
}

result<void> importer::read_parent() {
  GERMLINE_TRY_ASSIGN(parent_, oid::parse(job_.parent_commit));
  const auto* entry = parent_pack_.find(parent_);
  if (entry == nullptr) {
    return error(error_code::invalid_argument, "the parent's pack lacks the parent commit");
  }
  GERMLINE_TRY_ASSIGN(const auto bytes, pool_.read(parent_, object_type::commit));
  GERMLINE_TRY_ASSIGN(const auto header, git::parse_commit(bytes));
  parent_tree_ = header.tree;
  GERMLINE_TRY_ASSIGN(parent_context_, read_context(parent_tree_));
  return {};
}

result<void> importer::judge_objects() {
  GERMLINE_TRY_ASSIGN(candidate_, oid::parse(job_.candidate_commit));
  std::vector<oid> open = {candidate_};
  std::set<oid> seen = {candidate_};
  bool descends = candidate_ == parent_;
  while (!open.empty()) {
    const auto id = open.back();
    open.pop_back();
    GERMLINE_TRY_ASSIGN(const auto bytes, pool_.read(id, object_type::commit));
    descends = descends || id == parent_;
    if (pool_.is_known(id)) continue;
    new_commits_.push_back(id);
    if (static_cast<std::int64_t>(new_commits_.size()) > job_.limits.commits) {
      return error(error_code::resource_exhausted,
                   "there are more than " + std::to_string(job_.limits.commits) + " new commits");
    }
    GERMLINE_TRY_ASSIGN(const auto header, git::parse_commit(bytes));
    for (const auto& parent : header.parents) {
      if (seen.insert(parent).second) open.push_back(parent);
    }
    GERMLINE_TRY(walk_.judge(header.tree, parent_tree_));
  }
  if (!descends) {
    return error(error_code::invalid_argument,
                 "the pushed commit does not descend from the lineage's head");
  }
  for (const auto& each : job_.inspirations) {
    const auto merges = [&](const oid& id) { return id.hex() == each; };
    if (std::ranges::any_of(new_commits_, merges)) out_.merged.push_back(each);
  }
  GERMLINE_TRY_ASSIGN(const auto bytes, pool_.read(candidate_, object_type::commit));
  GERMLINE_TRY_ASSIGN(const auto header, git::parse_commit(bytes));
  candidate_tree_ = header.tree;
  GERMLINE_TRY(walk_.bound_checkout(candidate_tree_));
  objects_ok_ = true;
  return {};
}

result<void> importer::find_changes() {
  const auto context = in_folder(job_.context_path);
  return walk_.compare(candidate_tree_, parent_tree_, [&](const std::string& path) -> result<void> {
    if (path == context) return {};
    std::string_view inside = path;
    if (!job_.folder.empty()) {
      if (!inside.starts_with(job_.folder + "/")) {
        return error(error_code::permission_denied, "'" + git::one_line(path, 512) +
                                                        "' is outside the genome's folder '" +
                                                        job_.folder + "'");
      }
      inside.remove_prefix(job_.folder.size() + 1);
    }
    const bool hit = inside == manifest_path ||
                     std::any_of(job_.protected_globs.begin(), job_.protected_globs.end(),
                                 [&](const auto& glob) { return glob_matches(glob, inside); });
    if (hit) {
      return error(error_code::permission_denied,
                   "'" + git::one_line(path, 512) + "' is protected and was changed");
    }
    if (to_sketch_.size() <= sketched_paths_max) to_sketch_.push_back(path);
    changed_bytes_ += path.size();
    if (out_.changed_paths.size() < changed_paths_max && changed_bytes_ <= changed_bytes_max) {
      out_.changed_paths.push_back(git::one_line(path, 4'095));
    } else {
      out_.changed_paths_cut = true;
    }
    return {};
  });
}

result<void> importer::judge_context() {
  GERMLINE_TRY_ASSIGN(candidate_context_, read_context(candidate_tree_));
  if (!candidate_context_) {
    if (!parent_context_) return {};
    return error(error_code::invalid_argument, "the context file was deleted");
  }
  const context_limits limits{job_.context_bytes, job_.context_depth};
  GERMLINE_TRY(check_context(*candidate_context_, limits));
  const auto& before = parent_context_ ? *parent_context_ : std::string();
  GERMLINE_TRY(keeps_history(before, *candidate_context_, limits));
  out_.action = last_new_action(before, *candidate_context_, limits);
  out_.context_ok = true;
  return {};
}

import_output importer::refuse(std::string reason, std::string details) {
  out_.verdict = import_verdict::rejected;
  out_.reason = std::move(reason);
  out_.details = git::one_line(details, details_bytes_max);
  return std::move(out_);
}

result<oid> importer::with_context(const oid& tree, std::string_view bytes,
                                   git::pack_writer& pack) {
  const auto path = in_folder(job_.context_path);
  GERMLINE_TRY_ASSIGN(auto entry, git::find_entry(tree, path, reader()));
  if (entry.mode != static_cast<std::uint32_t>(git::entry_mode::executable)) {
    entry.mode = static_cast<std::uint32_t>(git::entry_mode::file);
  }
  entry.id = pack.add(object_type::blob, bytes);
  return git::edit_tree(tree, path, &entry, reader(), [&](std::string_view made) {
    const auto id = pack.add(object_type::tree, made);
    made_trees_.emplace(id, made);
    return id;
  });
}

result<void> importer::add_new_objects(git::pack_writer& pack) {
  for (const auto& id : new_commits_) {
    GERMLINE_TRY_ASSIGN(const auto bytes, pool_.read(id, object_type::commit));
    pack.add(object_type::commit, bytes);
  }
  for (const auto& id : walk_.new_objects()) {
    const auto* entry = candidate_pack_.find(id);
    GERMLINE_TRY_ASSIGN(const auto bytes, candidate_pack_.read(*entry));
    pack.add(entry->type, bytes);
  }
  if (!new_commits_.empty()) out_.raw_commit = candidate_.hex();
  return {};
}

result<import_output> importer::author(const oid& tree, git::pack_writer& pack) {
  git::commit_text text;
  text.tree = tree;
  text.parents = {parent_};
  text.name = job_.author_name;
  text.email = job_.author_email;
  text.time_s = job_.time_s;
  const auto subject =
      git::one_line(job_.subject.empty() ? "germline: " + out_.action : job_.subject, 200);
  text.message = "\n" + subject + "\n\nGermline-Run: " + git::one_line(job_.run_id, 64) +
                 "\nGermline-Lineage: " + git::one_line(job_.lineage_id, 64) +
                 "\nGermline-Attempt: " + git::one_line(job_.attempt_id, 64) +
                 "\nGermline-Fence: " + std::to_string(job_.fence) +
                 "\nGermline-Number: " + std::to_string(job_.number) + "\n";
  out_.commit = pack.add(object_type::commit, git::write_commit(text)).hex();
  out_.tree = tree.hex();
  GERMLINE_TRY_ASSIGN(out_.source_id,
                      git::source_id(tree, job_.folder, job_.context_path, reader()));
  out_.pack = std::move(pack).finish();
  return std::move(out_);
}

/// Empty where there is none; what it holds is what a file or a link has.
result<std::string> importer::text_at(const oid& tree, const std::string& path) {
  GERMLINE_TRY_ASSIGN(const auto entry, git::find_entry(tree, path, reader()));
  if (entry.mode == 0 || entry.is_tree()) return std::string();
  return pool_.read(entry.id, object_type::blob);
}

result<void> importer::sketch_changes() {
  if (to_sketch_.size() > sketched_paths_max) return {};
  change_sketcher made;
  std::size_t bytes = 0;
  for (const auto& path : to_sketch_) {
    GERMLINE_TRY_ASSIGN(const auto before, text_at(parent_tree_, path));
    GERMLINE_TRY_ASSIGN(const auto after, text_at(candidate_tree_, path));
    bytes += before.size() + after.size();
    if (bytes > sketched_bytes_max) return {};
    made.add(before, after);
  }
  out_.change_sketch = made.make().bytes();
  return {};
}

result<import_output> importer::author_candidate() {
  // What cannot be read whole is compared with nothing; the tree was judged already.
  if (!sketch_changes()) out_.change_sketch.clear();
  git::pack_writer pack;
  GERMLINE_TRY(add_new_objects(pack));
  auto tree = candidate_tree_;
  if (job_.append) {
    const auto& base = candidate_context_ ? *candidate_context_ : std::string();
    const auto text = append_entry(base, *job_.append, {job_.context_bytes, job_.context_depth});
    GERMLINE_TRY_ASSIGN(tree, with_context(tree, text, pack));
  }
  out_.verdict = import_verdict::candidate;
  return author(tree, pack);
}

result<import_output> importer::author_context() {
  if (!job_.append) {
    return error(error_code::invalid_argument, "a context commit needs an entry to append");
  }
  git::pack_writer pack;
  // The agent's own commits are kept for reading only where all of its objects are sound and few.
  if (objects_ok_) GERMLINE_TRY(add_new_objects(pack));
  if (pack.bytes() > raw_bytes_max) {
    pack = git::pack_writer();
    out_.raw_commit.clear();
  }
  std::string base;
  if (parent_context_) base = *parent_context_;
  if (out_.context_ok) base = *candidate_context_;
  const auto text = append_entry(base, *job_.append, {job_.context_bytes, job_.context_depth});
  GERMLINE_TRY_ASSIGN(const auto tree, with_context(parent_tree_, text, pack));
  out_.verdict = import_verdict::context;
  return author(tree, pack);
}

result<import_output> importer::run() {
  if (auto read = read_parent(); !read) return read.error().within("the parent");
  const bool context_only = job_.mode == import_mode::context_only;
  if (!has_candidate_) {
    if (context_only) return author_context();
    out_.verdict = import_verdict::stalled;
    out_.details = "nothing was pushed";
    return std::move(out_);
  }
  const auto objects = judge_objects();
  if (!objects && !context_only) return refuse("objects", objects.error().message());
  const auto changes = objects ? find_changes() : objects;
  const bool denied = !changes && changes.error().code() == error_code::permission_denied;
  // What is protected was changed by sound objects, which are kept for reading.
  objects_ok_ = objects_ok_ && (changes || denied);
  if (!changes && !context_only) {
    return refuse(denied ? "protected" : "objects", changes.error().message());
  }
  const auto context = objects ? judge_context() : objects;
  if (context_only) {
    if (!context) out_.details = git::one_line(context.error().message(), details_bytes_max);
    return author_context();
  }
  if (out_.changed_paths.empty()) {
    out_.verdict = import_verdict::stalled;
    out_.details = "nothing but the context changed";
    return std::move(out_);
  }
  if (!context) return refuse("context", context.error().message());
  return author_candidate();
}

result<void> check_job(const import_job& job) {
  const auto bad = [](std::string what) {
    return error(error_code::invalid_argument, "the job's " + std::move(what));
  };
  if (!is_clean_relative_path(job.context_path)) return bad("context path is not clean");
  if (!job.folder.empty() && !is_clean_relative_path(job.folder)) return bad("folder is not clean");
  if (job.context_path == manifest_path) return bad("context path is the manifest's");
  for (const auto& glob : job.protected_globs) GERMLINE_TRY(check_glob(glob));
  return {};
}

}  // namespace

result<import_output> import_candidate(const import_job& job, std::string_view parent_pack,
                                       std::string_view candidate_pack) {
  GERMLINE_TRY(check_job(job));
  const auto parent = git::pack_view::open(parent_pack, git::history_limits);
  if (!parent) return parent.error().within("the parent");
  const bool pushed = !job.candidate_commit.empty();
  const auto candidate = git::pack_view::open(pushed ? candidate_pack : "", job.limits);
  if (!candidate && job.mode == import_mode::candidate) {
    import_output refused;
    refused.verdict = import_verdict::rejected;
    refused.reason = "objects";
    refused.details = candidate.error().message();
    return refused;
  }
  const git::pack_view none;
  importer task(job, *parent, candidate ? *candidate : none, pushed && candidate.has_value());
  return task.run();
}

}  // namespace germline::worker
