// The part of the store that knows what descends from what.
#include <set>

#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

// down: the generations of the clade of the generation ?1.
constexpr const char* of_generation =
    "WITH RECURSIVE down(id) AS (SELECT ?1 UNION SELECT p.generation_id FROM generation_parents p"
    " JOIN down ON p.parent_id = down.id AND p.role = 'primary')";

// Of the lineage ?1: what it and forks of its generations bore, and what descends from that.
constexpr const char* of_lineage =
    "WITH RECURSIVE clade(id) AS (SELECT ?1 UNION SELECT f.id FROM clade JOIN generations g ON"
    " g.lineage_id = clade.id JOIN lineages f ON f.forked_from = g.id), down(id) AS (SELECT g.id"
    " FROM generations g JOIN clade ON g.lineage_id = clade.id UNION SELECT p.generation_id FROM"
    " generation_parents p JOIN down ON p.parent_id = down.id AND p.role = 'primary')";

// A lineage without a head yet will have the seed.
constexpr const char* lineages_of_generation =
    " SELECT l.id FROM lineages l WHERE (l.head_generation IN (SELECT id FROM down) OR"
    " (l.head_generation = '' AND l.run_id = (SELECT run_id FROM generations WHERE id = ?1 AND"
    " lineage_id IS NULL)))";
constexpr const char* lineages_of_lineage =
    " SELECT l.id FROM lineages l WHERE (l.id IN (SELECT id FROM clade) OR l.head_generation IN"
    " (SELECT id FROM down))";

constexpr const char* not_over =
    " AND (l.state IN (1, 2) OR EXISTS (SELECT 1 FROM items i JOIN attempts a ON a.item_id = i.id"
    " WHERE i.lineage_id = l.id AND a.settled = 0)) ORDER BY l.run_id, l.ordinal";

}  // namespace

result<void> store::bar_lineages(const records::bar_request& request) {
  return impl_->transact([&]() -> result<void> {
    for (const auto& id : request.of) {
      sql::exec(impl_->db, "UPDATE generations SET barred=1 WHERE lineage_id=?", id.str());
      impl_->forget_archive(id);
    }
    return {};
  });
}

result<records::clade_lineages> store::bar_clade(const records::clade_kill& kill) {
  const bool by_generation = !kill.what.generation.empty();
  const std::string of = by_generation ? of_generation : of_lineage;
  const auto root = by_generation ? kill.what.generation.str() : kill.what.lineage.str();
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<records::clade_lineages> {
    sql::exec(db,
              (of + " UPDATE generations SET barred=1 WHERE id IN (SELECT id FROM down)").c_str(),
              root);
    impl_->populations.clear();
    SQLite::Statement row(
        db, of + (by_generation ? lineages_of_generation : lineages_of_lineage) + not_over);
    sql::bind_all(row, root);
    records::clade_lineages found;
    std::set<std::string> lineages;
    while (row.executeStep()) {
      if (auto id = lineage_id::parse(sql::text(row, 0))) found.of.push_back(*id);
      lineages.insert(sql::text(row, 0));
    }
    // The seed's are the run's, and go with it.
    SQLite::Statement measured(db, of + " SELECT i.id, i.lineage_id FROM items i WHERE i.kind = 3"
                                        " AND i.lineage_id IS NOT NULL AND i.parent_generation IN"
                                        " (SELECT id FROM down) AND (i.ending = 0 OR EXISTS (SELECT"
                                        " 1 FROM attempts a WHERE a.item_id = i.id AND a.settled ="
                                        " 0))");
    sql::bind_all(measured, root);
    while (measured.executeStep()) {
      if (lineages.contains(sql::text(measured, 1))) continue;  // it is killed with its lineage
      if (auto id = item_id::parse(sql::text(measured, 0))) found.evaluations.push_back(*id);
    }
    for (const auto& item : found.evaluations) kill_item(db, item.str(), kill.why, kill.now_ms);
    return found;
  });
}

}  // namespace germline
