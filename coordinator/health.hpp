// health: what keeps the coordinator from writing at present: a full disk, a record or a repository
// that cannot be written. Actors that write tell it, the dispatcher asks it before it leases, and
// people are told. It mends nothing: who failed tries again by himself.
// Any thread; `look` asks the file system.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace germline {

class health {
 public:
  /// `folder` is the coordinator's own, on the disk that is looked at.
  explicit health(std::string folder);

  /// Looks how much room the disk has.
  void look();
  /// A write of the record, or of the objects, succeeded or failed. Only a failure of the storage
  /// (code unavailable) is a trouble; any other says nothing.
  void note_record(const result<void>& outcome);
  void note_objects(const result<void>& outcome);
  bool record_is_well() const;

  /// The same failure with code unavailable, where it is the storage's and not that of what was to
  /// be stored.
  error judged(const error& failure) const;

  /// Each for people: "the record cannot be written: database or disk is full".
  std::vector<std::string> troubles() const;
  /// What a lease would wait for: an attempt whose result could not be taken in is lost work.
  /// Empty: nothing is in the way.
  std::string why_no_leases() const;

 private:
  void note(std::string& trouble, const std::string& what, const result<void>& outcome);

  const std::string folder_;
  mutable std::mutex mutex_;
  std::int64_t free_bytes_;
  std::string disk_, record_, objects_;  // the troubles; empty: none
};

}  // namespace germline
