#include "worker/node/near_duplicate.hpp"

#include <doctest/doctest.h>

#include "common/text/change_sketch.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

std::string sketch_of(std::string_view before, std::string_view after) {
  change_sketcher made;
  made.add(before, after);
  return made.make().bytes();
}

const std::string before = "speed = 1.0\nwidth = 2.0\nheight = 3.0\n";
const std::string faster = sketch_of(before, "speed = 9.0\nwidth = 2.0\nheight = 3.0\n");
const std::string wider = sketch_of(before, "speed = 1.0\nwidth = 7.0\nheight = 3.0\n");

v1::Lease lease_with(double limit) {
  v1::Lease lease;
  lease.set_near_duplicate(limit);
  auto& damaged = *lease.add_siblings();
  damaged.set_change_sketch("no sketch");
  auto& sibling = *lease.add_siblings();
  sibling.set_generation_id("gen_7");
  sibling.set_change_sketch(faster);
  return lease;
}

}  // namespace

TEST_CASE("what a sibling changed already is refused, and it is told which") {
  const auto why = why_near_duplicate(lease_with(0.9), faster);
  REQUIRE(why);
  CHECK(why->reason == "near_duplicate");
  CHECK(why->details ==
        "the change is that of gen_7 by 100 %, and the run refuses 90 % or more; "
        "try another");
}

TEST_CASE("another change is not, nor any where the run does not ask for it") {
  CHECK_FALSE(why_near_duplicate(lease_with(0.9), wider));
  CHECK_FALSE(why_near_duplicate(lease_with(0), faster));
  CHECK_FALSE(why_near_duplicate(lease_with(0.9), "no sketch"));
  CHECK_FALSE(why_near_duplicate(lease_with(0.9), ""));
}
