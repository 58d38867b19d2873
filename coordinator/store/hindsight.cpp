// The part of the reader that looks back at a lineage: what happened to it, and what a policy finds
// in what it did.
#include <algorithm>

#include "coordinator/store/history.hpp"
#include "coordinator/store/reader_impl.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;
using sql::text;

constexpr std::int64_t history_max = 50;
constexpr int findings_max = 10'000;

bool kills(const evolution::finding& found) {
  return found.by->action >= lineage::policy_action::kill;
}

/// What the policy finds in one lineage, until it kills it.
void judge_lineage(const store_history::lineage_history& past, const evolution::run_policy& policy,
                   const std::string& lineage, v1::TestPolicyReply& reply) {
  const auto look = [&](const store_history::past_step& step, const evolution::tally& done) {
    reply.set_iterations(reply.iterations() + 1);
    const auto found = done.findings(policy);
    for (const auto& one : found) {
      auto& told = *reply.add_findings();
      told.set_lineage_id(lineage);
      told.set_item_id(step.item);
      told.set_time_ms(step.what.ended_ms);
      told.set_rule(one.by->text);
      told.set_words(one.words);
    }
    return std::ranges::none_of(found, kills);
  };
  static_cast<void>(store_history::replay(past, look));
}

}  // namespace

result<std::vector<v1::WatchEvent>> record_reader::history(const std::string& lineage) {
  return impl_->locked([&]() -> result<std::vector<v1::WatchEvent>> {
    SQLite::Statement eldest(
        impl_->db,
        "SELECT COALESCE(MIN(seq), 1) FROM (SELECT seq FROM lineage_changes WHERE"
        " lineage_id=? ORDER BY seq DESC LIMIT ?)");
    bind_all(eldest, lineage, history_max);
    eldest.executeStep();
    resolved_target target;
    target.what = resolved_target::kind::lineage;
    target.id = lineage;
    std::vector<v1::WatchEvent> out;
    for (auto& each : impl_->changes_of(target, integer(eldest, 0) - 1)) {
      auto& event = out.emplace_back();
      *event.mutable_lineage() = std::move(each.change);
      event.set_lineage_id(lineage);
      event.set_time_ms(each.at_ms);
    }
    return out;
  });
}

result<v1::TestPolicyReply> record_reader::test_policy(const resolved_target& target,
                                                       const std::vector<std::string>& policy) {
  return impl_->locked([&]() -> result<v1::TestPolicyReply> {
    auto texts = policy;
    SQLite::Statement run(
        impl_->db,
        "SELECT r.policy, r.strategy, r.fitness_direction, r.model <> '' AND r.agents_ask,"
        " i.source_bytes, i.context_bytes FROM runs r JOIN items i ON i.run_id ="
        " r.id AND i.kind = 1 WHERE r.id=?");
    bind_all(run, target.run);
    if (!run.executeStep()) return rows::not_found(target.run);
    if (texts.empty()) texts = sql::lines(text(run, 0));
    GERMLINE_TRY_ASSIGN(const auto rules, evolution::parse_policy(texts));
    GERMLINE_TRY(evolution::check_policy(
        rules, {text(run, 1) != "chain", integer(run, 2) != v1::FITNESS_DIRECTION_UNSPECIFIED,
                integer(run, 3) != 0, integer(run, 4), integer(run, 5)}));
    v1::TestPolicyReply reply;
    for (const auto& rule : rules) reply.add_policy(rule.text);
    const SQLite::Transaction one_moment(impl_->db);
    SQLite::Statement row(impl_->db,
                          "SELECT id FROM lineages WHERE run_id=?1 AND (?2 = ?1 OR id = ?2)"
                          " ORDER BY ordinal");
    bind_all(row, target.run, target.id);
    while (row.executeStep()) {
      reply.set_lineages(reply.lineages() + 1);
      const auto past = store_history::read_history(impl_->db, text(row, 0));
      if (past) judge_lineage(*past, rules, text(row, 0), reply);
    }
    auto& findings = *reply.mutable_findings();
    std::stable_sort(findings.begin(), findings.end(),
                     [](const auto& a, const auto& b) { return a.time_ms() < b.time_ms(); });
    if (findings.size() > findings_max) {
      findings.DeleteSubrange(findings_max, findings.size() - findings_max);
      reply.set_truncated(true);
    }
    return reply;
  });
}

}  // namespace germline
