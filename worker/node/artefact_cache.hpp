// artefact_cache: the sealed artefacts of a worker, and who uses which. One that was sealed here
// and not born goes when its last user is done with it; what is kept (parents, births) is bounded,
// the least recently used going first. What is pinned never goes. Owns which artefacts of the store
// are in use, and nothing else may remove any. Any thread; calls block on the disk. REQUIRES to
// outlive its pins.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/artefact/artefact_store.hpp"

namespace germline::worker {

class artefact_cache;

/// Holds one artefact in its place.
class artefact_pin {
 public:
  artefact_pin() = default;
  artefact_pin(artefact_pin&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), id_(std::move(other.id_)) {}
  artefact_pin& operator=(artefact_pin&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~artefact_pin();

  const std::string& id() const noexcept { return id_; }
  /// The directory to bind read-only.
  result<std::string> tree_path() const;
  /// It stays when this pin goes.
  void keep();

 private:
  friend class artefact_cache;
  artefact_pin(artefact_cache& owner, std::string id) : owner_(&owner), id_(std::move(id)) {}

  artefact_cache* owner_ = nullptr;
  std::string id_;
};

class artefact_cache {
 public:
  /// At most `kept_bytes` of what nobody uses stay in the store.
  artefact_cache(artefact::artefact_store& store, std::int64_t kept_bytes)
      : store_(store), kept_bytes_(kept_bytes) {}
  artefact_cache(const artefact_cache&) = delete;
  artefact_cache& operator=(const artefact_cache&) = delete;

  /// Pins an artefact that is here already, and keeps it; not_found where it is not.
  result<artefact_pin> use(const std::string& id);
  /// Seals, stores and pins. Unless it was here before, it goes with its last pin if none kept it.
  result<artefact_pin> seal(const std::vector<artefact::file>& files);
  /// Removes all that nobody uses.
  void clear();
  /// Empty, on the disk of the store.
  result<spool> make_spool() const { return store_.make_spool(); }

 private:
  friend class artefact_pin;
  struct entry {
    int pins = 0;
    bool kept = false;
  };
  artefact_pin pin(const std::string& id);
  void keep(const std::string& id);
  void release(const std::string& id);
  void trim(std::int64_t most_bytes);

  artefact::artefact_store& store_;
  const std::int64_t kept_bytes_;
  std::mutex mutex_;
  std::map<std::string, entry> used_;
};

}  // namespace germline::worker
