// budget_fixture: for tests of what may be spent: a run whose lineages stand before their first
// iterations, and what is told of its budgets. For one thread.
#pragma once

#include "coordinator/store/store_fixture.hpp"

namespace germline::testing {

inline constexpr std::int64_t dollar = 1'000'000'000;
inline constexpr std::int64_t day_ms = 86'400'000;

struct budget_fixture : fixture {
  /// A run whose lineages all stand before an iteration that nobody has.
  std::vector<lineage::state> begin_all(std::int64_t budget, int lineages,
                                        std::int64_t of_each_lineage = 0) {
    run.model = "m";
    run.lineage_budget = of_each_lineage;
    create(budget, lineages);
    std::vector<lineage::state> all;
    all.push_back(first_iteration());
    for (int i = 1; i < lineages; ++i) {
      lineage::state s;
      s.id = run.lineages.at(static_cast<std::size_t>(i));
      s.head_generation = all[0].head_generation;
      s.head_commit = run.seed_commit;
      REQUIRE(record->save_lineage(s, 5));
      all.push_back(begin(s));
    }
    return all;
  }
  result<v1::Lease> lease_at(const item_id& item, std::int64_t fence, std::int64_t now_ms) {
    attempt = attempt_id::make(time, random);
    return record->grant({item, attempt, fence, "w1", now_ms});
  }
  void limit_fleet(std::optional<std::int64_t> amount, bool per_day = false) {
    REQUIRE(record->set_budget({{}, {}, records::spending_limit{amount, per_day}, 1}));
  }
  v1::Budgets told(std::int64_t now_ms = 10) {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    const auto all = (*reader)->budgets(
        resolved_target{resolved_target::kind::run, run.id.str(), run.id.str()}, now_ms);
    REQUIRE(all);
    return *all;
  }
  /// The end of a lineage's iteration, by the last attempt, that bore nothing for want of a budget.
  records::iteration_end make_end_of_budget(const lineage::state& s) {
    auto end = make_end(s, 1);
    end.born.reset();
    end.judged.how = lineage::ending::failed;
    end.judged.reason = "budget";
    end.next.head_generation = s.head_generation;
    end.next.last_number = s.last_number;
    return end;
  }
  /// The lineage at its next iteration.
  lineage::state go_on(const records::iteration_end& end) {
    REQUIRE(record->end_iteration(end));
    return begin(end.next, 11);
  }
  std::int64_t spent() { return told().runs(0).spent_nanousd(); }
  records::late_accounts_taken reconcile(const attempt_id& of, std::int64_t cost,
                                         const std::string& worker = "w1") {
    const auto taken = record->reconcile({worker, {{of.str(), cost}}, 20});
    REQUIRE(taken);
    return *taken;
  }
};

struct counted_fixture : budget_fixture {
  std::vector<lineage::state> begin_counted(std::int64_t tokens, std::int64_t requests,
                                            int lineages) {
    run.budget.tokens = tokens;
    run.budget.requests = requests;
    return begin_all(100 * dollar, lineages);
  }
  void limit(const run_id& of_run, const lineage_id& of_lineage,
             const std::optional<records::spending_limit>& tokens,
             const std::optional<records::spending_limit>& requests) {
    REQUIRE(record->set_budget({of_run, of_lineage, {}, 1, tokens, requests}));
  }
};

/// A run whose candidates have a model, and cost 20 cents at most each time they are measured.
struct costly_fixture : measured_fixture {
  costly_fixture() {
    run.model = "m";
    run.budget = 100 * dollar;
    run.evaluation_budget = dollar / 5;
  }
};

inline records::spending_limit most(std::int64_t value, bool per_day = false) {
  return {value, per_day};
}

}  // namespace germline::testing
