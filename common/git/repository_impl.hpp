// repository_impl: what the sources of repository share. Not for callers of the library.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/git/handles.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/repository.hpp"
#include "common/git/source_id.hpp"

namespace germline::git {

struct repository::impl {
  repository_handle repo;
  odb_handle odb;

  result<std::string> read_object(const oid& id, object_type type) const;
  result<oid> write_object(object_type type, std::string_view bytes);
  /// The object's type; not_found when it is not there.
  result<object_type> type_of(const oid& id) const;
  bool has(const oid& id) const;
  result<oid> tree_of(const std::string& commit) const;
  tree_reader reader() const;
  /// Indexes a pack in a quarantine and moves it into the store. Judges nothing.
  result<void> store_pack(std::string_view pack);
};

}  // namespace germline::git
