#include "common/git/pack_merge.hpp"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "common/git/commit.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/tree.hpp"

namespace germline::git {
namespace {

result<std::vector<oid>> named_by(object_type type, std::string_view bytes) {
  std::vector<oid> named;
  if (type == object_type::commit) {
    GERMLINE_TRY_ASSIGN(auto header, parse_commit(bytes));
    named = std::move(header.parents);
    named.push_back(header.tree);
  } else if (type == object_type::tree) {
    GERMLINE_TRY_ASSIGN(const auto entries,
                        parse_tree(bytes, std::numeric_limits<std::int64_t>::max()));
    for (const auto& entry : entries) {
      if (entry.mode != static_cast<std::uint32_t>(entry_mode::submodule)) {
        named.push_back(entry.id);
      }
    }
  }
  return named;
}

result<void> check_complete(const pack_view& base, const pack_view& more) {
  for (const auto& [id, entry] : more.entries()) {
    if (entry.type == object_type::blob) continue;
    GERMLINE_TRY_ASSIGN(const auto bytes, more.read(entry));
    GERMLINE_TRY_ASSIGN(const auto named, named_by(entry.type, bytes));
    for (const auto& each : named) {
      if (more.find(each) != nullptr || base.find(each) != nullptr) continue;
      return error(error_code::data_loss,
                   "object " + id.hex() + " names " + each.hex() + ", which did not come");
    }
  }
  return {};
}

}  // namespace

result<void> merge_packs(std::string_view base, std::string_view more, const pack_sink& into) {
  GERMLINE_TRY_ASSIGN(const auto old, pack_view::open(base, history_limits));
  GERMLINE_TRY_ASSIGN(const auto fresh, pack_view::open(more, history_limits));
  GERMLINE_TRY(check_complete(old, fresh));
  std::vector<const pack_view::entry*> added;
  for (const auto& [id, entry] : fresh.entries()) {
    if (old.find(id) == nullptr) added.push_back(&entry);
  }
  GERMLINE_TRY_ASSIGN(
      auto pack, pack_stream::begin(static_cast<std::uint32_t>(old.size() + added.size()), into));
  GERMLINE_TRY(pack.add_all(old));
  for (const auto* entry : added) {
    GERMLINE_TRY_ASSIGN(const auto bytes, fresh.read(*entry));
    GERMLINE_TRY(pack.add(entry->type, bytes));
  }
  return pack.finish();
}

}  // namespace germline::git
