// The part of the store that judges endings by their run's policy: it keeps what each lineage of
// such a run did until now, put together from the record where it is not there.
#include <algorithm>
#include <tuple>

#include "coordinator/store/history.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
using sql::bind_all;
using sql::integer;
using sql::text;

namespace {

/// As a replay tells them: those that were done until then, in the order of their times.
std::vector<store_history::past_measure> measured_until(SQLite::Database& db,
                                                        const evolution::tally& done,
                                                        std::int64_t now_ms) {
  std::vector<store_history::past_measure> out;
  for (const auto& generation : done.unmeasured()) {
    auto measured = store_history::read_measure(db, generation);
    if (measured && measured->done_ms <= now_ms) out.push_back(std::move(*measured));
  }
  std::ranges::sort(out, [](const auto& a, const auto& b) {
    return std::tie(a.done_ms, a.generation) < std::tie(b.done_ms, b.generation);
  });
  return out;
}

}  // namespace

std::optional<evolution::tally> store::impl::tally_of(const std::string& lineage) {
  const auto kept = tallies.find(lineage);
  if (kept != tallies.end()) return kept->second;
  const auto past = store_history::read_history(db, lineage);
  if (!past) return std::nullopt;
  return store_history::replay(
      *past, [](const store_history::past_step&, const evolution::tally&) { return true; });
}

result<records::findings> store::judge_by_policy(const records::policy_request& request) {
  auto& db = impl_->db;
  return sql::guarded([&]() -> result<records::findings> {
    const auto& judged = request.judged;
    SQLite::Statement of(
        db,
        "SELECT i.lineage_id, r.policy, (SELECT COALESCE(SUM(a.cost_nanousd), 0) FROM attempts a"
        " WHERE a.item_id = i.id AND a.id <> ?2), COALESCE(p.source_bytes, 0) FROM items i JOIN"
        " runs r ON r.id = i.run_id LEFT JOIN generations g ON g.id = i.parent_generation LEFT JOIN"
        " items p ON p.id = g.born_of_item WHERE i.id=?1");
    bind_all(of, judged.item.str(), judged.attempt.str());
    if (!of.executeStep()) return error(error_code::not_found, "no such item");
    const auto lineage = text(of, 0);
    GERMLINE_TRY_ASSIGN(const auto policy, evolution::parse_policy(sql::lines(text(of, 1))));
    auto done = impl_->tally_of(lineage);
    if (!done) return records::findings{};
    for (const auto& each : measured_until(db, *done, judged.now_ms)) {
      done->measured(each.generation, each.mean);
    }
    const auto nearest = nearest_change(db, judged.item.str(), judged.change_sketch);
    const auto like = nearest.value_or(records::like_change{});
    done->add({judged.now_ms, judged.how, judged.reason, judged.action,
               integer(of, 2) + judged.usage.cost_nanousd(),
               request.born.empty() ? std::string() : request.born.str(), request.sizes.source,
               integer(of, 3), request.sizes.context, like.likeness, like.generation});
    records::findings out;
    const auto found = done->findings(policy);
    const auto* acting = evolution::strongest(found);
    for (const auto& each : found) {
      // What ran beside the one that it is like was not refused.
      if (each.by->refuses && judged.reason != "near_duplicate") continue;
      out.push_back({each.by->text, each.by->action, each.words, &each == acting});
    }
    impl_->judged.insert_or_assign(
        lineage, impl::judged_ending{judged.item.str(), std::move(*done), nearest});
    return out;
  });
}

void store::impl::keep_tally(const std::string& lineage, const std::string& item) {
  const auto found = judged.find(lineage);
  if (found != judged.end() && found->second.item == item) {
    tallies.insert_or_assign(lineage, std::move(found->second.done));
  } else {
    tallies.erase(lineage);  // it is put together from the record again
  }
  if (found != judged.end()) judged.erase(found);
}

}  // namespace germline
