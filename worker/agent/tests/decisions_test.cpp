#include <doctest/doctest.h>

#include "json.hpp"
#include "steps/decision.hpp"
#include "stuck_detector.hpp"
#include "task.hpp"

using namespace agent;

TEST_CASE("decision is found in prose and fences") {
  const auto found = find_object("Well:\n```json\n{\"goal\": \"a {b} \\\" c\"}\n```\nso.", "goal");
  CHECK(found["goal"].string_or() == "a {b} \" c");
  CHECK(find_object("{\"achieved\": true} then {\"achieved\": false}", "achieved").has("achieved"));
  CHECK_FALSE(
      find_object("{\"achieved\": true} {\"achieved\": false}", "achieved")["achieved"].bool_or(
          true));
}

TEST_CASE("decision without an object is null") {
  CHECK(find_object("done", "goal").is_null());
  CHECK(find_object("{ { {", "goal").is_null());
  CHECK(find_object("", "goal").is_null());
}

TEST_CASE("stuck detector sees cycles of one to three rounds") {
  stuck_detector one;
  for (int i = 0; i < 3; ++i) one.note("same");
  CHECK(one.repeats(3));
  CHECK_FALSE(one.repeats(4));
  stuck_detector two;
  for (const auto* round : {"x", "a", "b", "a", "b", "a", "b"}) two.note(round);
  CHECK(two.repeats(3));
}

TEST_CASE("stuck detector lets progress go on") {
  stuck_detector progress;
  for (const auto* round : {"a", "b", "a", "c", "a", "d", "a", "e"}) progress.note(round);
  CHECK_FALSE(progress.repeats(3));
}

TEST_CASE("task is read with its defaults") {
  const auto work =
      parse_task(R"({"contract": 1, "number": 4, "goal": null, "notes": [{"text": "n"}],
    "deadline_utc": "2020-01-02T03:04:05.678Z", "budget": {"max_requests": 9}})");
  REQUIRE(work);
  CHECK(work->number == 4);
  CHECK(work->goal.empty());
  CHECK(work->notes == std::vector<std::string>{"n"});
  CHECK(work->left().count() == 0);
  CHECK(work->max_requests == 9);
  CHECK(work->branch == "lineage");
}

TEST_CASE("task of another contract is refused") {
  CHECK_FALSE(parse_task(R"({"contract": 2})"));
  CHECK_FALSE(parse_task("["));
}

TEST_CASE("json refuses deep nesting and survives bytes that are not UTF-8") {
  CHECK_FALSE(json::parse(std::string(5000, '[')));
  CHECK(json("a\xff").text().find("a") == 1);
}
