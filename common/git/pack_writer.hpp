// pack_writer: writes a git pack (version 2) without deltas, and the bytes and ids of the objects
// in it. What it writes is what pack_view reads and `git index-pack` takes.
// One thread at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/git/oid.hpp"
#include "common/git/pack_view.hpp"

namespace germline::git {

/// The id that git gives to an object of this type and these bytes.
oid hash_object(object_type type, std::string_view bytes);

class pack_writer {
 public:
  /// Adds an object; one that was added before is not written twice. Returns its id.
  oid add(object_type type, std::string_view bytes);
  std::size_t size() const noexcept { return added_.size(); }
  bool contains(const oid& id) const { return added_.contains(id); }
  /// Bytes of the pack so far.
  std::size_t bytes() const noexcept { return body_.size(); }
  /// The whole pack. The writer must not be used afterwards.
  std::string finish() &&;

 private:
  std::string body_;
  std::map<oid, bool> added_;
};

}  // namespace germline::git
