#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>

#include "common/artefact/artefact_store.hpp"
#include "common/clock.hpp"
#include "common/context/agent_context.hpp"
#include "common/git/repository.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"
#include "common/manifest/genome_manifest.hpp"
#include "common/unique_fd.hpp"
#include "coordinator/durable_file.hpp"
#include "coordinator/refs/git_refs.hpp"

namespace germline::refs {
namespace {

constexpr std::int64_t max_pack_bytes = 256 << 20;
constexpr std::int64_t unclaimed_artefact_s = 3'600;
constexpr std::string_view seed_prefix = "seed-";
constexpr auto young_seed = std::chrono::minutes(1);  // its run is about to be asked for
constexpr std::string_view pack_suffix = ".pack";

std::string lineage_branch(const lineage_id& id) {
  return "refs/heads/lineages/" + id.str();
}

std::string attempt_refs(const attempt_id& id) {
  return "refs/germline/attempts/" + id.str();
}

result<std::string> read_whole(const std::string& path, std::int64_t max_bytes) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed) return error(error_code::not_found, "no objects came with the result");
  if (static_cast<std::int64_t>(size) > max_bytes) {
    return error(error_code::resource_exhausted, "the pack is too large");
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

/// libgit2 writes a pack through a mapping of its file: on a full disk that is a SIGBUS, and no
/// error. So there must be room for the pack and its index before.
result<void> check_room(const std::string& folder, std::size_t pack_bytes) {
  constexpr std::uint64_t beside = 4 << 20;
  struct statvfs about {};
  if (::statvfs(folder.c_str(), &about) != 0) return errno_error("looking at " + folder, errno);
  const auto free = std::uint64_t{about.f_bavail} * about.f_frsize;
  if (free >= 2 * pack_bytes + beside) return {};
  return error(error_code::unavailable, "the coordinator's disk has " + std::to_string(free >> 20) +
                                            " MiB left, which is too little for a pack of " +
                                            std::to_string(pack_bytes) + " bytes");
}

/// Whether a ref's file, which libgit2 could not make out, is to be replaced: it can be read, or is
/// no file at all. One that only cannot be read now may hold what somebody pushed.
bool is_damaged(const std::filesystem::path& file) {
  std::error_code failed;
  const auto what = std::filesystem::symlink_status(file, failed);
  if (failed || !std::filesystem::is_regular_file(what)) return true;
  const unique_fd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return static_cast<bool>(opened);
}

error held_out_error(const std::string& why) {
  return {error_code::invalid_argument, "held-out files: " + why};
}
error held_out_error(const error& why) {
  if (why.code() == error_code::resource_exhausted) {
    return held_out_error(why.message() + "; at most 1,000 files and 16 MiB are taken");
  }
  return why.code() == error_code::invalid_argument ? held_out_error(why.message()) : why;
}

/// Over libgit2: one handle for what writes, under a mutex; readers open their own.
class repository final : public git_refs {
 public:
  repository(repository_places places, git::repository opened)
      : places_(std::move(places)), repo_(std::move(opened)) {}

  result<std::string> keep_seed(const std::string& pack) override {
    const std::lock_guard lock(mutex_);
    const auto id = sha256_hex(pack);
    GERMLINE_TRY(write_durably(waiting_seed(id), pack));
    ++waiting_for_[id];
    drop_old_seeds();
    return id;
  }

  result<imported_seed> import_seed(const seed_source& source, const std::string& folder,
                                    const run_id& run) override {
    const std::lock_guard lock(mutex_);
    auto seed = take_seed(source);
    if (!seed && seed.error().code() == error_code::not_found) {
      return error(error_code::invalid_argument, seed.error().message());  // the input is wrong
    }
    if (!seed) return seed.error();
    const std::string place = (folder.empty() ? "" : folder + "/") + "genome.toml";
    auto text = repo_.read_file_at(seed->commit, place, genome_manifest_bytes_max);
    if (!text) {
      if (text.error().code() != error_code::not_found) return text.error().within(place);
      return error(error_code::invalid_argument, "there is no " + place +
                                                     " at the head of branch '" + seed->branch +
                                                     "': is this a genome? One in a folder of"
                                                     " the repository is named by --folder");
    }
    GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(*text, place));
    for (std::size_t i = 0; i < source.imports.size(); ++i) {
      const auto& commit = source.imports[i];
      if (auto fit = check_import(commit, *seed, folder, genome, *text); !fit) {
        return error(error_code::invalid_argument,
                     "commit " + commit + " cannot be imported: " + fit.error().message());
      }
      GERMLINE_TRY(set(repo_, import_ref(run, i), commit));
    }
    GERMLINE_TRY(set(repo_, "refs/germline/runs/" + run.str() + "/seed", seed->commit));
    return imported_seed{seed->commit, seed->branch, *text};
  }

  result<void> keep_seed_again(const std::string& commit, const run_id& run) override {
    const std::lock_guard lock(mutex_);
    if (!repo_.has_object(commit)) {
      return error(error_code::data_loss, "the seed " + commit + " is not in the repository");
    }
    return set(repo_, "refs/germline/runs/" + run.str() + "/seed", commit);
  }

  void forget_seed(const run_id& run) override {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; forget_ref(import_ref(run, i)); ++i) continue;
    forget_ref("refs/germline/runs/" + run.str() + "/seed");
  }

  result<artefact::held_out> keep_held_out(std::string_view tar) override {
    const auto files = artefact::read_tar(tar, {}, artefact::held_out_limits);
    if (!files) return held_out_error(files.error());
    if (files->empty()) return held_out_error("there are no files");
    GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
    GERMLINE_TRY_ASSIGN(const auto id, artefacts.put(*files));
    return find_held_out(id);
  }

  result<artefact::held_out> find_held_out(const std::string& id) override {
    GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
    if (!is_sha256(id) || !artefacts.contains(id)) {
      return held_out_error("there are none by the id '" + printable(id.substr(0, 64)) +
                            "'; they are brought by PutHeldOut before the run is asked for");
    }
    artefacts.touch(id);  // it stays until the run is recorded
    GERMLINE_TRY_ASSIGN(const auto sealed, artefacts.read_manifest(id));
    const auto count = static_cast<std::int64_t>(sealed.files.size());
    const auto& most = artefact::held_out_limits;
    if (count > most.files || sealed.total_bytes() > most.total_bytes) {
      return held_out_error("they are too many or too large");
    }
    return artefact::held_out{id, count, sealed.total_bytes()};
  }

  result<void> ingest(const ingest_request& request) override {
    if (!request.artefact_id.empty()) {
      GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
      if (!artefacts.contains(request.artefact_id)) {
        return error(error_code::not_found, "the artefact was not put before the result");
      }
      artefacts.touch(request.artefact_id);  // it stays until the birth is recorded
    }
    if (request.commit.empty()) return {};
    const std::lock_guard lock(mutex_);
    const std::string quarantined = quarantined_pack(places_, request.attempt.str());
    std::error_code ignored;
    // Where it is there, a life before this one may have taken in a part of it.
    if (std::filesystem::exists(quarantined, ignored) || !repo_.has_object(request.commit)) {
      GERMLINE_TRY_ASSIGN(const std::string pack, read_whole(quarantined, max_pack_bytes));
      GERMLINE_TRY(check_room(places_.objects, pack.size()));
      GERMLINE_TRY(repo_.ingest_pack(pack, {}));
    }
    GERMLINE_TRY_ASSIGN(const auto commit, repo_.read_commit(request.commit));
    if (commit.parents != std::vector<std::string>{request.parent}) {
      return error(error_code::invalid_argument,
                   "the commit does not stand on the lineage's head alone");
    }
    const auto base = attempt_refs(request.attempt);
    GERMLINE_TRY(set(repo_, base + "/canonical", request.commit));
    if (!request.raw_commit.empty() && repo_.has_object(request.raw_commit)) {
      GERMLINE_TRY(set(repo_, base + "/raw", request.raw_commit));
    }
    std::filesystem::remove(quarantined, ignored);
    return {};
  }

  void sweep(const std::function<result<bool>(const std::string&)>& is_leased) override {
    namespace fs = std::filesystem;
    std::vector<fs::path> over;
    std::error_code ignored;
    for (fs::directory_iterator at(places_.incoming, ignored), end; !ignored && at != end;
         at.increment(ignored)) {
      if (at->path().extension() != pack_suffix) continue;
      const auto leased = is_leased(at->path().stem().string());
      if (leased && !*leased) over.push_back(at->path());
    }
    for (const auto& path : over) fs::remove(path, ignored);
  }

  result<std::size_t> sweep_artefacts(const std::vector<std::string>& of_generations) override {
    GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places_.artefacts));
    GERMLINE_TRY(artefacts.clear_unfinished());
    return artefacts.remove_unwanted(of_generations, unclaimed_artefact_s);
  }

  result<std::string> author_context(const context_request& request) override {
    const std::lock_guard lock(mutex_);
    const auto inside = [&](const std::string& path) {
      return request.folder.empty() ? path : request.folder + "/" + path;
    };
    GERMLINE_TRY_ASSIGN(const auto toml, repo_.read_file_at(request.parent, inside("genome.toml"),
                                                            genome_manifest_bytes_max));
    GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(toml));
    const auto place = inside(genome.context);
    const context_limits limits;
    const auto before = repo_.read_file_at(
        request.parent, place, static_cast<std::size_t>(limits.bytes + context_reserve_bytes));
    context_entry entry{to_iso8601(request.now_ms), request.action, false, request.details};
    if (!before && before.error().code() != error_code::not_found) {
      const bool is_unfit = before.error().code() == error_code::invalid_argument ||
                            before.error().code() == error_code::resource_exhausted;
      if (!is_unfit) return before.error();
      entry.details =
          "The context was begun anew, since " + before.error().message() + ". " + entry.details;
    }
    const auto text = append_entry(before ? *before : "", entry, limits);
    git::new_commit what;
    GERMLINE_TRY_ASSIGN(what.tree, repo_.replace_file(request.parent, place, text));
    what.parents = {request.parent};
    what.author_name = "Germline";
    what.author_email = "germline@localhost";
    what.time_s = request.now_ms / 1'000;
    what.message = "Context of " + request.item.str() + "\n\n" +
                   "Germline-Lineage: " + request.lineage.str() +
                   "\nGermline-Item: " + request.item.str() + "\n";
    GERMLINE_TRY_ASSIGN(const auto id, repo_.write_commit(what));
    GERMLINE_TRY(set(repo_, "refs/germline/items/" + request.item.str() + "/context", id));
    return id;
  }

  result<std::string> author_rollback(const rollback_request& request) override {
    const std::lock_guard lock(mutex_);
    const std::string folder = request.folder.empty() ? "" : request.folder + "/";
    GERMLINE_TRY_ASSIGN(
        const auto toml,
        repo_.read_file_at(request.ancestor, folder + "genome.toml", genome_manifest_bytes_max));
    GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(toml));
    git::new_commit what;
    GERMLINE_TRY_ASSIGN(what.tree, repo_.tree_with_file_from(
                                       request.ancestor, folder + genome.context, request.head));
    what.parents = {request.head};
    what.author_name = "Germline";
    what.author_email = "germline@localhost";
    what.time_s = request.now_ms / 1'000;
    what.message = "Rollback to " + request.generation.str() + "\n\n" + request.why + "\n\n" +
                   "Germline-Lineage: " + request.lineage.str() +
                   "\nGermline-Generation: " + request.generation.str() + "\n";
    GERMLINE_TRY_ASSIGN(const auto id, repo_.write_commit(what));
    GERMLINE_TRY(
        set(repo_, "refs/germline/rollbacks/" + request.lineage.str() + "/" + request.head, id));
    return id;
  }

  result<std::string> author_move(const move_request& request) override {
    const std::lock_guard lock(mutex_);
    if (request.head == request.onto) return request.onto;
    GERMLINE_TRY_ASSIGN(const bool is_behind, repo_.is_ancestor(request.head, request.onto));
    if (is_behind) return request.onto;
    git::new_commit what;
    GERMLINE_TRY_ASSIGN(what.tree, repo_.tree_of(request.onto));
    what.parents = {request.head, request.onto};
    what.author_name = "Germline";
    what.author_email = "germline@localhost";
    what.time_s = request.now_ms / 1'000;
    what.message = "Go on from " + request.generation.str() + "\n\n" +
                   "Germline-Lineage: " + request.lineage.str() +
                   "\nGermline-Generation: " + request.generation.str() + "\n";
    GERMLINE_TRY_ASSIGN(const auto id, repo_.write_commit(what));
    GERMLINE_TRY(
        set(repo_, "refs/germline/moves/" + request.lineage.str() + "/" + request.head, id));
    return id;
  }

  result<std::vector<std::string>> author_grafts(const graft_request& request) override {
    const std::lock_guard lock(mutex_);
    const std::string folder = request.folder.empty() ? "" : request.folder + "/";
    std::vector<std::string> ids;
    for (const auto& each : request.grafts) {
      GERMLINE_TRY_ASSIGN(const auto toml, repo_.read_file_at(each.base, folder + "genome.toml",
                                                              genome_manifest_bytes_max));
      GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(toml));
      git::new_commit what;
      GERMLINE_TRY_ASSIGN(what.tree, repo_.tree_of_graft({each.source, each.base, request.folder,
                                                          folder + genome.context}));
      what.parents = {each.base};
      what.author_name = "Germline";
      what.author_email = "germline@localhost";
      what.time_s = each.born_ms / 1'000;
      what.message = "Source of " + each.generation.str() + "\n\n" +
                     "Germline-Generation: " + each.generation.str() + "\n";
      GERMLINE_TRY_ASSIGN(auto id, repo_.write_commit(what));
      ids.push_back(std::move(id));
    }
    return ids;
  }

  result<sizes> sizes_at(const size_request& request) override {
    constexpr std::size_t entries_max = git::object_limits{}.walked_entries;
    GERMLINE_TRY_ASSIGN(const auto reading, git::repository::open(places_.objects));
    const std::string folder = request.folder.empty() ? "" : request.folder + "/";
    GERMLINE_TRY_ASSIGN(
        const auto toml,
        reading.read_file_at(request.commit, folder + "genome.toml", genome_manifest_bytes_max));
    GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(toml));
    GERMLINE_TRY_ASSIGN(const auto files, reading.list_tree(request.commit, entries_max));
    sizes out;
    for (const auto& file : files) {
      (file.path == folder + genome.context ? out.context_bytes : out.source_bytes) +=
          file.size_bytes;
    }
    return out;
  }

  result<projection> project(const project_request& request) override {
    const std::lock_guard lock(mutex_);
    const std::string name = lineage_branch(request.lineage);
    const auto found = repo_.resolve(name);
    const auto file = std::filesystem::path(places_.objects) / name;
    if (!found) {
      if (!is_damaged(file)) return found.error();
      std::error_code failed;  // where it stays, the next line says so
      std::filesystem::remove(file, failed);
      GERMLINE_TRY(repo_.update_ref(name, request.target, git::zero_oid, "germline: mended"));
      return projection{standing::mended, "it could not be read: " + found.error().message()};
    }
    const auto& now = *found;
    if (!now) {
      std::error_code failed;  // then it is gone
      if (std::filesystem::is_regular_file(file, failed)) {
        return error(error_code::unavailable, "the branch " + name + " cannot be read now");
      }
      GERMLINE_TRY(repo_.update_ref(name, request.target, git::zero_oid, "germline: projected"));
      if (request.last.empty()) return projection{};
      return projection{standing::mended, "it was gone"};
    }
    if (*now == request.target) return projection{};
    if (!repo_.has_object(*now)) {
      GERMLINE_TRY(repo_.update_ref(name, request.target, *now, "germline: mended"));
      return projection{standing::mended, "it named an object that is not there"};
    }
    const auto behind = repo_.is_ancestor(*now, request.target);
    if (!behind || !*behind) {
      return projection{standing::diverged,
                        "the branch is at " + *now + ", which the record does not know"};
    }
    GERMLINE_TRY(repo_.update_ref(name, request.target, *now, "germline: projected"));
    const bool set_back = !request.last.empty() && *now != request.last;
    if (set_back) return projection{standing::mended, "it was set back to " + *now};
    return projection{};
  }

  result<std::string> raw_commit(const attempt_id& attempt) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    GERMLINE_TRY_ASSIGN(const auto at, repo.resolve(attempt_refs(attempt) + "/raw"));
    return at ? *at : std::string();
  }

  result<std::string> make_pack(const std::vector<std::string>& want,
                                const std::vector<std::string>& have) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.make_pack(want, have, max_pack_bytes);
  }

  result<void> write_pack(const std::vector<std::string>& want,
                          const std::vector<std::string>& have,
                          const git::pack_sink& into) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.write_pack(want, have, max_pack_bytes, into);
  }

  result<std::vector<std::string>> reached_among(const std::vector<std::string>& want,
                                                 const std::vector<std::string>& have) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.reached_among(want, have);
  }

  result<std::string> read_file(const std::string& commit, const std::string& path,
                                std::int64_t max_bytes) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.read_file_at(commit, path, static_cast<std::size_t>(max_bytes));
  }

  result<git::path_kind> kind_at(const std::string& commit, const std::string& path) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.kind_at(commit, path);
  }

  result<std::string> diff(const std::string& from, const std::string& to,
                           std::int64_t max_bytes) override {
    GERMLINE_TRY_ASSIGN(const auto repo, git::repository::open(places_.objects));
    return repo.diff_text(from, to, static_cast<std::size_t>(max_bytes));
  }

 private:
  std::string waiting_seed(const std::string& id) const {
    return places_.incoming + "/" + std::string(seed_prefix) + id;
  }

  void drop_old_seeds() const {
    constexpr std::size_t kept = 8;
    namespace fs = std::filesystem;
    std::vector<std::pair<fs::file_time_type, fs::path>> waiting;
    std::error_code ignored;
    for (fs::directory_iterator at(places_.incoming, ignored), end; !ignored && at != end;
         at.increment(ignored)) {
      if (!at->path().filename().string().starts_with(seed_prefix)) continue;
      waiting.emplace_back(at->last_write_time(ignored), at->path());
    }
    std::ranges::sort(waiting, std::greater());
    const auto young = fs::file_time_type::clock::now() - young_seed;
    for (std::size_t i = kept; i < waiting.size(); ++i) {
      if (waiting[i].first < young) fs::remove(waiting[i].second, ignored);
    }
  }

  result<git::repository::imported> take_seed(const seed_source& source) {
    if (source.seed_id.empty()) {
      return repo_.import_branch(source.path, source.branch, source.imports);
    }
    const bool is_id = source.seed_id.size() == 64 &&
                       source.seed_id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_id) return error(error_code::invalid_argument, "the seed's id is no SHA-256");
    const auto file = waiting_seed(source.seed_id);
    auto pack = read_whole(file, max_pack_bytes);
    if (!pack) return error(error_code::failed_precondition, "the seed's objects are not here");
    GERMLINE_TRY(check_room(places_.objects, pack->size()));
    GERMLINE_TRY(
        repo_.import_seed({source.commit, source.branch, std::move(*pack), source.imports}));
    // Others may have brought the same one, and not asked for their run yet.
    const auto waiting = waiting_for_.find(source.seed_id);
    if (waiting != waiting_for_.end() && --waiting->second > 0) {
      return git::repository::imported{source.commit, source.branch};
    }
    waiting_for_.erase(source.seed_id);
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    return git::repository::imported{source.commit, source.branch};
  }

  /// Whether its source can stand in the place of the seed's, as far as it can be told beforehand.
  result<void> check_import(const std::string& commit, const git::repository::imported& seed,
                            const std::string& folder, const genome_manifest& genome,
                            const std::string& genome_toml) {
    if (!repo_.has_object(commit)) {
      return error(
          error_code::not_found,
          "it is neither here nor in the seed's repository: take it there with `git fetch`,"
          " or with `germline promote` where it was born");
    }
    GERMLINE_TRY(repo_.judge_seed(commit));
    const std::string inside = folder.empty() ? "" : folder + "/";
    const auto its = repo_.read_file_at(commit, inside + "genome.toml", genome_manifest_bytes_max);
    if (!its || *its != genome_toml) {
      return error(error_code::invalid_argument,
                   "its " + inside + "genome.toml is not the seed's, which is protected");
    }
    GERMLINE_TRY(repo_.tree_of_graft({commit, seed.commit, folder, inside + genome.context}));
    return {};
  }

  static std::string import_ref(const run_id& run, std::size_t place) {
    return "refs/germline/runs/" + run.str() + "/imports/" + std::to_string(place);
  }

  /// Whether it was there, and is gone.
  bool forget_ref(const std::string& name) {
    const auto at = repo_.resolve(name);
    if (!at || !*at) return false;
    const auto gone = repo_.delete_ref(name, **at);
    if (!gone) log_warning("{} stays: {}", name, gone.error().message());
    return gone.has_value();
  }

  /// Puts a ref of Germline's own where it belongs, wherever it was.
  static result<void> set(git::repository& repo, const std::string& name,
                          const std::string& target) {
    GERMLINE_TRY_ASSIGN(const auto now, repo.resolve(name));
    if (now && *now == target) return {};
    return repo.update_ref(name, target, now ? *now : git::zero_oid, "germline");
  }

  repository_places places_;
  std::mutex mutex_;
  std::map<std::string, int> waiting_for_;  // how many brought each seed and asked for no run yet
  git::repository repo_;
};

/// Clears what a killed coordinator left half done: git's lock files, which would refuse every
/// later move of that ref, and transfers cut off. The state directory's lock says that no other
/// coordinator is at work; somebody's push in this very moment fails and may be repeated.
void clear_leftovers(const repository_places& places) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<fs::path> stale;
  for (fs::recursive_directory_iterator at(places.objects + "/refs", ignored), end;
       !ignored && at != end; at.increment(ignored)) {
    if (at->path().extension() == ".lock") stale.push_back(at->path());
  }
  for (const char* name : {"packed-refs.lock", "HEAD.lock", "config.lock"}) {
    stale.push_back(fs::path(places.objects) / name);
  }
  for (fs::directory_iterator at(places.incoming, ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    const bool is_seed = at->path().filename().string().starts_with(seed_prefix);
    if (is_seed || at->path().extension() == ".part") stale.push_back(at->path());
  }
  for (const auto& path : stale) fs::remove(path, ignored);
}

}  // namespace

result<std::shared_ptr<git_refs>> open_git_refs(const repository_places& places) {
  clear_leftovers(places);
  GERMLINE_TRY_ASSIGN(auto opened, git::repository::init_bare(places.objects));
  GERMLINE_TRY_ASSIGN(auto artefacts, artefact::artefact_store::open(places.artefacts));
  GERMLINE_TRY(artefacts.clear_unfinished());
  std::error_code failed;
  std::filesystem::create_directories(places.incoming, failed);
  if (failed) return errno_error("making " + places.incoming, failed.value());
  return std::shared_ptr<git_refs>(std::make_shared<repository>(places, std::move(opened)));
}

std::string quarantined_pack(const repository_places& places, const std::string& attempt) {
  return places.incoming + "/" + attempt + std::string(pack_suffix);
}

}  // namespace germline::refs
