#include "worker/node/place.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

TEST_CASE("a place is the same again here, and another with other uids") {
  const auto here = place_of(100'000);
  REQUIRE(here);
  CHECK(*here == *place_of(100'000));
  CHECK(*here != *place_of(200'000));
  CHECK(here->size() <= 128);
  CHECK(here->find_first_of(" \n\t") == std::string::npos);
  CHECK(here->size() > 36);
}
