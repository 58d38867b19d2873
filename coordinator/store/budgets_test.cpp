// What may be spent, and what becomes of what was held: by the store itself, reopened from disk.
#include <SQLiteCpp/Database.h>

#include <limits>

#include "coordinator/store/budget_fixture.hpp"

using namespace germline;
using namespace germline::testing;

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
  REQUIRE(record->set_budget({run.id, {}, records::spending_limit{held}, 1}));
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
  REQUIRE(record->configure_fleet_budget(unit::money, "$5"));
  run.model = "m";
  create(dollar);
  CHECK(told().fleet().budget_nanousd() == 5 * dollar);
  limit_fleet(9 * dollar);
  reopen();
  REQUIRE(record->configure_fleet_budget(unit::money, "$5"));
  CHECK(told().fleet().budget_nanousd() == 9 * dollar);
  REQUIRE(record->configure_fleet_budget(unit::money, ""));
  CHECK(told().fleet().budget_nanousd() == 9 * dollar);
  // It was not said at the start before: so it is news.
  REQUIRE(record->configure_fleet_budget(unit::money, "$5"));
  CHECK(told().fleet().budget_nanousd() == 5 * dollar);
  REQUIRE(record->configure_fleet_budget(unit::money, "$2/day"));
  CHECK(told().fleet().budget_nanousd() == 2 * dollar);
  CHECK(told().fleet().per_day());
  REQUIRE(record->configure_fleet_budget(unit::money, "none"));
  CHECK_FALSE(told().fleet().has_budget_nanousd());
  CHECK_FALSE(record->configure_fleet_budget(unit::money, "$2/week"));
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
  REQUIRE(record->set_budget({{}, all[0].id, records::spending_limit{3 * dollar}, 1}));
  const auto more = lease(all[0].live, 4);
  REQUIRE(more);
  CHECK(more->limits().budget_nanousd() == dollar);
  REQUIRE(record->set_budget({{}, all[0].id, records::spending_limit{}, 1}));
  CHECK_FALSE(told().lineages(0).has_budget_nanousd());
  CHECK(told().lineages(1).budget_nanousd() == 2 * dollar);
}

TEST_CASE_FIXTURE(budget_fixture, "a budget is not set below what is spent and held") {
  const auto all = begin_all(4 * dollar, 1);
  REQUIRE(lease(all[0].live, 1));
  REQUIRE(record->lose({attempt, "gone", dollar}, 8));
  REQUIRE(lease(all[0].live, 2));
  const auto held = told().runs(0).held_nanousd();
  const auto low = record->set_budget({run.id, {}, records::spending_limit{dollar + held - 1}, 1});
  REQUIRE_FALSE(low);
  CHECK(low.error().code() == error_code::failed_precondition);
  CHECK(record->set_budget({run.id, {}, records::spending_limit{dollar + held}, 1}));
  CHECK(told().runs(0).budget_nanousd() == dollar + held);
  CHECK_FALSE(record->set_budget({{}, all[0].id, records::spending_limit{dollar + held - 1}, 1}));
  CHECK_FALSE(record->set_budget({run.id, {}, records::spending_limit{}, 1}));
  CHECK_FALSE(record->set_budget({run.id, {}, records::spending_limit{100 * dollar, true}, 1}));
  CHECK_FALSE(
      record->set_budget({run_id::make(time, random), {}, records::spending_limit{dollar}, 1}));
  CHECK_FALSE(
      record->set_budget({{}, lineage_id::make(time, random), records::spending_limit{dollar}, 1}));
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
  CHECK(taken.given_back.money == whole - 700);
  CHECK(spent() == 700);
  CHECK(told().lineages(0).spent_nanousd() == 700);
  CHECK(told().fleet().spent_in_all_nanousd() == 700);
  CHECK(told().fleet().unreconciled_nanousd() == 0);
  const auto again = reconcile(orphan, 300);
  CHECK(again.attempts == std::vector{orphan.str()});
  CHECK(again.given_back.money == 0);
  CHECK(spent() == 700);
}

TEST_CASE_FIXTURE(budget_fixture, "a journal raises nothing, and what an end told stands") {
  const auto all = begin_all(10 * dollar, 2);
  const auto given = lease(all[0].live, 1);
  REQUIRE(given);
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  CHECK(reconcile(attempt, std::numeric_limits<std::int64_t>::max()).given_back.money == 0);
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
    db.exec(back_to_18);
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

TEST_CASE_FIXTURE(costly_fixture,
                  "the fleet's and a lineage's budget leave what evaluations cost") {
  SUBCASE("the fleet's") {
    const auto s = found(1);
    // The seed's two wait, and what the iteration bears is to have two.
    REQUIRE(record->set_budget({{}, {}, records::spending_limit{4 * dollar / 5}, 1}));
    const auto none = lease(s.live, 1);
    REQUIRE_FALSE(none);
    CHECK(none.error().code() == error_code::permission_denied);
    REQUIRE(record->set_budget({{}, {}, records::spending_limit{dollar}, 1}));
    const auto some = lease(s.live, 2);
    REQUIRE(some);
    CHECK(some->limits().budget_nanousd() == dollar / 5);
    CHECK(lease(seed.evaluations[0], 1));
    CHECK(lease(seed.evaluations[1], 1));
    REQUIRE(record->set_budget({{}, {}, records::spending_limit{dollar / 10}, 1}));
    REQUIRE(record->lose({attempt, "gone", 0}, 8));
    const auto over = lease(seed.evaluations[1], 2);
    REQUIRE_FALSE(over);
    CHECK(over.error().code() == error_code::resource_exhausted);
  }
  SUBCASE("a lineage's") {
    run.lineage_budget = dollar;
    const auto s = found(1);
    const auto some = lease(s.live, 1);
    REQUIRE(some);
    CHECK(some->limits().budget_nanousd() == dollar - 2 * dollar / 5);
    CHECK(lease(seed.evaluations[0], 1));  // the seed's are no lineage's
    REQUIRE(record->set_budget({{}, s.id, records::spending_limit{3 * dollar / 5}, 1}));
    REQUIRE(record->lose({*attempt_id::parse(some->attempt_id()), "gone", 3 * dollar / 5}, 8));
    const auto over = lease(s.live, 2);
    REQUIRE_FALSE(over);
    CHECK(over.error().code() == error_code::resource_exhausted);
    CHECK(over.error().message().find("does not cover an iteration and the evaluations") !=
          std::string::npos);
  }
}

TEST_CASE_FIXTURE(counted_fixture, "create keeps budgets of tokens and requests beside the money") {
  // `create` sets the money alone: the rest is as it was asked for.
  const auto all = begin_counted(8'000'000, 1'000, 2);
  const auto of_run = told().runs(0);
  CHECK(of_run.budget_nanousd() == 100 * dollar);
  CHECK(of_run.tokens().budget() == 8'000'000);
  CHECK(of_run.requests().budget() == 1'000);
  CHECK_FALSE(told().fleet().tokens().has_budget());
  CHECK_FALSE(told().lineages(0).tokens().has_budget());
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  // Half of what is free for each of the two, but a million where there is one.
  CHECK(first->limits().max_tokens() == 2'000'000);
  CHECK(first->limits().max_requests() == 250);
  CHECK(told().runs(0).tokens().held() == 2'000'000);
  CHECK(told().lineages(0).requests().held() == 250);
  REQUIRE(record->lose({attempt, "gone", amount{5, 700, 3}}, 8));
  reopen();
  CHECK(told().runs(0).tokens().spent() == 700);
  CHECK(told().runs(0).requests().spent() == 3);
  CHECK(told().lineages(0).tokens().spent() == 700);
  CHECK(told().fleet().requests().spent() == 3);
  CHECK(told().runs(0).tokens().held() == 0);
}

TEST_CASE_FIXTURE(counted_fixture, "an iteration's own limits are the most that it holds") {
  run.limits.set_max_requests(7);
  run.limits.set_max_output_tokens(500'000);
  const auto all = begin_counted(4'000'000'000, 1'000'000, 1);
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  CHECK(first->limits().max_requests() == 7);
  CHECK(first->limits().max_tokens() == 10'500'000);
  CHECK(first->limits().max_output_tokens() == 500'000);
}

TEST_CASE_FIXTURE(counted_fixture, "without a budget of them a lease is as it was before") {
  const auto all = begin_all(100 * dollar, 1);
  const auto first = lease(all[0].live, 1);
  REQUIRE(first);
  CHECK(first->limits().max_tokens() == 0);
  CHECK(first->limits().max_requests() == 0);
  CHECK(told().runs(0).tokens().unbounded_attempts() == 1);
  // It is set while that one is under way: what it takes counts at its end.
  limit(run.id, {}, most(1'000), most(5));
  CHECK(told().runs(0).tokens().held() == 0);
  SUBCASE("which tells") {
    REQUIRE(record->lose({attempt, "gone", amount{5, 2'000, 3}}, 8));
  }
  SUBCASE("or which its journal tells") {
    REQUIRE(record->lose({attempt, "gone", {}}, 8));
    CHECK(told().runs(0).tokens().spent() == 0);
    const auto taken = record->reconcile({"w1", {{attempt.str(), {5, 2'000, 3}}}, 20});
    REQUIRE(taken);
    CHECK(taken->given_back.money > 0);
    CHECK(taken->given_back.tokens == 0);
  }
  CHECK(told().runs(0).tokens().spent() == 2'000);
  CHECK(told().runs(0).requests().spent() == 3);
  CHECK(told().fleet().tokens().spent() == 2'000);
  const auto over = lease(all[0].live, 2);
  REQUIRE_FALSE(over);
  CHECK(over.error().code() == error_code::resource_exhausted);
  CHECK(over.error().message() ==
        "the run's budget of 1k tokens is spent: raise it with `germline budget " + run.id.str() +
            " --tokens N`, then `germline resume` the lineage");
  limit(run.id, {}, records::spending_limit{}, {});
  const auto more = lease(all[0].live, 3);
  REQUIRE(more);
  CHECK(more->limits().max_tokens() == 0);
  CHECK(more->limits().max_requests() == 2);
}

TEST_CASE_FIXTURE(counted_fixture, "the last requests are leased, and held ones are waited for") {
  const auto all = begin_counted(0, 2, 3);
  REQUIRE(lease(all[0].live, 1));
  const auto of_first = attempt;
  REQUIRE(lease(all[1].live, 1));
  const auto waits = lease(all[2].live, 1);
  REQUIRE_FALSE(waits);
  CHECK(waits.error().code() == error_code::permission_denied);
  CHECK(waits.error().message() ==
        "other attempts, or evaluations, to end: what is left of the run's budget of 2 requests is "
        "held "
        "by them or kept for them; raise it with `germline budget " +
            run.id.str() + " --requests N`");
  REQUIRE(record->lose({of_first, "gone", amount{0, 0, 0}}, 8));
  CHECK(lease(all[2].live, 2));
}

TEST_CASE_FIXTURE(counted_fixture, "a lineage and the fleet are bounded in them as well") {
  const auto all = begin_all(100 * dollar, 2);
  limit({}, all[0].id, most(3'000'000), {});
  limit({}, {}, most(2'000'000, true), most(1));
  auto given = lease(all[0].live, 1);
  REQUIRE(given);
  CHECK(given->limits().max_tokens() == 1'000'000);  // of the fleet's, half for each
  CHECK(given->limits().max_requests() == 1);
  REQUIRE(record->lose({attempt, "gone", amount{1, 2'000'000, 0}}, 8));
  auto waits = lease_at(all[1].live, 1, 9);
  REQUIRE_FALSE(waits);
  CHECK(waits.error().code() == error_code::permission_denied);
  CHECK(waits.error().message() ==
        "the next day, 00:00 UTC: the fleet's budget of 2M tokens a day is spent: raise it with "
        "`germline budget --fleet --tokens N`");
  given = lease_at(all[0].live, 2, day_ms);
  REQUIRE(given);
  CHECK(given->limits().max_tokens() == 1'000'000);  // of the lineage's three
  REQUIRE(record->lose({attempt, "gone", amount{1, 1'000'000, 1}}, day_ms));
  const auto over = lease_at(all[0].live, 3, day_ms);
  REQUIRE_FALSE(over);
  CHECK(over.error().message() ==
        "the lineage's budget of 3M tokens is spent: raise it with `germline budget " +
            all[0].id.str() + " --tokens N`, then `germline resume " + all[0].id.str() + "`");
  const auto last = lease_at(all[1].live, 2, day_ms);
  REQUIRE_FALSE(last);
  CHECK(last.error().code() == error_code::resource_exhausted);
  CHECK(last.error().message() ==
        "the fleet's budget of 1 request is spent: raise it with `germline budget --fleet "
        "--requests N`, then `germline resume` the lineages");
}

TEST_CASE_FIXTURE(counted_fixture, "what was said of them at a start holds like money") {
  REQUIRE(record->configure_fleet_budget(unit::tokens, "1B/day"));
  REQUIRE(record->configure_fleet_budget(unit::requests, "0"));
  create();
  CHECK(told().fleet().tokens().budget() == 1'000'000'000);
  CHECK(told().fleet().tokens().per_day());
  CHECK(told().fleet().requests().budget() == 0);
  CHECK_FALSE(told().fleet().has_budget_nanousd());
  limit({}, {}, {}, records::spending_limit{});
  reopen();
  REQUIRE(record->configure_fleet_budget(unit::requests, "0"));
  CHECK_FALSE(told().fleet().requests().has_budget());
  CHECK_FALSE(record->configure_fleet_budget(unit::tokens, "$5"));
}

TEST_CASE_FIXTURE(counted_fixture, "a budget of them is not set below what is spent and held") {
  const auto all = begin_counted(4'000'000, 0, 1);
  REQUIRE(lease(all[0].live, 1));
  const auto held = told().runs(0).tokens().held();
  const auto low = record->set_budget({run.id, {}, {}, 1, most(held - 1)});
  REQUIRE_FALSE(low);
  CHECK(low.error().message() ==
        "a budget of 1999999 tokens is less than what is spent, 0 tokens, "
        "and what attempts under way hold, 2M tokens: give 2M tokens or "
        "more");
  CHECK_FALSE(record->set_budget({run.id, {}, {}, 1, most(0)}));
  CHECK_FALSE(record->set_budget({run.id, {}, {}, 1, most(held, true)}));
  // All of a change, or none.
  CHECK_FALSE(record->set_budget({run.id, {}, records::spending_limit{9 * dollar}, 1, most(0)}));
  CHECK(told().runs(0).budget_nanousd() == 100 * dollar);
  // Of a lineage no more than its run's.
  const auto high = record->set_budget({{}, all[0].id, {}, 1, most(4'000'001)});
  REQUIRE_FALSE(high);
  CHECK(high.error().message().find("no more than its run's, 4M tokens: not 4000001 tokens") !=
        std::string::npos);
  CHECK_FALSE(record->set_budget({{}, all[0].id, records::spending_limit{101 * dollar}, 1}));
  CHECK(record->set_budget({{}, all[0].id, {}, 1, most(4'000'000), most(9)}));
}

TEST_CASE_FIXTURE(budget_fixture, "what asks no model has no budget, nor has a lineage of it") {
  create();
  const auto s = first_iteration();
  for (const auto& change : {records::budget_change{run.id, {}, records::spending_limit{dollar}, 1},
                             records::budget_change{{}, s.id, records::spending_limit{dollar}, 1},
                             records::budget_change{{}, s.id, {}, 1, most(5)}}) {
    const auto refused = record->set_budget(change);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().find("asks no model and spends nothing") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(counted_fixture, "a journal raises nothing of what was held") {
  const auto all = begin_counted(4'000'000, 100, 1);
  REQUIRE(lease(all[0].live, 1));
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  const auto whole = told().runs(0).tokens().spent();
  CHECK(whole == 2'000'000);
  CHECK(told().runs(0).tokens().unreconciled() == whole);
  const auto taken = record->reconcile({"w1", {{attempt.str(), {1, whole + 1, 40}}}, 20});
  REQUIRE(taken);
  CHECK(taken->given_back.tokens == 0);
  CHECK(taken->given_back.requests == 60);
  CHECK(told().runs(0).tokens().spent() == whole);
  CHECK(told().runs(0).requests().spent() == 40);
  CHECK(told().lineages(0).requests().spent() == 40);
  CHECK(told().runs(0).tokens().unreconciled() == 0);
}

TEST_CASE_FIXTURE(counted_fixture, "which paused lineages would go on is told by all bounds") {
  const auto all = begin_counted(1'000, 0, 1);
  auto s = all[0];
  REQUIRE(lease(s.live, 1));
  REQUIRE(record->lose({attempt, "gone", amount{5, 1'000, 1}}, 2));
  s.at = lineage::status::paused;
  s.why_paused = lineage::pause_reason::budget;
  REQUIRE(record->save_lineage(s, 3));
  const auto paused = [&] {
    const auto budgets = told();
    REQUIRE(budgets.paused_size() == 1);
    CHECK(budgets.paused(0).lineage_id() == s.id.str());
    return budgets.paused(0);
  };
  CHECK(paused().still().find("the run's budget of 1k tokens is spent") == 0);
  CHECK_FALSE(paused().waits());
  limit(run.id, {}, most(5'000), {});
  CHECK(paused().still().empty());
  // Another bound, which is spent as well; and one that comes again.
  limit({}, s.id, most(1'000), {});
  CHECK(paused().still().find("the lineage's budget of 1k tokens is spent") == 0);
  limit({}, s.id, records::spending_limit{}, {});
  limit({}, {}, most(1'000, true), {});
  CHECK(paused().waits());
  CHECK(paused().still().find("the next day, 00:00 UTC") == 0);
  s.why_paused = lineage::pause_reason::person;
  s.at = lineage::status::active;
  REQUIRE(record->save_lineage(s, 4));
  CHECK(told().paused_size() == 0);
}

TEST_CASE_FIXTURE(counted_fixture, "a record from before has counted none of them") {
  const auto all = begin_all(10 * dollar, 1);
  REQUIRE(lease(all[0].live, 1));
  REQUIRE(record->lose({attempt, "gone", amount{1'234, 7, 1}}, 3 * day_ms));
  record.reset();
  {
    SQLite::Database db((dir / "record.sqlite").string(), SQLite::OPEN_READWRITE);
    db.exec(back_to_18);
  }
  reopen();
  CHECK(told(3 * day_ms).fleet().spent_in_all_nanousd() == 1'234);
  CHECK(told(3 * day_ms).fleet().tokens().spent_in_all() == 0);
  CHECK(told(3 * day_ms).runs(0).spent_nanousd() == 1'234);
  CHECK_FALSE(told(3 * day_ms).runs(0).tokens().has_budget());
  limit(run.id, {}, most(5'000), {});
  REQUIRE(lease(all[0].live, 2));
  REQUIRE(record->lose({attempt, "gone", amount{1, 7, 1}}, 3 * day_ms));
  CHECK(told(3 * day_ms).runs(0).tokens().spent() == 7);
}
