// pack_writer: writes a git pack (version 2) without deltas, and the bytes and ids of the objects
// in it. What it writes is what pack_view reads and `git index-pack` takes. The same objects in the
// same order give the same bytes.
// One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
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

/// Takes the next bytes of a pack; an error ends it.
using pack_sink = std::function<result<void>(std::string_view)>;

/// The same pack, object by object, for one whose objects are known before: no more than one of
/// them is in memory.
class pack_stream {
 public:
  /// `count` objects are going to be added, none of them twice.
  static result<pack_stream> begin(std::uint32_t count, pack_sink into);
  pack_stream(pack_stream&&) noexcept;
  ~pack_stream();

  result<void> add(object_type type, std::string_view bytes);
  /// All objects of another pack, as they stand in it.
  result<void> add_all(const pack_view& other);
  /// REQUIRES that `count` objects were added.
  result<void> finish();
  /// Bytes of the pack so far.
  std::size_t bytes() const noexcept;

 private:
  struct impl;
  explicit pack_stream(std::unique_ptr<impl> begun);
  std::unique_ptr<impl> impl_;
};

}  // namespace germline::git
