#include "worker/node/layer_cache.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/artefact/layer.hpp"
#include "common/assert.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"
#include "common/unique_fd.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view unfinished = ".incoming-";
constexpr std::int64_t bytes_of_entry = 4'096;        // that the smallest file takes of a disk
constexpr std::chrono::milliseconds look_every{100};  // whether who waits was cancelled

std::optional<artefact::layer_digest> read_seal(const std::string& path) {
  std::ifstream file(path);
  const auto read = nlohmann::json::parse(file, nullptr, false);
  if (!read.is_object()) return std::nullopt;
  artefact::layer_digest seal;
  seal.sha256 = read.value("sha256", std::string());
  seal.bytes = read.value("bytes", std::int64_t{-1});
  seal.entries = read.value("entries", std::int64_t{-1});
  if (!is_sha256(seal.sha256) || seal.bytes < 0 || seal.entries < 0) return std::nullopt;
  return seal;
}

result<void> write_seal(const std::string& path, const artefact::layer_digest& seal) {
  std::ofstream file(path, std::ios::trunc);
  file << nlohmann::json{
      {"sha256", seal.sha256}, {"bytes", seal.bytes}, {"entries", seal.entries}, {"schema", 1}};
  file.close();
  if (!file) return error(error_code::unavailable, "writing " + path + " failed");
  return {};
}

/// All that was written so far on that folder's disk, with one call for many files.
result<void> sync_disk_of(const std::string& folder) {
  const unique_fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error("opening " + folder, errno);
  if (::syncfs(fd.get()) != 0) return errno_error("syncing " + folder, errno);
  return {};
}

}  // namespace

layer_pin::~layer_pin() {
  if (owner_ != nullptr) owner_->release(key_);
}

std::string layer_pin::tree_path() const {
  GERMLINE_ASSERT(owner_ != nullptr);
  return owner_->tree_of(key_);
}

result<std::unique_ptr<layer_cache>> layer_cache::open(const std::string& root,
                                                       std::int64_t kept_bytes) {
  std::error_code failed;
  fs::create_directories(root, failed);
  if (failed) return errno_error("making " + root, failed.value());
  for (const auto& entry : fs::directory_iterator(root, failed)) {
    if (!entry.path().filename().string().starts_with(unfinished)) continue;
    fs::remove_all(entry.path(), failed);
    if (failed) return errno_error("removing " + entry.path().string(), failed.value());
  }
  if (failed) return errno_error("reading " + root, failed.value());
  return std::unique_ptr<layer_cache>(new layer_cache(root, kept_bytes));
}

result<layer_pin> layer_cache::get(const std::string& key, const std::function<bool()>& cancelled,
                                   const filler& fill) {
  GERMLINE_ASSERT(is_sha256(key));
  std::unique_lock lock(mutex_);
  while (busy_.contains(key)) {
    changed_.wait_for(lock, look_every);
    if (cancelled()) return error(error_code::cancelled, "the attempt was cancelled");
  }
  busy_.insert(key);
  const bool is_used = pins_.contains(key);
  lock.unlock();
  const auto done = [&]() -> result<void> {
    if (is_whole(key)) return {};
    if (is_used) {
      return error(error_code::data_loss, "the dependencies at " + tree_of(key) +
                                              " are damaged; they are fetched again once nobody "
                                              "uses them");
    }
    return add(key, fill);
  }();
  lock.lock();
  busy_.erase(key);
  changed_.notify_all();
  if (!done) return done.error();
  ++pins_[key];
  return layer_pin(*this, key);
}

/// Whether what is there is what was sealed. Reads every byte once in this process's life, and
/// again where anything was touched since.
bool layer_cache::is_whole(const std::string& key) {
  const auto seal = read_seal(root_ + "/" + key + "/sealed.json");
  if (!seal) return false;
  auto print = artefact::fingerprint_layer(tree_of(key));
  {
    const std::scoped_lock lock(mutex_);
    const auto known = checked_.find(key);
    if (print && known != checked_.end() && known->second == *print) return true;
  }
  const auto digest = artefact::digest_layer(tree_of(key));
  if (!print || !digest || digest->sha256 != seal->sha256) {
    log_warning("the dependencies {} are damaged, and fetched again", key);
    return false;
  }
  const std::scoped_lock lock(mutex_);
  checked_[key] = std::move(*print);
  return true;
}

result<void> layer_cache::add(const std::string& key, const filler& fill) {
  std::error_code ignored;
  if (fs::exists(root_ + "/" + key, ignored)) GERMLINE_TRY(remove(key));
  std::string made = root_ + "/" + std::string(unfinished) + "XXXXXX";
  if (::mkdtemp(made.data()) == nullptr) return errno_error("making " + made, errno);
  const auto filled = [&]() -> result<void> {
    const auto tree = made + "/tree";
    if (::mkdir(tree.c_str(), 0755) != 0) return errno_error("making " + tree, errno);
    GERMLINE_TRY(fill(tree));
    if (::chmod(tree.c_str(), 0755) != 0 || ::chmod(made.c_str(), 0755) != 0) {
      return errno_error("chmod of " + made, errno);
    }
    GERMLINE_TRY_ASSIGN(const auto digest, artefact::digest_layer(tree));
    GERMLINE_TRY_ASSIGN(auto print, artefact::fingerprint_layer(tree));
    GERMLINE_TRY(write_seal(made + "/sealed.json", digest));
    GERMLINE_TRY(sync_disk_of(made));
    const auto place = root_ + "/" + key;
    if (::rename(made.c_str(), place.c_str()) != 0) return errno_error("renaming " + made, errno);
    const std::scoped_lock lock(mutex_);
    checked_[key] = std::move(print);
    return {};
  }();
  if (!filled) fs::remove_all(made, ignored);
  return filled;
}

result<void> layer_cache::remove(const std::string& key) const {
  // Out of sight first, so that a crash leaves no half of it under its name.
  std::string aside = root_ + "/" + std::string(unfinished) + "XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return errno_error("making " + aside, errno);
  std::error_code failed;
  fs::rename(root_ + "/" + key, aside + "/" + key, failed);
  if (failed) return errno_error("moving " + root_ + "/" + key, failed.value());
  fs::remove_all(aside, failed);
  if (failed) return errno_error("removing " + aside, failed.value());
  return {};
}

void layer_cache::release(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto at = pins_.find(key);
  GERMLINE_ASSERT(at != pins_.end());
  if (--at->second > 0) return;
  pins_.erase(at);
  // Not as the kernel notes it, which lags by a tick.
  std::error_code ignored;
  fs::last_write_time(root_ + "/" + key, fs::file_time_type::clock::now(), ignored);
  trim(kept_bytes_);
}

void layer_cache::clear() {
  const std::lock_guard lock(mutex_);
  trim(0);
}

void layer_cache::trim(std::int64_t most_bytes) {
  struct kept {
    fs::file_time_type used;
    std::string key;
    std::int64_t bytes = 0;
  };
  std::vector<kept> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root_, failed)) {
    const auto key = entry.path().filename().string();
    if (!is_sha256(key) || pins_.contains(key) || busy_.contains(key)) continue;
    const auto seal = read_seal(entry.path().string() + "/sealed.json");
    std::error_code unknown;
    const auto bytes = seal ? seal->bytes + seal->entries * bytes_of_entry : 0;
    all.push_back({fs::last_write_time(entry.path(), unknown), key, bytes});
  }
  std::ranges::sort(all, [](const auto& a, const auto& b) { return a.used > b.used; });
  std::int64_t bytes = 0;
  for (const auto& each : all) {  // the newest first
    bytes += each.bytes;
    if (bytes <= most_bytes && most_bytes > 0) continue;
    checked_.erase(each.key);
    if (const auto gone = remove(each.key); !gone) log_error("{}", gone.error().message());
  }
}

}  // namespace germline::worker
