// layer_cache: what the [deps] of genomes came to on this machine, as folders that can be bound
// read-only into sandboxes. A layer appears whole or not at all, and is looked at before each use:
// one that is damaged is filled again. Two who need the same one at the same time fill it once.
// Bounded, the least recently used going first; what is pinned stays. Losing any of it loses
// nothing. Survives restarts.
//   <root>/<key>/tree/…   <root>/<key>/sealed.json   <root>/.incoming-…
// Owns the directory. Any thread; calls block on the disk and on the filling. Outlives the pins.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "common/result.hpp"
#include "common/spool.hpp"

namespace germline::worker {

class layer_cache;

/// Keeps one layer from being removed. Movable; any thread.
class layer_pin {
 public:
  layer_pin() = default;
  layer_pin(layer_pin&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}
  layer_pin& operator=(layer_pin&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(key_, other.key_);
    return *this;
  }
  ~layer_pin();

  explicit operator bool() const { return owner_ != nullptr; }
  /// The directory to bind. REQUIRES a pin of something.
  std::string tree_path() const;

 private:
  friend class layer_cache;
  layer_pin(layer_cache& owner, std::string key) : owner_(&owner), key_(std::move(key)) {}
  layer_cache* owner_ = nullptr;
  std::string key_;
};

class layer_cache {
 public:
  /// Made when it is not there; what an earlier process left half done goes. At most `kept_bytes`
  /// of what nobody uses stay. REQUIRES that no other process uses the directory.
  static result<std::unique_ptr<layer_cache>> open(const std::string& root,
                                                   std::int64_t kept_bytes);

  /// Fills the folder, which is empty, with a layer's files.
  using filler = std::function<result<void>(const std::string& folder)>;
  /// The layer, pinned. `fill` is called where it is not here, or damaged; its error is returned
  /// as it is. `cancelled` is asked now and then by who waits for another one's filling; then the
  /// error is `cancelled`. `key` is 64 hex digits.
  result<layer_pin> get(const std::string& key, const std::function<bool()>& cancelled,
                        const filler& fill);
  /// Removes what nobody uses.
  void clear();
  /// Empty, on this cache's disk.
  result<spool> make_spool() const { return spool::make(root_); }

 private:
  friend class layer_pin;
  layer_cache(std::string root, std::int64_t kept_bytes)
      : root_(std::move(root)), kept_bytes_(kept_bytes) {}
  std::string tree_of(const std::string& key) const { return root_ + "/" + key + "/tree"; }
  bool is_whole(const std::string& key);
  result<void> add(const std::string& key, const filler& fill);
  result<void> remove(const std::string& key) const;
  void release(const std::string& key);
  void trim(std::int64_t most_bytes);

  const std::string root_;
  const std::int64_t kept_bytes_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::set<std::string> busy_;  // being looked at or filled, by one thread each
  std::map<std::string, int> pins_;
  std::map<std::string, std::string> checked_;  // fingerprints of what was found whole
};

}  // namespace germline::worker
