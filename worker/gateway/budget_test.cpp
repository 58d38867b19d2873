#include "worker/gateway/budget.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "common/random.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

budget_state with(gateway_limits limits) {
  budget_state state;
  state.limits = limits;
  return state;
}

}  // namespace

TEST_CASE("money in equals money out over random events, and no limit is passed") {
  for (std::uint64_t random_seed = 1; random_seed <= 200; ++random_seed) {
    CAPTURE(random_seed);
    seeded_random random(random_seed);
    const gateway_limits limits{1 + static_cast<std::int64_t>(random.below(200)),
                                1 + static_cast<std::int64_t>(random.below(50)),
                                100'000,
                                20'000,
                                static_cast<std::int64_t>(random.below(1'000'000)),
                                1 + static_cast<std::int64_t>(random.below(120'000))};
    auto state = with(limits);
    std::vector<std::pair<std::uint64_t, request_bound>> open;
    std::int64_t charged = 0;
    std::int64_t now_ms = 0;
    std::uint64_t granted = 0;
    for (std::uint64_t id = 0; id < 400; ++id) {
      now_ms += static_cast<std::int64_t>(random.below(2000));
      if (open.empty() || random.below(2) == 0) {
        const request_bound bound{static_cast<std::int64_t>(random.below(5000)),
                                  static_cast<std::int64_t>(random.below(900)),
                                  static_cast<std::int64_t>(random.below(50'000))};
        const auto effect = step(state, reserve_event{id, bound, now_ms});
        if (std::holds_alternative<granted_effect>(effect)) {
          open.emplace_back(id, bound);
          ++granted;
        }
      } else {
        const auto at = random.below(open.size());
        const auto [ended, bound] = open[at];
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
        const auto kind = random.below(3);
        if (kind == 0) {
          const auto cost =
              static_cast<std::int64_t>(random.below(std::uint64_t(bound.cost_nanousd) + 1));
          step(state, settle_event{ended, {bound.input_tokens / 2, bound.output_tokens}, cost});
          charged += cost;
        } else if (kind == 1) {
          step(state, forfeit_event{ended});
          charged += bound.cost_nanousd;
        } else {
          step(state, release_event{ended});
        }
      }
      std::int64_t reserved = 0, tokens = 0;
      for (const auto& [ignored, bound] : open) {
        reserved += bound.cost_nanousd;
        tokens += bound.input_tokens + bound.output_tokens;
      }
      tokens += state.settled.input_tokens + state.settled.output_tokens;
      REQUIRE(tokens <= limits.max_tokens);
      REQUIRE(state.settled.cost_nanousd == charged);
      REQUIRE(charged + reserved <= limits.budget_nanousd);
      REQUIRE(state.open.size() == open.size());
      REQUIRE(state.settled.requests <= limits.max_requests);
      REQUIRE(state.settled.input_tokens <= limits.max_input_tokens);
      REQUIRE(state.settled.output_tokens <= limits.max_output_tokens);
      REQUIRE(std::int64_t(state.started_ms.size()) <= limits.max_requests_per_minute);
    }
    REQUIRE(std::uint64_t(state.settled.requests) == granted);
  }
}

TEST_CASE("what is spent is refused for good, what is reserved only for now") {
  auto state = with({10, 10, 1000, 1000, 100});
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{1, {1, 1, 60}, 0})));
  CHECK(std::holds_alternative<wait_effect>(step(state, reserve_event{2, {1, 1, 60}, 0})));
  step(state, settle_event{1, {1, 1}, 50});
  const auto spent = step(state, reserve_event{2, {1, 1, 60}, 0});
  REQUIRE(std::holds_alternative<spent_effect>(spent));
  CHECK(std::get<spent_effect>(spent).why ==
        "the attempt's budget of $0.0000001 does not cover what this request could cost: "
        "$0.00000005 is left of it, and the request could take $0.00000006");
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{2, {1, 1, 50}, 0})));
}

TEST_CASE("which limit refuses is told") {
  const auto limit_of = [](const gateway_limits& limits, std::int64_t requests = 0) {
    auto state = with(limits);
    state.settled.requests = requests;
    const auto effect = step(state, reserve_event{1, {30, 20, 50}, 0});
    REQUIRE(std::holds_alternative<spent_effect>(effect));
    return std::get<spent_effect>(effect).limit;
  };
  CHECK(limit_of({10, 10, 1000, 1000, 49}) == spent_limit::money);
  CHECK(limit_of({10, 10, 1000, 1000, 50, 49}) == spent_limit::tokens);
  CHECK(limit_of({10, 10, 1000, 1000, 50}, 10) == spent_limit::requests);
  CHECK(limit_of({10, 10, 29, 1000, 50}) == spent_limit::own);
  CHECK(limit_of({10, 10, 1000, 19, 50}) == spent_limit::own);
}

TEST_CASE("a slice of tokens is of input, whatever a cache held of it, and of output") {
  auto state = with({10, 10, 1000, 1000, 1000, 100});
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{1, {50, 20, 1}, 0})));
  const auto waits = step(state, reserve_event{2, {25, 10, 1}, 0});
  REQUIRE(std::holds_alternative<wait_effect>(waits));
  CHECK(std::get<wait_effect>(waits).why ==
        "the attempt's budget of 100 tokens is reserved by requests under way");
  step(state, settle_event{1, {10, 20, 15, 0, 20}, 1});  // 65 of them
  const auto spent = step(state, reserve_event{2, {26, 10, 1}, 0});
  REQUIRE(std::holds_alternative<spent_effect>(spent));
  CHECK(std::get<spent_effect>(spent).why ==
        "the attempt's budget of 100 tokens does not cover what this request could cost: 35 tokens "
        "are left of it, and the request could take 36 tokens");
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{2, {25, 10, 1}, 0})));
}

TEST_CASE("the rate limit says how long to wait, and then lets through") {
  auto state = with({10, 1, 1000, 1000, 100});
  step(state, reserve_event{1, {}, 1000});
  const auto effect = step(state, reserve_event{2, {}, 21'000});
  REQUIRE(std::holds_alternative<wait_effect>(effect));
  CHECK(std::get<wait_effect>(effect).retry_after_ms == 40'000);
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{2, {}, 61'000})));
}

TEST_CASE("a bill past its bound is charged whole and reported") {
  auto state = with({10, 10, 1000, 1000, 100});
  step(state, reserve_event{1, {1, 1, 60}, 0});
  const auto effect = step(state, settle_event{1, {1, 1}, 120});
  CHECK(std::get<accounted_effect>(effect).past_bound);
  CHECK(state.settled.cost_nanousd == 120);
  CHECK(std::holds_alternative<spent_effect>(step(state, reserve_event{2, {0, 0, 1}, 0})));
}

TEST_CASE("what is told after a request was settled comes on top") {
  budget_state state;
  state.limits.budget_nanousd = 100;
  CHECK(std::holds_alternative<granted_effect>(step(state, reserve_event{1, {10, 10, 60}, 0})));
  step(state, settle_event{1, {5, 1}, 20});
  step(state, more_event{{0, 4}, 30});
  CHECK(state.settled.output_tokens == 5);
  CHECK(state.settled.cost_nanousd == 50);
  CHECK(state.settled.requests == 1);
  CHECK(std::holds_alternative<spent_effect>(step(state, reserve_event{2, {1, 1, 60}, 0})));
}
