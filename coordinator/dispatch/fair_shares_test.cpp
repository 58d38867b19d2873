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

/// Runs of lineages that each want their next item at once, on one worker that does all that it is
/// leased, each item in its own time.
struct busy_fleet {
  explicit busy_fleet(int slots) { join("w", slots); }

  struct lineages {
    run_share share;
    int count = 1;
    std::function<std::int64_t()> length_ms;
    bool is_evaluation = false;
    std::vector<std::string> tags = {};
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
      send(result_arrived{"w", done.attempt.str(), done.fence, 0});
      send(result_judged{done.item, true, true, "", time.boot_ms()});
      if (runs.contains(done.run)) offer(done.run);
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
                                              granted.offer.run, now_ms});
      send(grant_recorded{granted.offer.item, attempt, now_ms});
    }
  }

  item_id offer(const std::string& run) {
    const auto item = item_id::make(time, random);
    const auto& its = runs.at(run);
    send(item_offered{{item, "lin_" + run, 0, 0, {}, its.tags, run, its.share, its.is_evaluation}});
    return item;
  }
  void join(const std::string& worker, int slots) {
    send(worker_joined{worker, "base", slots, {}, time.boot_ms()});
  }
  void pass_to(std::int64_t to_ms) {
    time.advance(to_ms - time.boot_ms());
    send(heartbeat{"w", running(), to_ms});
  }
  std::vector<std::string> running() const {
    std::vector<std::string> names;
    for (const auto& [at, each] : ends) names.push_back(each.attempt.str());
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
    std::string run;
    std::int64_t since_ms;
  };
  seeded_random random{11};
  manual_clock time;
  state s;
  std::map<std::string, lineages> runs;
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
  // Its one lineage offers the next item when its slot is another's already: it has the slot that
  // comes free next.
  CHECK(fleet.had_ms["b"] >= 5 * hour);
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

TEST_CASE("a run whose tags no free worker has keeps nobody from a slot, and comes first later") {
  busy_fleet fleet(1);
  fleet.add("picky", {{9, 1}, 2, each(minute), false, {"gpu"}});
  fleet.add("b", {{0, 1}, 2, each(minute)});
  fleet.go_on_to(hour);
  CHECK(fleet.had_ms["picky"] == 0);
  CHECK(fleet.had_ms["b"] == doctest::Approx(hour).epsilon(0.02));
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
  CHECK(s.shares.turn_of("a", overdue_ms(s.items.at(leased.str()).use, 60'000)).virtual_ms ==
        doctest::Approx(30'000));
}
