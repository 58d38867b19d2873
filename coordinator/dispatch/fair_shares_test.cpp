#include "coordinator/dispatch/fair_shares.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "coordinator/dispatch/dispatch_state.hpp"

using namespace germline;
using namespace germline::dispatch;

namespace {

/// Runs of lineages that each want their next item at once, on workers that do all that they are
/// leased, each item in its own time.
struct busy_fleet {
  explicit busy_fleet(int slots) { join("w", slots); }

  struct lineages {
    run_share share;
    int count = 1;
    std::function<std::int64_t()> length_ms;
    bool is_evaluation = false;
    std::vector<std::string> tags = {};
    bool goes_on = true;  // each of its lineages
  };

  void add(const std::string& run, lineages its) {
    runs[run] = std::move(its);
    for (int i = 0; i < runs[run].count; ++i) offer(run);
  }

  /// Until then.
  void go_on_to(std::int64_t until_ms) {
    while (!ends.empty() && ends.begin()->first <= until_ms) {
      const auto [at_ms, done] = *ends.begin();
      ends.erase(ends.begin());
      pass_to(at_ms);
      had_ms[done.run] += at_ms - done.since_ms;
      send(result_arrived{done.worker, done.attempt.str(), done.fence, 0});
      send(result_judged{done.item, true, true, "", time.boot_ms()});
      if (!runs[done.run].goes_on) continue;
      pass_to(time.boot_ms() + 30);  // the record is written, and the next one offered
      offer(done.run);
    }
    pass_to(until_ms);
  }

  void send(const event& what) {
    for (const auto& each : apply(s, what)) {
      if (const auto* granted = std::get_if<record_grant>(&each)) grants.push_back(*granted);
    }
    while (!grants.empty()) {
      const auto granted = grants.back();
      grants.pop_back();
      leased.push_back(granted.offer.run);
      const auto attempt = attempt_id::make(time, random);
      const auto length_ms = runs[granted.offer.run].length_ms();
      const auto now_ms = time.boot_ms();
      ends.emplace(now_ms + length_ms, ending{granted.offer.item, attempt, granted.offer.fence,
                                              granted.offer.run, granted.worker, now_ms});
      send(grant_recorded{granted.offer.item, attempt, now_ms});
    }
  }

  item_id offer(const std::string& run) {
    const auto item = item_id::make(time, random);
    const auto& its = runs.at(run);
    send(item_offered{{item, "lin_" + run, 0, 0, {}, its.tags, run, its.share, its.is_evaluation}});
    return item;
  }
  void join(const std::string& worker, int slots, std::vector<std::string> tags = {}) {
    workers.push_back(worker);
    send(worker_joined{worker, "base", slots, {}, time.boot_ms(), std::move(tags)});
  }
  void pass_to(std::int64_t to_ms) {
    to_ms = std::max(to_ms, time.boot_ms());
    time.advance(to_ms - time.boot_ms());
    for (const auto& each : workers) send(heartbeat{each, running(each), to_ms});
  }
  std::vector<std::string> running(const std::string& worker) const {
    std::vector<std::string> names;
    for (const auto& [at, each] : ends) {
      if (each.worker == worker) names.push_back(each.attempt.str());
    }
    return names;
  }
  /// Of the slot time of these two.
  double part_of(const std::string& run, const std::string& other) {
    const auto one = static_cast<double>(had_ms[run]);
    return one / (one + static_cast<double>(had_ms[other]));
  }

  struct ending {
    item_id item;
    attempt_id attempt;
    std::int64_t fence;
    std::string run, worker;
    std::int64_t since_ms;
  };
  seeded_random random{11};
  manual_clock time;
  state s;
  std::map<std::string, lineages> runs;
  std::vector<std::string> workers;
  std::multimap<std::int64_t, ending> ends;
  std::map<std::string, std::int64_t> had_ms;
  std::vector<record_grant> grants;
  std::vector<std::string> leased;  // whose, in order
};

std::function<std::int64_t()> each(std::int64_t ms) {
  return [ms] { return ms; };
}

constexpr std::int64_t minute = 60'000;
constexpr std::int64_t hour = 60 * minute;

}  // namespace

TEST_CASE("slot time is in proportion to the weights, whatever the lengths and the slots") {
  for (const int slots : {1, 2, 4, 7}) {
    for (const std::int64_t length : {2'000, 60'000, 1'800'000}) {
      CAPTURE(slots);
      CAPTURE(length);
      busy_fleet fleet(slots);
      fleet.add("a", {{0, 3}, 16, each(length)});
      fleet.add("b", {{0, 1}, 16, each(60'000)});
      fleet.go_on_to(length > minute ? 400 * hour : 20 * hour);
      // A slot's worth of the longest is what a moment's cut may miss.
      CHECK(fleet.part_of("a", "b") == doctest::Approx(0.75).epsilon(0.03));
    }
  }
}

TEST_CASE("lengths that nobody can foresee do not spoil the proportions") {
  busy_fleet fleet(3);
  const auto anything = [&]() -> std::int64_t {
    return fleet.random.below(10) == 0
               ? 40 * minute
               : 1'000 + static_cast<std::int64_t>(fleet.random.below(2'000));
  };
  fleet.add("a", {{0, 2}, 8, anything});
  fleet.add("b", {{0, 1}, 8, each(30'000)});
  fleet.add("c", {{0, 1}, 8, anything});
  fleet.go_on_to(300 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(2.0 / 3).epsilon(0.03));
  CHECK(fleet.part_of("c", "b") == doctest::Approx(0.5).epsilon(0.03));
}

TEST_CASE("no slot is idle while any run has work") {
  busy_fleet fleet(4);
  fleet.add("a", {{0, 1}, 1, each(minute)});
  fleet.add("b", {{0, 1'000}, 1, each(minute)});
  fleet.add("c", {{0, 1}, 8, each(minute)});
  fleet.go_on_to(10 * hour);
  CHECK(fleet.had_ms["a"] + fleet.had_ms["b"] + fleet.had_ms["c"] ==
        doctest::Approx(40 * hour).epsilon(0.01));
  CHECK(fleet.had_ms["b"] == doctest::Approx(10 * hour).epsilon(0.02));
}

TEST_CASE("weights count with no more lineages than slots, too") {
  for (const int slots : {1, 2, 3}) {
    CAPTURE(slots);
    busy_fleet fleet(slots);
    fleet.add("one", {{0, 1}, slots, each(500)});
    fleet.add("nine", {{0, 9}, slots, each(500)});
    fleet.go_on_to(20 * minute);
    CHECK(fleet.part_of("nine", "one") == doctest::Approx(0.9).epsilon(0.03));
    fleet.send(share_set{"one", {100, 1}});
    fleet.had_ms.clear();
    fleet.go_on_to(40 * minute);
    CHECK(fleet.part_of("one", "nine") > 0.98);
  }
  busy_fleet fleet(2);
  fleet.add("many", {{0, 1}, 64, each(500)});
  fleet.add("one", {{0, 1'000}, 1, each(500)});
  fleet.go_on_to(20 * minute);
  CHECK(fleet.part_of("one", "many") == doctest::Approx(0.5).epsilon(0.03));
}

TEST_CASE("a lineage that has no next item keeps its slot empty for a moment alone") {
  busy_fleet fleet(1);
  fleet.add("last", {{1, 1}, 1, each(minute), false, {}, false});
  fleet.add("b", {{0, 1}, 2, each(minute)});
  fleet.go_on_to(minute + 100);
  CHECK(fleet.leased == std::vector<std::string>{"last"});
  fleet.go_on_to(minute + successor_wait_ms);
  CHECK(fleet.leased == std::vector<std::string>{"last", "b"});
}

TEST_CASE("the highest priority has each slot that comes free, and what is leased goes on") {
  busy_fleet fleet(2);
  fleet.add("low", {{0, 1'000}, 4, each(minute)});
  fleet.go_on_to(hour);
  CHECK(fleet.had_ms["low"] > 0);
  const auto before = fleet.leased.size();
  fleet.add("high", {{5, 1}, 3, each(minute)});
  CHECK(fleet.leased.size() == before);  // both slots are taken
  fleet.go_on_to(3 * hour);
  CHECK(std::count(fleet.leased.begin() + static_cast<std::ptrdiff_t>(before), fleet.leased.end(),
                   "low") == 0);
}

TEST_CASE("a run that comes late has no debt to collect from those that were there") {
  busy_fleet fleet(1);
  fleet.add("a", {{0, 1}, 4, each(minute)});
  fleet.go_on_to(100 * hour);
  fleet.add("b", {{0, 1}, 4, each(minute)});
  fleet.had_ms.clear();
  fleet.go_on_to(102 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.5).epsilon(0.05));
  // Nor has one that comes back after it was idle, or from another priority.
  fleet.send(share_set{"b", {-1, 1}});
  fleet.go_on_to(202 * hour);
  fleet.send(share_set{"b", {0, 1}});
  fleet.had_ms.clear();
  fleet.go_on_to(204 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("a run that comes is not held to what others' leases were only charged") {
  busy_fleet fleet(2);
  fleet.add("a", {{0, 1}, 4, each(5'000)});  // each is charged a minute at first
  fleet.add("b", {{0, 1}, 4, each(5'000)});
  fleet.go_on_to(2 * minute);
  CHECK(fleet.part_of("b", "a") == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("a priority that is changed to and fro leaves what is leased charged once") {
  busy_fleet fleet(1);
  fleet.add("a", {{0, 1}, 2, each(minute)});
  fleet.go_on_to(hour + minute / 2);
  fleet.send(share_set{"a", {1, 1}});
  fleet.send(share_set{"a", {0, 1}});
  fleet.add("b", {{0, 1}, 2, each(minute)});
  fleet.had_ms.clear();
  fleet.go_on_to(3 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.5).epsilon(0.02));
}

TEST_CASE("another weight counts from the next lease on") {
  busy_fleet fleet(2);
  fleet.add("a", {{0, 1}, 4, each(minute)});
  fleet.add("b", {{0, 1}, 4, each(minute)});
  fleet.go_on_to(10 * hour);
  fleet.send(share_set{"a", {0, 9}});
  fleet.had_ms.clear();
  fleet.go_on_to(40 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.9).epsilon(0.02));
  // What an offer says is from before: it does not undo what a person said since.
  CHECK(fleet.s.shares.of("a") == run_share{0, 9});
}

TEST_CASE("an iteration that goes on for hours is charged while it does") {
  busy_fleet fleet(2);
  fleet.add("a", {{0, 1}, 1, each(10'000 * hour)});
  fleet.add("b", {{0, 1}, 4, each(minute)});
  fleet.runs["a"].length_ms = each(minute);  // of all of it but what goes on
  for (int i = 0; i < 3; ++i) fleet.offer("a");
  fleet.go_on_to(100 * hour);
  // The other slot is b's alone: a has its half already.
  CHECK(fleet.had_ms["a"] <= 2 * minute);
  CHECK(fleet.had_ms["b"] == doctest::Approx(100 * hour).epsilon(0.01));
}

TEST_CASE("evaluations of a run come before its iterations, and count like them") {
  busy_fleet fleet(0);
  fleet.add("a", {{0, 1}, 3, each(minute)});
  auto& its = fleet.runs["a"];
  its.is_evaluation = true;
  const auto evaluation = fleet.offer("a");
  fleet.add("b", {{0, 1}, 1, each(minute)});
  const auto first_of_a = [&] {
    for (const auto& e : apply(fleet.s, worker_joined{"w", "base", 1, {}, fleet.time.boot_ms()})) {
      if (const auto* granted = std::get_if<record_grant>(&e)) return granted->offer.item.str();
    }
    return std::string();
  };
  CHECK(first_of_a() == evaluation.str());
}

TEST_CASE("a run whose tags no free worker has keeps nobody from a slot") {
  busy_fleet fleet(1);
  fleet.add("picky", {{9, 1}, 2, each(minute), false, {"gpu"}});
  fleet.add("b", {{0, 1}, 2, each(minute)});
  fleet.go_on_to(hour);
  CHECK(fleet.had_ms["picky"] == 0);
  CHECK(fleet.had_ms["b"] == doctest::Approx(hour).epsilon(0.02));
}

TEST_CASE("what a run has of workers that another cannot use is no debt of that one's") {
  busy_fleet fleet(2);
  fleet.join("g", 20, {"gpu"});
  fleet.add("p", {{0, 1}, 40, each(minute), false, {"gpu"}});
  fleet.add("a", {{0, 1}, 4, each(minute)});
  fleet.go_on_to(100 * hour);
  fleet.add("b", {{0, 1}, 4, each(minute)});
  fleet.add("one", {{0, 1}, 1, each(minute)});
  fleet.had_ms.clear();
  fleet.go_on_to(104 * hour);
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.5).epsilon(0.05));
  CHECK(fleet.had_ms["one"] > hour);
}

TEST_CASE("a run that wanted little has nothing made up for when it wants more") {
  busy_fleet fleet(16);
  fleet.add("a", {{0, 1}, 64, each(minute)});
  int turn = 0;
  // Its two lineages are never idle at the same time.
  fleet.add("c", {{0, 1}, 2, [&] { return ++turn % 2 == 0 ? minute : 90'000; }});
  fleet.go_on_to(10 * hour);
  CHECK(fleet.had_ms["c"] > 15 * hour);
  for (int i = 0; i < 62; ++i) fleet.offer("c");
  fleet.had_ms.clear();
  fleet.go_on_to(10 * hour + 20 * minute);
  CHECK(fleet.part_of("c", "a") == doctest::Approx(0.5).epsilon(0.1));
}

TEST_CASE("what went on for long at another priority is not held against a run") {
  busy_fleet fleet(2);
  fleet.add("a", {{0, 1}, 1, each(30 * hour)});
  fleet.add("b", {{0, 1}, 4, each(minute)});
  fleet.go_on_to(10 * hour);
  fleet.send(share_set{"a", {1, 1}});
  fleet.send(share_set{"b", {1, 1}});
  fleet.runs["a"].length_ms = each(minute);
  for (int i = 0; i < 3; ++i) fleet.offer("a");
  fleet.had_ms.clear();
  fleet.go_on_to(12 * hour);
  // Of the one slot that is left.
  CHECK(fleet.part_of("a", "b") == doctest::Approx(0.5).epsilon(0.05));
}

TEST_CASE("grants that come to nothing teach nobody that leases are short") {
  state s;
  manual_clock time;
  seeded_random random{3};
  const auto offer = [&](const std::string& run) {
    const auto item = item_id::make(time, random);
    apply(s, item_offered{{item, "lin_" + run, 0, 0, {}, {}, run, {}, false}});
    return item;
  };
  std::vector<item_id> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(offer("a"));
  for (int i = 0; i < 4; ++i) waiting.push_back(offer("b"));
  std::vector<record_grant> granted;
  const auto take = [&](const std::vector<effect>& effects) {
    for (const auto& each : effects) {
      if (const auto* one = std::get_if<record_grant>(&each)) granted.push_back(*one);
    }
  };
  take(apply(s, worker_joined{"w", "base", 4, {}, 0}));
  for (std::int64_t now_ms = 0; now_ms < 300'000; now_ms += 1'000) {
    const auto tried = std::exchange(granted, {});
    for (const auto& each : tried) {
      take(apply(s, grant_refused{each.offer.item, false, "the disk is full", now_ms}));
    }
    take(apply(s, heartbeat{"w", {}, now_ms}));
  }
  granted.clear();
  take(apply(s, heartbeat{"w", {}, 400'000}));
  // One would have all four slots, if what they are charged were not next to nothing.
  REQUIRE(granted.size() == 4);
  CHECK(std::ranges::count(granted, "a", [](const auto& g) { return g.offer.run; }) == 2);
}

TEST_CASE("after a start, what is leased counts from then on") {
  state s;
  manual_clock time;
  seeded_random random{3};
  const auto leased = item_id::make(time, random);
  apply(s, lease_restored{{leased, "lin_a", 1, 0, {}, {}, "a", {0, 2}, false},
                          attempt_id::make(time, random),
                          "w",
                          false,
                          0});
  CHECK(s.shares.of("a") == run_share{0, 2});
  s.shares.renew("a", "w", s.items.at(leased.str()).use, 60'000);
  CHECK(s.shares.turn_of("a", "w").virtual_ms == doctest::Approx(30'000));
  CHECK(s.shares.turn_of("a", "another").virtual_ms == 0);
}
