// Held together with the gateway's own words, which are made here by the gateway's own code.
#include "worker/node/gateway_words.hpp"

#include <doctest/doctest.h>

#include "worker/gateway/budget.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

/// Why a gateway with these limits refuses a request of $0.001, 1,000 tokens in and 100 out.
model_obstacle refused(const gateway_limits& limits, int after_requests = 0) {
  budget_state state;
  state.limits = limits;
  state.settled.requests = after_requests;
  const auto effect = step(state, reserve_event{1, {1'000, 100, 1'000'000}, 0});
  REQUIRE(std::holds_alternative<spent_effect>(effect));
  return {obstacle_kind::budget, std::get<spent_effect>(effect).why};
}

gateway_limits ample() {
  gateway_limits limits;
  limits.budget_nanousd = 1'000'000'000;
  return limits;
}

}  // namespace

TEST_CASE("which budget a request was refused for") {
  auto limits = ample();
  SUBCASE("money") {
    limits.budget_nanousd = 10;
    CHECK(refused_unit(refused(limits)) == v1::BUDGET_UNIT_MONEY);
  }
  SUBCASE("tokens") {
    limits.max_tokens = 1'099;
    CHECK(refused_unit(refused(limits)) == v1::BUDGET_UNIT_TOKENS);
    limits.max_tokens = 1;
    CHECK(refused_unit(refused(limits)) == v1::BUDGET_UNIT_TOKENS);
  }
  SUBCASE("requests") {
    limits.max_requests = 2;
    CHECK(refused_unit(refused(limits, 2)) == v1::BUDGET_UNIT_REQUESTS);
    limits.max_requests = 1;
    CHECK(refused_unit(refused(limits, 1)) == v1::BUDGET_UNIT_REQUESTS);
  }
  SUBCASE("a limit of its own is no budget") {
    limits.max_output_tokens = 99;
    CHECK(refused_unit(refused(limits)) == v1::BUDGET_UNIT_NONE);
    limits.max_input_tokens = 999;
    CHECK(refused_unit(refused(limits)) == v1::BUDGET_UNIT_NONE);
  }
  SUBCASE("nor is anything else") {
    CHECK(refused_unit({}) == v1::BUDGET_UNIT_UNSPECIFIED);
    CHECK(refused_unit({obstacle_kind::upstream, "HTTP 529"}) == v1::BUDGET_UNIT_UNSPECIFIED);
    CHECK(refused_unit({obstacle_kind::budget, "the budget"}) == v1::BUDGET_UNIT_UNSPECIFIED);
  }
}

TEST_CASE("that a replay differs, and at which request") {
  // As worker/gateway/replay_test.cpp has them, behind what the gateway puts before a problem.
  CHECK(replay_difference("HTTP 400: the replay of att_1.jsonl ends: request 2 differs: messages[1]"
                          " is 3, recorded was 2") ==
        "request 2 differs: messages[1] is 3, recorded was 2");
  CHECK(replay_difference("HTTP 400: the replay is over: request 2 differs: x") ==
        "request 2 differs: x");
  CHECK(replay_difference("HTTP 400: the replay of a has no answer: none") == "none");
  CHECK(replay_difference("HTTP 400: of the attempt that is done again no request was recorded"));
  CHECK_FALSE(replay_difference("HTTP 400: messages: too long"));
  CHECK_FALSE(replay_difference("HTTP 529: the replay is over: x"));
  CHECK_FALSE(replay_difference(""));
}

TEST_CASE("what has to be done is said once, and of a price where it goes") {
  const std::string priced =
      "the model 'm' has no price in /p.json as it was read when the worker was started, and what "
      "cannot be priced is not asked";
  CHECK(with_remedy(priced) ==
        priced + "; add a row for it to that file, and start the worker again");
  CHECK(with_remedy("no upstream of the gateway's configuration serves 'm'")
            .ends_with("; add it to an upstream there, and start the worker again"));
  CHECK(with_remedy("start it with the key, then germline resume") ==
        "start it with the key, then germline resume");
}
