#include "worker/gateway/held_bytes.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "worker/gateway/rate_window.hpp"

using namespace germline::worker;

TEST_CASE("what one attempt holds and what all hold is bounded, and given back") {
  byte_pool all(150);
  byte_pool first(100, &all);
  byte_pool second(100, &all);
  std::optional<held_bytes> one(first);
  held_bytes other(first);
  held_bytes third(second);
  CHECK(one->grow_to(60));
  CHECK(one->grow_to(10));  // never less
  CHECK_FALSE(other.grow_to(41));
  CHECK(other.grow_to(40));
  CHECK(third.grow_to(50));
  CHECK_FALSE(third.grow_to(51));
  CHECK_FALSE(third.grow_to(UINT64_MAX));
  other.shrink_to(70);  // never more
  CHECK(first.taken() == 100);
  one->shrink_to(20);
  CHECK(first.taken() == 60);
  CHECK(all.taken() == 110);
  one.reset();
  CHECK(third.grow_to(100));
  CHECK(first.taken() == 40);
  CHECK(all.taken() == 140);
  CHECK(all.most_taken() == 150);
  all.forget_most_taken();
  CHECK(all.most_taken() == 140);
}

TEST_CASE("a rate is counted over any minute") {
  rate_window window(2);
  CHECK(window.wait_ms(0) == 0);
  window.note(0);
  window.note(30'000);
  CHECK(window.wait_ms(30'001) == 29'999);
  CHECK(window.wait_ms(60'000) == 0);
  window.note(60'000);
  CHECK(window.wait_ms(60'000) == 30'000);
}
