// What may be spent, and what becomes of what was held: by the store itself, reopened from disk.
#include <SQLiteCpp/Database.h>

#include <limits>

#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

constexpr std::int64_t dollar = 1'000'000'000;
constexpr std::int64_t day_ms = 86'400'000;

struct budget_fixture : fixture {
  /// A run whose lineages all stand before an iteration that nobody has.
  std::vector<lineage::state> begin_all(std::int64_t budget, int lineages,
                                        std::int64_t of_each_lineage = 0) {
    run.model = "m";
    run.lineage_budget_nanousd = of_each_lineage;
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
    REQUIRE(record->set_budget({{}, {}, {amount, per_day}, 1}));
  }
  v1::Budgets told(std::int64_t now_ms = 10) {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    const auto all = (*reader)->budgets(
        resolved_target{resolved_target::kind::run, run.id.str(), run.id.str()}, now_ms);
    REQUIRE(all);
    return *all;
  }
  std::int64_t spent() { return told().runs(0).spent_nanousd(); }
  records::late_accounts_taken reconcile(const attempt_id& of, std::int64_t cost,
                                         const std::string& worker = "w1") {
    const auto taken = record->reconcile({worker, {{of.str(), cost}}, 20});
    REQUIRE(taken);
    return *taken;
  }
};

}  // namespace

TEST_CASE_FIXTURE(budget_fixture,
                  "slices never pass the fleet's budget, and a restart forgets nothing") {
  const auto all = begin_all(100 * dollar, 3);
  limit_fleet(3 * dollar / 2);
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  const auto held = first->limits().budget_nanousd();
  CHECK(held > 0);
  CHECK(held <= 3 * dollar / 2);
  const auto of_first = attempt;
  REQUIRE(record->lose({of_first, "gone", held}, 8));
  reopen();
  std::int64_t sum = held;
  for (const auto& each : all) {
    const auto next = lease(each.live, 5);
    if (!next) break;
    sum += next->limits().budget_nanousd();
  }
  CHECK(sum <= 3 * dollar / 2);
  CHECK(told().fleet().spent_nanousd() == held);
  CHECK(told().fleet().spent_nanousd() + told().fleet().held_nanousd() == sum);
  CHECK(told().fleet().budget_nanousd() == 3 * dollar / 2);
}

TEST_CASE_FIXTURE(budget_fixture,
                  "what the fleet has spent is the end, what it holds is waited for") {
  const auto all = begin_all(100 * dollar, 2);
  limit_fleet(1);
  REQUIRE(lease(all[0].live, 1));
  const auto of_first = attempt;
  const auto waits = lease(all[1].live, 1);
  REQUIRE_FALSE(waits);
  CHECK(waits.error().code() == error_code::permission_denied);
  CHECK(waits.error().message().find("the fleet's budget of $0.000000001") != std::string::npos);
  REQUIRE(record->lose({of_first, "gone", 1}, 8));
  const auto over = lease(all[1].live, 2);
  REQUIRE_FALSE(over);
  CHECK(over.error().code() == error_code::resource_exhausted);
  CHECK(over.error().message() ==
        "the fleet's budget of $0.000000001 is spent: raise it with `germline budget --fleet USD`, "
        "then `germline resume` the lineages");
  limit_fleet(2);
  CHECK(lease(all[1].live, 3));
  REQUIRE(record->settle({attempt, "", 0}, 9));
  limit_fleet(std::nullopt);
  CHECK(lease(all[0].live, 4));
  CHECK_FALSE(told().fleet().has_budget_nanousd());
}

TEST_CASE_FIXTURE(budget_fixture, "what others hold of the run's budget is waited for") {
  const auto all = begin_all(dollar, 2);
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  const auto held = first->limits().budget_nanousd();
  const auto of_first = attempt;
  REQUIRE(record->set_budget({run.id, {}, {held}, 1}));
  const auto waits = lease(all[1].live, 1);
  REQUIRE_FALSE(waits);
  CHECK(waits.error().code() == error_code::permission_denied);
  REQUIRE(record->lose({of_first, "gone", held - 10}, 8));
  CHECK(lease(all[1].live, 2));
}

TEST_CASE_FIXTURE(budget_fixture,
                  "of a day the fleet may spend so much, and waits for the next one") {
  const auto all = begin_all(100 * dollar, 2);
  limit_fleet(dollar, true);
  REQUIRE(lease_at(all[0].live, 1, day_ms - 2));
  const auto of_first = attempt;
  REQUIRE(record->lose({of_first, "gone", dollar}, day_ms - 1));
  const auto waits = lease_at(all[1].live, 1, day_ms - 1);
  REQUIRE_FALSE(waits);
  CHECK(waits.error().code() == error_code::permission_denied);
  CHECK(waits.error().message() ==
        "the next day, 00:00 UTC: the fleet's budget of $1.00 a day is spent: raise it with "
        "`germline budget --fleet USD`");
  const auto next = lease_at(all[1].live, 2, day_ms);
  REQUIRE(next);
  CHECK(told(day_ms).fleet().spent_nanousd() == 0);
  CHECK(told(day_ms).fleet().spent_in_all_nanousd() == dollar);
  // What is held at midnight counts for the day that begins.
  const auto held = told(day_ms).fleet().held_nanousd();
  CHECK(held == next->limits().budget_nanousd());
  CHECK(told(2 * day_ms).fleet().held_nanousd() == held);
}

TEST_CASE_FIXTURE(budget_fixture, "what was said at a start holds until another is said") {
  REQUIRE(record->configure_fleet_budget("$5", 1));
  run.model = "m";
  create(dollar);
  CHECK(told().fleet().budget_nanousd() == 5 * dollar);
  limit_fleet(9 * dollar);
  reopen();
  REQUIRE(record->configure_fleet_budget("$5", 2));
  CHECK(told().fleet().budget_nanousd() == 9 * dollar);
  REQUIRE(record->configure_fleet_budget("", 2));
  CHECK(told().fleet().budget_nanousd() == 9 * dollar);
  // It was not said at the start before: so it is news.
  REQUIRE(record->configure_fleet_budget("$5", 3));
  CHECK(told().fleet().budget_nanousd() == 5 * dollar);
  REQUIRE(record->configure_fleet_budget("$2/day", 3));
  CHECK(told().fleet().budget_nanousd() == 2 * dollar);
  CHECK(told().fleet().per_day());
  REQUIRE(record->configure_fleet_budget("none", 4));
  CHECK_FALSE(told().fleet().has_budget_nanousd());
  CHECK_FALSE(record->configure_fleet_budget("$2/week", 5));
}

TEST_CASE_FIXTURE(budget_fixture, "a lineage's slices never pass its own budget") {
  const auto all = begin_all(100 * dollar, 2, 2 * dollar);
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  CHECK(first->limits().budget_nanousd() == 2 * dollar);  // of 25 that the run would give
  REQUIRE(record->lose({attempt, "gone", 3 * dollar / 2}, 8));
  const auto second = lease(all[0].live, 2);
  REQUIRE(second);
  CHECK(second->limits().budget_nanousd() == dollar / 2);
  REQUIRE(record->lose({attempt, "gone", dollar / 2}, 8));
  const auto over = lease(all[0].live, 3);
  REQUIRE_FALSE(over);
  CHECK(over.error().code() == error_code::resource_exhausted);
  CHECK(over.error().message() ==
        "the lineage's budget of $2.00 is spent: raise it with `germline budget " +
            all[0].id.str() + " USD`, then `germline resume " + all[0].id.str() + "`");
  CHECK(lease(all[1].live, 1));  // another has its own
  REQUIRE(record->set_budget({{}, all[0].id, {3 * dollar}, 1}));
  const auto more = lease(all[0].live, 4);
  REQUIRE(more);
  CHECK(more->limits().budget_nanousd() == dollar);
  REQUIRE(record->set_budget({{}, all[0].id, {}, 1}));
  CHECK_FALSE(told().lineages(0).has_budget_nanousd());
  CHECK(told().lineages(1).budget_nanousd() == 2 * dollar);
}

TEST_CASE_FIXTURE(budget_fixture, "a budget is not set below what is spent and held") {
  const auto all = begin_all(4 * dollar, 1);
  REQUIRE(lease(all[0].live, 1));
  REQUIRE(record->lose({attempt, "gone", dollar}, 8));
  REQUIRE(lease(all[0].live, 2));
  const auto held = told().runs(0).held_nanousd();
  const auto low = record->set_budget({run.id, {}, {dollar + held - 1}, 1});
  REQUIRE_FALSE(low);
  CHECK(low.error().code() == error_code::failed_precondition);
  CHECK(record->set_budget({run.id, {}, {dollar + held}, 1}));
  CHECK(told().runs(0).budget_nanousd() == dollar + held);
  CHECK_FALSE(record->set_budget({{}, all[0].id, {dollar + held - 1}, 1}));
  CHECK_FALSE(record->set_budget({run.id, {}, {}, 1}));
  CHECK_FALSE(record->set_budget({run.id, {}, {100 * dollar, true}, 1}));
  CHECK_FALSE(record->set_budget({run_id::make(time, random), {}, {dollar}, 1}));
  CHECK_FALSE(record->set_budget({{}, lineage_id::make(time, random), {dollar}, 1}));
}

TEST_CASE_FIXTURE(budget_fixture, "what was charged whole is charged by the journal, once") {
  const auto all = begin_all(10 * dollar, 1);
  const auto given = lease(all[0].live, 1);
  REQUIRE(given);
  const auto orphan = attempt;
  const auto whole = given->limits().budget_nanousd();
  // Its end may yet tell.
  CHECK(reconcile(orphan, 5).attempts.empty());
  REQUIRE(record->lose({orphan, "its worker is gone", {}}, 8));
  CHECK(spent() == whole);
  CHECK(told().fleet().unreconciled_nanousd() == whole);
  CHECK(told().runs(0).unreconciled_nanousd() == whole);
  // Nobody else's word.
  CHECK(reconcile(orphan, 5, "w2").attempts == std::vector{orphan.str()});
  CHECK(spent() == whole);
  reopen();
  const auto taken = reconcile(orphan, 700);
  CHECK(taken.attempts == std::vector{orphan.str()});
  CHECK(taken.given_back_nanousd == whole - 700);
  CHECK(spent() == 700);
  CHECK(told().lineages(0).spent_nanousd() == 700);
  CHECK(told().fleet().spent_in_all_nanousd() == 700);
  CHECK(told().fleet().unreconciled_nanousd() == 0);
  const auto again = reconcile(orphan, 300);
  CHECK(again.attempts == std::vector{orphan.str()});
  CHECK(again.given_back_nanousd == 0);
  CHECK(spent() == 700);
}

TEST_CASE_FIXTURE(budget_fixture, "a journal raises nothing, and what an end told stands") {
  const auto all = begin_all(10 * dollar, 2);
  const auto given = lease(all[0].live, 1);
  REQUIRE(given);
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  CHECK(reconcile(attempt, std::numeric_limits<std::int64_t>::max()).given_back_nanousd == 0);
  CHECK(spent() == given->limits().budget_nanousd());
  REQUIRE(lease(all[0].live, 2));
  REQUIRE(record->lose({attempt, "gone", 400}, 8));
  CHECK(reconcile(attempt, 0).attempts == std::vector{attempt.str()});
  CHECK(spent() == given->limits().budget_nanousd() + 400);
  REQUIRE(lease(all[1].live, 1));
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  reconcile(attempt, std::numeric_limits<std::int64_t>::min());
  CHECK(spent() == given->limits().budget_nanousd() + 400);
  // Of attempts that are not known nothing more need be said.
  const auto unknown = attempt_id::make(time, random);
  CHECK(reconcile(unknown, 1).attempts == std::vector{unknown.str()});
}

TEST_CASE_FIXTURE(budget_fixture, "what a record from before had spent is the fleet's") {
  const auto all = begin_all(10 * dollar, 1);
  REQUIRE(lease(all[0].live, 1));
  REQUIRE(record->lose({attempt, "gone", 1'234}, 3 * day_ms));
  record.reset();
  {
    SQLite::Database db((dir / "record.sqlite").string(), SQLite::OPEN_READWRITE);
    db.exec(
        "DROP TABLE fleet; DROP TABLE fleet_days; DROP INDEX ledger_unreconciled;"
        "ALTER TABLE ledger DROP COLUMN charged_nanousd;"
        "ALTER TABLE ledger DROP COLUMN corrected_ms;"
        "ALTER TABLE runs DROP COLUMN lineage_budget_nanousd;"
        "ALTER TABLE lineages DROP COLUMN budget_nanousd; PRAGMA user_version = 17");
  }
  reopen();
  CHECK(told(3 * day_ms).fleet().spent_in_all_nanousd() == 1'234);
  limit_fleet(2'000, true);
  CHECK(told(3 * day_ms).fleet().spent_nanousd() == 1'234);
  CHECK(told(4 * day_ms).fleet().spent_nanousd() == 0);
}

TEST_CASE_FIXTURE(measured_fixture,
                  "the fleet's and a lineage's budget leave what evaluations cost") {
  run.model = "m";
  run.budget_nanousd = 100 * dollar;
  run.evaluation_budget_nanousd = dollar / 5;
  const auto make = [&](std::int64_t of_lineage) {
    run.lineage_budget_nanousd = of_lineage;
    run.measured = {v1::FITNESS_DIRECTION_MAXIMIZE, 2, key, strategy, policy, 0, 0};
    create(run.budget_nanousd, 1);
    REQUIRE(lease(run.found_item, 1));
    records::seed_end end;
    end.run = run.id;
    end.judged = {run.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 5};
    seed = make_birth({}, 0);
    seed.evaluations = {item_id::make(time, random), item_id::make(time, random)};
    end.born = seed;
    REQUIRE(record->end_seed(end));
    lineage::state s;
    s.id = run.lineages.front();
    s.head_generation = seed.id;
    s.head_commit = run.seed_commit;
    REQUIRE(record->save_lineage(s, 5));
    return begin(s);
  };
  SUBCASE("the fleet's") {
    const auto s = make(0);
    // The seed's two wait, and what the iteration bears is to have two.
    REQUIRE(record->set_budget({{}, {}, {4 * dollar / 5}, 1}));
    const auto none = lease(s.live, 1);
    REQUIRE_FALSE(none);
    CHECK(none.error().code() == error_code::permission_denied);
    REQUIRE(record->set_budget({{}, {}, {dollar}, 1}));
    const auto some = lease(s.live, 2);
    REQUIRE(some);
    CHECK(some->limits().budget_nanousd() == dollar / 5);
    CHECK(lease(seed.evaluations[0], 1));
    CHECK(lease(seed.evaluations[1], 1));
    REQUIRE(record->set_budget({{}, {}, {dollar / 10}, 1}));
    REQUIRE(record->lose({attempt, "gone", 0}, 8));
    const auto over = lease(seed.evaluations[1], 2);
    REQUIRE_FALSE(over);
    CHECK(over.error().code() == error_code::resource_exhausted);
  }
  SUBCASE("a lineage's") {
    const auto s = make(dollar);
    const auto some = lease(s.live, 1);
    REQUIRE(some);
    CHECK(some->limits().budget_nanousd() == dollar - 2 * dollar / 5);
    CHECK(lease(seed.evaluations[0], 1));  // the seed's are no lineage's
    REQUIRE(record->set_budget({{}, s.id, {3 * dollar / 5}, 1}));
    REQUIRE(record->lose({*attempt_id::parse(some->attempt_id()), "gone", 3 * dollar / 5}, 8));
    const auto over = lease(s.live, 2);
    REQUIRE_FALSE(over);
    CHECK(over.error().code() == error_code::resource_exhausted);
    CHECK(over.error().message().find("does not cover an iteration and the evaluations") !=
          std::string::npos);
  }
}

TEST_CASE_FIXTURE(budget_fixture, "a slice for which nothing could be asked is not leased again") {
  const auto all = begin_all(10 * dollar, 1, 1'000);
  auto s = all[0];
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  CHECK(first->limits().budget_nanousd() == 1'000);
  auto end = make_end(s, 1);
  end.born.reset();
  end.judged.how = lineage::ending::failed;
  end.judged.reason = "budget";
  end.next.head_generation = s.head_generation;
  end.next.last_number = s.last_number;
  REQUIRE(record->end_iteration(end));
  s = begin(end.next, 11);
  const auto again = lease(s.live, 1);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == error_code::resource_exhausted);
  CHECK(
      again.error().message() ==
      "of the lineage's budget an iteration would have $0.000001, and with $0.000001 the last one "
      "could not ask its model for anything; raise it with `germline budget " +
          s.id.str() + " USD`, then `germline resume` the lineage");
  REQUIRE(record->set_budget({{}, s.id, {1'001}, 1}));
  CHECK(lease(s.live, 2));
}
