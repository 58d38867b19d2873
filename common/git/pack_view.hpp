// pack_view: a git pack without deltas, read as data. Opening it is the pre-scan that every pack
// from outside passes first: the number of objects, each declared size and their sum are capped
// *before* anything is inflated, deltas are refused, each object must inflate to the size that it
// declares, the checksum must hold, and no byte may follow. It keeps no inflated object.
// Borrows the pack's bytes. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/git/object_limits.hpp"
#include "common/git/oid.hpp"
#include "common/result.hpp"

namespace germline::git {

enum class object_type : std::uint8_t { commit = 1, tree = 2, blob = 3, tag = 4 };

std::string_view to_string(object_type type) noexcept;

class pack_view {
 public:
  /// REQUIRES that `pack` outlives the view. An empty string is a pack without objects.
  static result<pack_view> open(std::string_view pack, const object_limits& limits);

  struct entry {
    object_type type = object_type::blob;
    std::size_t offset = 0;  // of the zlib stream
    std::size_t size = 0;    // inflated
  };

  const entry* find(const oid& id) const;
  std::size_t size() const noexcept { return entries_.size(); }
  /// All objects as they stand in the pack, without what frames them.
  std::string_view body() const noexcept;
  const std::map<oid, entry>& entries() const noexcept { return entries_; }
  /// The object's bytes, inflated anew.
  result<std::string> read(const entry& which) const;

 private:
  std::string_view pack_;
  std::map<oid, entry> entries_;
};

}  // namespace germline::git
