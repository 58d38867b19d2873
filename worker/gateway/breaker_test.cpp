#include "worker/gateway/breaker.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

const breaker_settings settings{3, 100, 350};

/// Asks and is told at once.
void ask(breaker_state& state, breaker_told how, std::int64_t now_ms, int jitter = 0) {
  REQUIRE(wait_ms(state, now_ms) == 0);
  const bool probe = asked(state, now_ms);
  told(state, how, probe, now_ms, jitter, settings);
}

breaker_state opened() {
  breaker_state state;
  for (int i = 0; i < 3; ++i) ask(state, breaker_told::failed, 0);
  return state;
}

}  // namespace

TEST_CASE("a breaker opens after failures in a row, and not before") {
  breaker_state state;
  for (int i = 0; i < 10; ++i) {
    ask(state, breaker_told::failed, i);
    ask(state, breaker_told::failed, i);
    ask(state, breaker_told::unknown, i);
    ask(state, breaker_told::answered, i);
  }
  CHECK(wait_ms(opened(), 0) == 100);
  CHECK(wait_ms(opened(), 99) == 1);
}

TEST_CASE("after the cooldown one request tries, and the others wait for it") {
  auto state = opened();
  const bool probe = asked(state, 100);
  CHECK(probe);
  CHECK(wait_ms(state, 100) > 0);
  SUBCASE("it is answered") {
    told(state, breaker_told::answered, probe, 110, 0, settings);
    CHECK(wait_ms(state, 110) == 0);
    CHECK_FALSE(asked(state, 110));
    CHECK(wait_ms(state, 110) == 0);
  }
  SUBCASE("it is cancelled, and another tries") {
    told(state, breaker_told::unknown, probe, 110, 0, settings);
    CHECK(wait_ms(state, 110) == 0);
    CHECK(asked(state, 110));
  }
  SUBCASE("it fails: the cooldown doubles, to a bound") {
    told(state, breaker_told::failed, probe, 110, 0, settings);
    CHECK(wait_ms(state, 110) == 200);
    ask(state, breaker_told::failed, 310);
    CHECK(wait_ms(state, 310) == 350);
    ask(state, breaker_told::failed, 660);
    CHECK(wait_ms(state, 660) == 350);
    ask(state, breaker_told::answered, 1010);
    for (int i = 0; i < 3; ++i) ask(state, breaker_told::failed, 1020);
    CHECK(wait_ms(state, 1020) == 100);
  }
}

TEST_CASE("jitter adds up to half a cooldown") {
  breaker_state state;
  for (int i = 0; i < 3; ++i) ask(state, breaker_told::failed, 0, 1000);
  CHECK(wait_ms(state, 0) == 150);
}

TEST_CASE("what was asked before a breaker opened neither holds it open nor ends its trial") {
  auto state = opened();
  told(state, breaker_told::failed, false, 90, 0, settings);
  CHECK(wait_ms(state, 90) == 10);
  const bool probe = asked(state, 100);
  told(state, breaker_told::failed, false, 101, 0, settings);
  told(state, breaker_told::unknown, false, 101, 0, settings);
  CHECK(wait_ms(state, 101) > 0);
  told(state, breaker_told::answered, probe, 102, 0, settings);
  CHECK(wait_ms(state, 102) == 0);
}
