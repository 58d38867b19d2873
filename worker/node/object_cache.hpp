// object_cache: packs on a worker's disk, each with all that one commit reaches, so that of the
// next generation only what is new crosses the wire. `<commit>.<sha256>.pack` each, checked by its
// hash when it is used; bounded, the least recently used going first. Losing any of it loses
// nothing: it is fetched again. What was given out stays readable whatever is removed meanwhile.
// Owns the directory. Any thread; calls block on the disk and on the fetch.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/spool.hpp"

namespace germline::worker {

class object_cache {
 public:
  /// Made when it is not there; what an earlier process left half done goes. At most `kept_bytes`
  /// stay.
  static result<object_cache> open(const std::string& directory, std::int64_t kept_bytes);
  object_cache(object_cache&& other) noexcept
      : directory_(std::move(other.directory_)), kept_bytes_(other.kept_bytes_) {}

  struct fetched {
    std::string base;  // the commit whose objects the pack stands on; empty: it is complete
    spool pack;
  };
  /// Brings what the commit reaches and none of `have` does, in the spool, which is empty. It
  /// chooses one of `have` as the base, or none.
  using fetcher = std::function<result<fetched>(const std::vector<std::string>& have, spool into)>;

  /// Removes all that is kept.
  void clear();
  /// A pack with all that `commit` reaches, of at most `max_bytes`.
  result<spool> get(const std::string& commit, std::int64_t max_bytes, const fetcher& fetch);

 private:
  object_cache(std::string directory, std::int64_t kept_bytes)
      : directory_(std::move(directory)), kept_bytes_(kept_bytes) {}

  struct kept;
  std::vector<kept> list() const;
  std::optional<spool> find(const std::string& commit) const;
  result<spool> complete(fetched part, std::int64_t max_bytes) const;
  void keep(const std::string& commit, spool& pack);
  void trim(std::int64_t most_bytes) const;

  const std::string directory_;
  const std::int64_t kept_bytes_;
  std::mutex mutex_;  // of what is added and trimmed
};

}  // namespace germline::worker
