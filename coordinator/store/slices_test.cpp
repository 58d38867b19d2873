// How large a slice is, and when none is leased though something is left.
#include <limits>

#include "coordinator/store/budget_fixture.hpp"

using namespace germline;
using namespace germline::testing;

TEST_CASE_FIXTURE(budget_fixture, "a slice for which nothing could be asked is not leased again") {
  const auto all = begin_all(10 * dollar, 1, 1'000);
  auto s = all[0];
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  CHECK(first->limits().budget_nanousd() == 1'000);
  s = go_on(make_end_of_budget(s));
  const auto again = lease(s.live, 1);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == error_code::resource_exhausted);
  CHECK(again.error().message() ==
        "of the lineage's budget of $0.000001 an iteration would have $0.000001, and with "
        "$0.000001 the last one "
        "could not ask its model for anything; raise it with `germline budget " +
            s.id.str() + " USD`, then `germline resume` the lineage");
  REQUIRE(record->set_budget({{}, s.id, records::spending_limit{1'001}, 1}));
  CHECK(lease(s.live, 2));
}

TEST_CASE_FIXTURE(counted_fixture,
                  "a slice of tokens for which nothing could be asked is the end") {
  const auto all = begin_counted(1'000, 0, 1);
  auto s = all[0];
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  CHECK(first->limits().max_tokens() == 1'000);
  s = go_on(make_end_of_budget(s));
  const auto again = lease(s.live, 1);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == error_code::resource_exhausted);
  CHECK(again.error().message().find(
            "of the run's budget of 1k tokens an iteration would have 1k tokens, "
            "and with 1k tokens the last one could not ask") != std::string::npos);
  SUBCASE("until there are more") {
    limit(run.id, {}, most(1'001), {});
  }
  SUBCASE("until they are not bounded any more") {
    limit(run.id, {}, records::spending_limit{}, most(1'000));
  }
  CHECK(lease(s.live, 2));
}

TEST_CASE_FIXTURE(counted_fixture, "it was not the requests that kept the first one back") {
  // Of requests there is little, of tokens nobody bounds any.
  const auto all = begin_counted(0, 2, 1);
  auto s = all[0];
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  CHECK(first->limits().max_requests() == 2);
  auto end = make_end_of_budget(s);
  end.judged.usage.set_requests(1);  // tokens were counted, or it ended in an error
  const auto with_no_more_money = [&] {
    auto next = go_on(end);
    REQUIRE(record->set_budget(
        {run.id, {}, records::spending_limit{first->limits().budget_nanousd()}, 1}));
    return next;
  };
  SUBCASE("but the money, and a request that cost nothing changes nothing") {
    s = with_no_more_money();
    const auto again = lease(s.live, 1);
    REQUIRE_FALSE(again);
    CHECK(again.error().code() == error_code::resource_exhausted);
    CHECK(again.error().message().find("of the run's budget of $") == 0);
    CHECK(again.error().message().find("requests an iteration") == std::string::npos);
  }
  SUBCASE("unless something was taken") {
    end.judged.usage.set_input_tokens(1);
    s = with_no_more_money();
    CHECK(lease(s.live, 1));
  }
}

TEST_CASE_FIXTURE(counted_fixture, "only the budget that refused is told of, once that is known") {
  const auto all = begin_counted(1'000, 0, 1);
  auto s = all[0];
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  // Of money there will be no more than then, either.
  const auto no_more_money = [&] {
    REQUIRE(record->set_budget(
        {run.id, {}, records::spending_limit{first->limits().budget_nanousd()}, 1}));
  };
  auto end = make_end_of_budget(s);
  const auto why_not = [&](v1::BudgetUnit refused) {
    end.judged.usage.set_refused_unit(refused);
    s = go_on(end);
    no_more_money();
    const auto again = lease(s.live, 1);
    return again ? std::string() : again.error().message();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const char* of_tokens = "of the run's budget of 1k tokens an iteration would have 1k tokens";
  const char* of_money = "of the run's budget of $";
  SUBCASE("tokens") {
    const auto why = why_not(v1::BUDGET_UNIT_TOKENS);
    CHECK(has(why, of_tokens));
    CHECK_FALSE(has(why, "$"));
    CHECK(has(why, " --tokens N`, then"));
    // With more of these it goes on, though of money there is no more.
    limit(run.id, {}, most(1'001), {});
    CHECK(lease(s.live, 2));
  }
  SUBCASE("money") {
    const auto why = why_not(v1::BUDGET_UNIT_MONEY);
    CHECK(has(why, of_money));
    CHECK_FALSE(has(why, "token"));
    limit(run.id, {}, most(1'001), {});
    CHECK_FALSE(lease(s.live, 2));
  }
  SUBCASE("requests, of which a slice always has one") {
    CHECK(why_not(v1::BUDGET_UNIT_REQUESTS).empty());
  }
  SUBCASE("none: it was the iteration's own limit") {
    CHECK(why_not(v1::BUDGET_UNIT_NONE).empty());
  }
  SUBCASE("not known: its worker is an older one") {
    const auto why = why_not(v1::BUDGET_UNIT_UNSPECIFIED);
    CHECK(has(why, of_tokens));
    CHECK(has(why, of_money));
  }
}

TEST_CASE_FIXTURE(counted_fixture, "an iteration's own limit of money is no budget's fault") {
  run.limits.set_budget_nanousd(1'000);
  const auto all = begin_counted(1'000'000'000, 0, 1);
  auto s = all[0];
  limit(run.id, {}, most(1'000), {});
  REQUIRE(lease(s.live, 1));
  s = go_on(make_end_of_budget(s));
  CHECK(lease(s.live, 1));
}

TEST_CASE_FIXTURE(counted_fixture, "limits beyond all numbers overflow nothing") {
  run.limits.set_max_output_tokens(std::numeric_limits<std::int64_t>::max());
  const auto all = begin_counted(4'000'000'000'000, 0, 1);
  const auto given = lease(all[0].live, 1);
  REQUIRE(given);
  CHECK(given->limits().max_tokens() == records::most_of_an_attempt.tokens);
}

TEST_CASE_FIXTURE(costly_fixture, "of what nothing was said an evaluation has what limits say") {
  run.limits.set_max_output_tokens(5'000);
  run.limits.set_max_requests(7);
  SUBCASE("where the fleet is bounded") {
    const auto s = found(1);
    // Two wait, two are to be, and what is left is the iteration's.
    REQUIRE(record->set_budget({{}, {}, {}, 1, most(4 * 10'005'000 + 100), most(4 * 7 + 5)}));
    const auto some = lease(s.live, 1);
    REQUIRE_MESSAGE(some, (some ? "" : some.error().message()));
    CHECK(some->limits().max_tokens() == 100);
    CHECK(some->limits().max_requests() == 5);
    const auto given = lease(seed.evaluations[0], 1);
    REQUIRE(given);
    CHECK(given->limits().max_tokens() == 10'005'000);
    CHECK(given->limits().max_requests() == 7);
  }
  SUBCASE("and no budget of a run or a lineage is less") {
    const auto s = found(1);
    const auto low = record->set_budget({run.id, {}, {}, 1, most(10'004'999)});
    REQUIRE_FALSE(low);
    CHECK(low.error().message() ==
          "a token budget of 10004999 tokens does not cover an evaluation, which may take 10005k "
          "tokens, as nothing was said of it when the run began: give 10005k tokens or more");
    CHECK_FALSE(record->set_budget({{}, s.id, {}, 1, {}, most(6)}));
    CHECK_FALSE(record->set_budget({{}, s.id, records::spending_limit{dollar / 5 - 1}, 1}));
    CHECK(record->set_budget(
        {{}, s.id, records::spending_limit{dollar / 5}, 1, most(10'005'000), most(7)}));
  }
  SUBCASE("and where something was, exactly that") {
    run.limits.clear_max_requests();
    run.evaluation_budget.requests = 1'500;
    found(1);
    const auto given = lease(seed.evaluations[0], 1);
    REQUIRE(given);
    CHECK(given->limits().max_requests() == 1'500);
  }
}
