// artefact_store: sealed artefacts in a directory, by id, as trees of files that can be bound
// read-only into a sandbox. An artefact appears whole (written aside, synced, renamed) or not at
// all; what is read out as a tar is checked by hash.
//   <root>/<id>/manifest.json   <root>/<id>/tree/…   <root>/.incoming-…
// Owns the directory. Calls block on the disk; two stores, also of two processes, may share a root.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/artefact/artefact_manifest.hpp"
#include "common/random.hpp"
#include "common/result.hpp"

namespace germline::artefact {

class artefact_store {
 public:
  /// Makes the root when it is not there, and clears what earlier processes left half done (older
  /// than an hour).
  static result<artefact_store> open(const std::string& root, const limits& bounds = {});

  /// Seals and stores; storing what is there already touches it. Returns the id.
  result<std::string> put(const std::vector<file>& files);
  bool contains(const std::string& id) const;
  /// The directory to bind read-only. not_found when it is not here.
  result<std::string> tree_path(const std::string& id) const;
  result<manifest> read_manifest(const std::string& id) const;
  /// All files, each checked against its hash. data_loss when one does not fit.
  result<std::vector<file>> get(const std::string& id) const;
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
  /// What the files would be stored under.
  result<std::string> id_of(const std::vector<file>& files) const;

 private:
  artefact_store(std::string root, const limits& bounds)
      : root_(std::move(root)), bounds_(bounds) {}
  std::string root_;
  limits bounds_;
};

}  // namespace germline::artefact
