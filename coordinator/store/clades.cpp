// The part of the store that knows what descends from what.
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

// ?1 is the generation. A lineage without a head yet will have the seed.
constexpr const char* of_generation =
    "WITH RECURSIVE down(id) AS (SELECT ?1 UNION SELECT p.generation_id FROM generation_parents p"
    " JOIN down ON p.parent_id = down.id AND p.role = 'primary')"
    " SELECT l.id FROM lineages l WHERE (l.head_generation IN (SELECT id FROM down) OR"
    " (l.head_generation = '' AND l.run_id = (SELECT run_id FROM generations WHERE id = ?1 AND"
    " lineage_id IS NULL)))";

// ?1 is the lineage.
constexpr const char* of_lineage =
    "WITH RECURSIVE clade(id) AS (SELECT ?1 UNION SELECT f.id FROM clade JOIN generations g ON"
    " g.lineage_id = clade.id JOIN lineages f ON f.forked_from = g.id)"
    " SELECT l.id FROM lineages l WHERE l.id IN (SELECT id FROM clade)";

constexpr const char* not_over =
    " AND (l.state IN (1, 2) OR EXISTS (SELECT 1 FROM items i JOIN attempts a ON a.item_id = i.id"
    " WHERE i.lineage_id = l.id AND a.settled = 0)) ORDER BY l.run_id, l.ordinal";

}  // namespace

result<records::clade_lineages> store::lineages_of(const records::clade& clade) {
  return sql::guarded([&]() -> result<records::clade_lineages> {
    const bool by_generation = !clade.generation.empty();
    SQLite::Statement row(impl_->db,
                          std::string(by_generation ? of_generation : of_lineage) + not_over);
    sql::bind_all(row, by_generation ? clade.generation.str() : clade.lineage.str());
    records::clade_lineages found;
    while (row.executeStep()) {
      if (auto id = lineage_id::parse(sql::text(row, 0))) found.of.push_back(*id);
    }
    return found;
  });
}

}  // namespace germline
