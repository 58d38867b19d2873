// artefact_store: sealed artefacts in a directory, by id, as trees of files that can be bound
// read-only into a sandbox. An artefact appears whole (written aside, synced, renamed) or not at
// all; what is read out as a tar is checked by hash. Files are never whole in memory.
//   <root>/<id>/manifest.json   <root>/<id>/tree/…   <root>/.incoming-…
// Owns the directory. Calls block on the disk; two stores, also of two processes, may share a root.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/artefact/artefact_manifest.hpp"
#include "common/artefact/tar.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "common/spool.hpp"

namespace germline::artefact {

class artefact_store {
 public:
  /// Makes the root when it is not there. Costs the same however many are stored.
  static result<artefact_store> open(const std::string& root, const limits& bounds = {});

  /// Seals and stores; storing what is there already touches it. Returns the id.
  result<std::string> put(const std::vector<file>& files);
  /// The same for what was sealed already: `sealed` is these files' manifest.
  result<std::string> put(const std::vector<file>& files, const manifest& sealed);
  bool contains(const std::string& id) const;
  /// The directory to bind read-only. not_found when it is not here.
  result<std::string> tree_path(const std::string& id) const;
  result<manifest> read_manifest(const std::string& id) const;
  /// All files as a tar stream, each checked against its hash before it is written; data_loss when
  /// one does not fit, and then the stream has no end.
  result<void> write_tar(const std::string& id, byte_sink into) const;
  result<void> remove(const std::string& id);
  result<std::vector<std::string>> list() const;

  struct stored {
    std::string id;
    std::int64_t bytes = 0;
  };
  /// All that can be read, the most recently stored or touched first.
  std::vector<stored> list_by_use() const;
  /// Says that it was used now.
  void touch(const std::string& id);
  /// Removes what was neither stored nor touched for `idle_s` and is not among `wanted`, in any
  /// order. How many went.
  result<std::size_t> remove_unwanted(std::vector<std::string> wanted, std::int64_t idle_s);
  /// Removes what earlier processes left half done, once it is older than an hour.
  result<void> clear_unfinished();
  /// Checks and hashes files under this store's bounds.
  result<manifest> seal_files(const std::vector<file>& files) const;
  /// Empty, on this store's disk: for a tar on its way in or out.
  result<spool> make_spool() const { return spool::make(root_); }

 private:
  artefact_store(std::string root, const limits& bounds)
      : root_(std::move(root)), bounds_(bounds) {}
  std::string root_;
  limits bounds_;
};

}  // namespace germline::artefact
