// The part of the store that compares what generations of one parent changed.
#include "common/text/change_sketch.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::bytes;
using sql::exec;
using sql::text;

namespace {

// The newest; a change is compared with no more.
constexpr int siblings_max = 256;
constexpr const char* select_siblings =
    "SELECT c.generation_id, c.sketch FROM changes c JOIN generations g ON g.id ="
    " c.generation_id WHERE c.parent_id = ? AND g.barred = 0 ORDER BY c.rowid DESC LIMIT ?";
// Of an iteration that is done again: those that are again what was there when it was leased.
const std::string select_siblings_again =
    "SELECT c.generation_id, c.sketch FROM items i JOIN changes c ON c.parent_id ="
    " i.parent_generation JOIN generations g ON g.id = c.generation_id JOIN items b ON b.id ="
    " g.born_of_item JOIN generations o ON o.born_of_item = b.replay_of JOIN (SELECT"
    " MAX(a.leased_ms) AS ms FROM attempts a WHERE a.item_id = (SELECT replay_of FROM items WHERE "
    "id"
    " = ?1)) AS then_ ON o.born_ms < then_.ms WHERE i.id = ?1 AND g.barred = 0 AND NOT " +
    sql::was_killed_before("o", "then_.ms") + " ORDER BY o.rowid DESC LIMIT ?2";

}  // namespace

std::optional<records::like_change> nearest_change(SQLite::Database& db, const std::string& item,
                                                   const std::string& sketch) {
  const auto changed = change_sketch::read(sketch);
  if (!changed || changed->empty()) return std::nullopt;
  // What is imported is compared with nothing: it changed the seed in many steps, as others of its
  // archive did before.
  SQLite::Statement parent(
      db,
      "SELECT parent_generation FROM items i WHERE id=? AND NOT EXISTS (SELECT 1 FROM imports m"
      " WHERE m.item_id = i.id AND m.item_id <> '')");
  bind_all(parent, item);
  if (!parent.executeStep()) return std::nullopt;
  records::like_change nearest;
  SQLite::Statement row(db, select_siblings);
  bind_all(row, text(parent, 0), siblings_max);
  while (row.executeStep()) {
    const auto its = change_sketch::read(bytes(row, 1));
    const double likeness = its ? changed->likeness(*its) : 0;
    if (likeness > nearest.likeness) nearest = {likeness, text(row, 0)};
  }
  return nearest;
}

void store::impl::note_change(const records::verdict& of, const std::string& lineage,
                              const std::string& born) {
  const auto sketch = change_sketch::read(of.change_sketch);
  if (!sketch || sketch->empty()) return;
  // What its policy judged is what the record says, whatever was born since.
  const auto found = judged.find(lineage);
  const bool was_judged = found != judged.end() && found->second.item == of.item.str();
  if (const auto nearest =
          was_judged ? found->second.like : nearest_change(db, of.item.str(), of.change_sketch)) {
    exec(db, "UPDATE items SET likeness=?, like_generation=? WHERE id=?", nearest->likeness,
         nearest->generation, of.item.str());
  }
  if (born.empty()) return;
  SQLite::Statement row(
      db,
      "INSERT INTO changes (generation_id, parent_id, sketch) SELECT ?, parent_generation, ? FROM"
      " items WHERE id=?");
  row.bind(1, born);
  row.bind(2, of.change_sketch.data(), static_cast<int>(of.change_sketch.size()));
  row.bind(3, of.item.str());
  row.exec();
}

void add_siblings(SQLite::Database& db, const std::vector<std::string>& policy, v1::Lease& lease) {
  if (!lease.given_commit().empty()) return;  // an import, as above
  if (lease.kind() != v1::WORK_KIND_ITERATE || policy.empty()) return;
  const auto rules = evolution::parse_policy(policy);
  const double limit = rules ? evolution::refused_likeness(*rules) : 0;
  if (limit == 0) return;
  lease.set_near_duplicate(limit);
  const bool is_again = lease.replay_answers() != v1::REPLAY_ANSWERS_UNSPECIFIED;
  SQLite::Statement row(db, is_again ? select_siblings_again : select_siblings);
  bind_all(row, is_again ? lease.item_id() : lease.parent_generation(), siblings_max);
  while (row.executeStep()) {
    auto& sibling = *lease.add_siblings();
    sibling.set_generation_id(text(row, 0));
    sibling.set_change_sketch(bytes(row, 1));
  }
}

}  // namespace germline
