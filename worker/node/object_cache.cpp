#include "worker/node/object_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "common/git/oid.hpp"
#include "common/git/pack_merge.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view suffix = ".pack";
constexpr std::string_view unfinished = ".new";
/// As many as the coordinator takes (fleet.proto).
constexpr std::size_t max_have = 64;
constexpr std::size_t commit_digits = 40;
constexpr std::size_t hash_digits = 64;

std::string name_of(const std::string& commit, const std::string& sha256) {
  return commit + "." + sha256 + std::string(suffix);
}

bool is_name(std::string_view name) {
  return name.size() == commit_digits + 1 + hash_digits + suffix.size() && name.ends_with(suffix);
}

/// Makes a file the most recently used. What the kernel notes when a file is written lags by a tick
/// (4 ms) behind the clock, so that a file just written may seem older than one read before it.
void note_use(const std::string& path) {
  std::error_code ignored;  // it is as if it was used before
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

}  // namespace

struct object_cache::kept {
  std::string commit, sha256, path;
  std::int64_t bytes = 0;
  fs::file_time_type used;
};

result<object_cache> object_cache::open(const std::string& directory, std::int64_t kept_bytes) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return errno_error("making " + directory, failed.value());
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    if (entry.path().extension() != unfinished) continue;
    std::error_code ignored;  // the next start tries again
    fs::remove(entry.path(), ignored);
  }
  if (failed) return errno_error("reading " + directory, failed.value());
  return object_cache(directory, kept_bytes);
}

/// The most recently used first.
std::vector<object_cache::kept> object_cache::list() const {
  std::vector<kept> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory_, failed)) {
    const auto name = entry.path().filename().string();
    if (!is_name(name)) continue;
    std::error_code gone;
    kept each{name.substr(0, commit_digits),
              name.substr(commit_digits + 1, hash_digits),
              entry.path().string(),
              static_cast<std::int64_t>(entry.file_size(gone)),
              {}};
    if (!gone) each.used = entry.last_write_time(gone);
    if (!gone) all.push_back(std::move(each));
  }
  std::ranges::sort(all, [](const kept& a, const kept& b) { return a.used > b.used; });
  return all;
}

std::optional<spool> object_cache::find(const std::string& commit) const {
  for (const auto& each : list()) {
    if (each.commit != commit) continue;
    auto opened = spool::open(each.path);
    if (!opened) continue;
    const auto bytes = opened->view();
    if (bytes && sha256_hex(*bytes) == each.sha256) {
      note_use(each.path);
      return std::move(*opened);
    }
    log_warning("{} is damaged; its objects are fetched again", each.path);
    std::error_code ignored;
    fs::remove(each.path, ignored);
  }
  return std::nullopt;
}

/// The whole that a part and its base make.
result<spool> object_cache::complete(fetched part, std::int64_t max_bytes) const {
  if (part.base.empty()) return std::move(part.pack);
  auto base = find(part.base);
  if (!base) return error(error_code::data_loss, "what it stands on is no longer kept");
  GERMLINE_TRY_ASSIGN(const auto old, base->view());
  GERMLINE_TRY_ASSIGN(const auto more, part.pack.view());
  GERMLINE_TRY_ASSIGN(auto whole, spool::make(directory_));
  GERMLINE_TRY(git::merge_packs(old, more, [&](std::string_view bytes) -> result<void> {
    if (whole.size() + static_cast<std::int64_t>(bytes.size()) > max_bytes) {
      return error(error_code::resource_exhausted,
                   "the history has more than " + std::to_string(max_bytes) + " bytes");
    }
    return whole.append(bytes);
  }));
  return whole;
}

result<spool> object_cache::get(const std::string& commit, std::int64_t max_bytes,
                                const fetcher& fetch) {
  if (auto here = find(commit)) return std::move(*here);
  std::vector<std::string> have;
  for (const auto& each : list()) {
    if (have.size() < max_have) have.push_back(each.commit);
  }
  GERMLINE_TRY_ASSIGN(auto into, spool::make(directory_));
  GERMLINE_TRY_ASSIGN(auto part, fetch(have, std::move(into)));
  auto whole = complete(std::move(part), max_bytes);
  if (!whole && whole.error().code() != error_code::resource_exhausted) {
    log_warning("all objects of {} are fetched, since of the new ones alone {}", commit,
                whole.error().message());
    GERMLINE_TRY_ASSIGN(auto anew, spool::make(directory_));
    GERMLINE_TRY_ASSIGN(auto all, fetch({}, std::move(anew)));
    whole = complete(std::move(all), max_bytes);
  }
  if (whole) keep(commit, *whole);
  return whole;
}

void object_cache::keep(const std::string& commit, spool& pack) {
  const std::lock_guard lock(mutex_);
  const auto stored = [&]() -> result<void> {
    GERMLINE_TRY(git::oid::parse(commit));
    GERMLINE_TRY_ASSIGN(const auto bytes, pack.view());
    if (static_cast<std::int64_t>(bytes.size()) > kept_bytes_) return {};
    const auto path = directory_ + "/" + name_of(commit, sha256_hex(bytes));
    // Not synced: what a crash damages does not fit its hash.
    GERMLINE_TRY(pack.save(path + std::string(unfinished)));
    std::error_code failed;
    fs::rename(path + std::string(unfinished), path, failed);
    if (failed) return errno_error("renaming " + path, failed.value());
    note_use(path);
    return {};
  }();
  if (!stored) log_warning("objects are not kept: {}", stored.error().message());
  trim(kept_bytes_);
}

void object_cache::clear() {
  const std::lock_guard lock(mutex_);
  trim(0);
}

void object_cache::trim(std::int64_t most_bytes) const {
  std::int64_t bytes = 0;
  for (const auto& each : list()) {  // the newest first
    bytes += each.bytes;
    if (bytes <= most_bytes) continue;
    std::error_code failed;
    fs::remove(each.path, failed);
    if (failed) log_error("removing {}: {}", each.path, failed.message());
  }
}

}  // namespace germline::worker
