#include "common/ids.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace germline;

TEST_CASE("ids sort by time of creation and are unique") {
  manual_clock time;
  seeded_random random(7);
  const auto first = lineage_id::make(time, random);
  time.advance(1);
  const auto second = lineage_id::make(time, random);
  CHECK(first < second);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(lineage_id::make(time, random).str());
  CHECK(seen.size() == 1000);
}

TEST_CASE("an id carries version 7 and the RFC variant") {
  manual_clock time;
  seeded_random random(7);
  const auto hex = make_uuid7_hex(time, random);
  CHECK(hex[12] == '7');
  CHECK(std::string("89ab").find(hex[16]) != std::string::npos);
}

TEST_CASE("parsing names what was wrong") {
  manual_clock time;
  seeded_random random(7);
  const auto id = run_id::make(time, random);
  CHECK(run_id::parse(id.str()));
  const auto wrong = lineage_id::parse(id.str());
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message().find("lin_") != std::string::npos);
  CHECK_FALSE(run_id::parse("run_"));
  CHECK_FALSE(run_id::parse(id.str() + "0"));
}

TEST_CASE("timestamps are ISO 8601 in UTC") {
  CHECK(to_iso8601(0) == "1970-01-01T00:00:00.000Z");
  CHECK(to_iso8601(1'700'000'000'123) == "2023-11-14T22:13:20.123Z");
  CHECK(to_iso8601(-1) == "1969-12-31T23:59:59.999Z");
}
