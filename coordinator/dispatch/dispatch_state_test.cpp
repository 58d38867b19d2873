#include "coordinator/dispatch/dispatch_state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "common/clock.hpp"
#include "common/random.hpp"

using namespace germline;
using namespace germline::dispatch;

namespace {

struct fixture {
  seeded_random random{7};
  manual_clock time;
  state s;

  item_id offer(const std::string& scope = "lin_a") {
    const item_id item = item_id::make(time, random);
    out = apply(s, item_offered{{item, scope, 0, 0, {}}});
    return item;
  }
  attempt_id grant(const item_id& item) {
    const attempt_id attempt = attempt_id::make(time, random);
    out = apply(s, grant_recorded{item, attempt, time.boot_ms()});
    return attempt;
  }
  void join(const std::string& worker, int slots = 1, std::vector<std::string> running = {}) {
    out = apply(s, worker_joined{worker, "base", slots, std::move(running), time.boot_ms()});
  }
  template <class Effect>
  const Effect* find() const {
    for (const auto& e : out) {
      if (const auto* found = std::get_if<Effect>(&e)) return found;
    }
    return nullptr;
  }
  std::vector<effect> out;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "an item waits for a free slot and is leased with a new fence") {
  const auto item = offer();
  CHECK(find<record_grant>() == nullptr);
  join("w1");
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->offer.fence == 1);
  const auto attempt = grant(item);
  REQUIRE(find<send_lease>() != nullptr);
  CHECK(find<send_lease>()->attempt == attempt);
  offer("lin_b");
  CHECK(find<record_grant>() == nullptr);  // the only slot is taken
}

TEST_CASE_FIXTURE(fixture, "a worker with another base is not leased the item") {
  join("w1");
  out = apply(s, item_offered{{item_id::make(time, random), "lin_a", 0, 0, "other base"}});
  CHECK(find<record_grant>() == nullptr);
}

TEST_CASE_FIXTURE(fixture,
                  "an item is leased to a worker that has all of its tags, and to no other") {
  join("w1");
  out = apply(s, worker_joined{"w2", "base", 1, {}, time.boot_ms(), {"gpu"}, ""});
  const item_id item = item_id::make(time, random);
  out = apply(s, item_offered{{item, "lin_a", 0, 0, {}, {"gpu", "zone=a"}}});
  CHECK(find<record_grant>() == nullptr);
  out = apply(s, worker_joined{"w3", "base", 1, {}, time.boot_ms(), {"gpu", "ssd", "zone=a"}, ""});
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->worker == "w3");
  CHECK(find<record_grant>()->offer.required_tags == std::vector<std::string>{"gpu", "zone=a"});
}

TEST_CASE_FIXTURE(fixture,
                  "a cordoned worker is leased nothing, joins as such, and keeps what it has") {
  join("w1", 2);
  const auto item = offer();
  const auto attempt = grant(item);
  out = apply(s, worker_cordoned{"w1", true, "loud"});
  offer("lin_b");
  CHECK(find<record_grant>() == nullptr);
  CHECK(attempts_of(s, "w1") == std::vector<std::string>{attempt.str()});
  time.advance(20'000);
  out = apply(s, heartbeat{"w1", {attempt.str()}, time.boot_ms()});
  time.advance(20'000);
  out = apply(s, tick{time.boot_ms()});
  CHECK(out.empty());
  out = apply(s, worker_left{"w1"});
  join("w1", 2, {attempt.str()});
  CHECK(find<record_grant>() == nullptr);
  CHECK(s.workers.at("w1").cordon_why == "loud");
  out = apply(s, result_arrived{"w1", attempt.str(), 1});
  CHECK(find<judge>() != nullptr);
  out = apply(s, result_judged{item, true, true, "", time.boot_ms()});
  CHECK(attempts_of(s, "w1").empty());
  out = apply(s, worker_cordoned{"w1", false, ""});
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(s.workers.at("w1").cordon_why.empty());
}

TEST_CASE_FIXTURE(fixture, "a worker that only the record knows is cordoned when it comes") {
  out = apply(s, worker_known{"w1", "base", 1, -5'000, {}, "0.1.0", true, "loud"});
  offer();
  CHECK(find<record_grant>() == nullptr);
  join("w1");
  CHECK(find<record_grant>() == nullptr);
  out = apply(s, worker_cordoned{"w1", false, ""});
  CHECK(find<record_grant>() != nullptr);
  out = apply(s, worker_cordoned{"w9", true, ""});  // nobody knows it
  CHECK_FALSE(s.workers.contains("w9"));
}

TEST_CASE_FIXTURE(fixture, "an item is leased again only after the lease and the guard") {
  join("w1", 2);
  const auto item = offer();
  grant(item);
  time.advance(24'999);
  out = apply(s, heartbeat{"w1", {}, time.boot_ms()});
  out = apply(s, tick{time.boot_ms()});
  CHECK(out.empty());
  time.advance(1);
  out = apply(s, tick{time.boot_ms()});
  CHECK(find<record_lost>() != nullptr);
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->offer.fence == 2);
  CHECK(find<record_grant>()->offer.lost == 1);
}

TEST_CASE_FIXTURE(fixture, "a worker whose stream stands and that is silent is leased nothing") {
  join("w1");
  const auto item = offer();
  grant(item);
  time.advance(25'000);
  out = apply(s, tick{time.boot_ms()});
  CHECK(find<record_lost>() != nullptr);
  CHECK(find<record_grant>() == nullptr);
  SUBCASE("another one gets it") {
    join("w2");
    REQUIRE(find<record_grant>() != nullptr);
    CHECK(find<record_grant>()->worker == "w2");
  }
  SUBCASE("once it is heard, it does") {
    time.advance(60'000);
    out = apply(s, heartbeat{"w1", {}, time.boot_ms()});
    REQUIRE(find<record_grant>() != nullptr);
    CHECK(find<record_grant>()->worker == "w1");
  }
}

TEST_CASE_FIXTURE(fixture, "a heartbeat renews what it names and stops what it should not run") {
  join("w1");
  const auto item = offer();
  const auto attempt = grant(item);
  time.advance(20'000);
  out = apply(s, heartbeat{"w1", {attempt.str(), "att_unknown"}, time.boot_ms()});
  REQUIRE(find<send_kill>() != nullptr);
  CHECK(find<send_kill>()->attempt == "att_unknown");
  time.advance(20'000);
  out = apply(s, tick{time.boot_ms()});
  CHECK(find<record_lost>() == nullptr);
}

TEST_CASE_FIXTURE(fixture, "a lease that could not be recorded is tried again, ever more seldom") {
  join("w1");
  const auto item = offer();
  std::int64_t fence = 1;
  for (const std::int64_t wait_ms :
       {500, 1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000, 30'000}) {
    CAPTURE(wait_ms);
    REQUIRE(s.items.at(item.str()).at() == phase::granting);
    out = apply(s, grant_refused{item, false, "the disk is full", time.boot_ms()});
    CHECK(s.items.at(item.str()).wait_for == "the disk is full");
    CHECK(busy_slots(s, "w1") == 0);
    time.advance(wait_ms - 1);
    out = apply(s, tick{time.boot_ms()});
    CHECK(find<record_grant>() == nullptr);
    out = apply(s, heartbeat{"w1", {}, time.boot_ms()});  // it is heard all the time
    CHECK(find<record_grant>() == nullptr);
    time.advance(1);
    out = apply(s, tick{time.boot_ms()});
    REQUIRE(find<record_grant>() != nullptr);
    CHECK(find<record_grant>()->offer.fence == ++fence);
  }
  SUBCASE("until it is recorded") {
    grant(item);
    CHECK(find<send_lease>() != nullptr);
    CHECK(s.items.at(item.str()).wait_for.empty());
    CHECK(s.items.at(item.str()).failed_grants == 0);
  }
  SUBCASE("until the budget is spent") {
    out = apply(s, grant_refused{item, true, "spent", time.boot_ms()});
    CHECK(s.items.empty());
  }
  SUBCASE("and a kill does not wait for that") {
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    CHECK(find<kill_proved>() == nullptr);
    out = apply(s, grant_refused{item, false, "the disk is full", time.boot_ms()});
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK(find<kill_proved>()->how == proof::nothing_ran);
    CHECK(s.items.empty());
  }
}

TEST_CASE_FIXTURE(fixture, "while leasing is held nothing is leased, and what is leased goes on") {
  join("w1", 2);
  const auto running = grant(offer());
  out = apply(s, leasing_held{"room"});
  offer("lin_b");
  CHECK(find<record_grant>() == nullptr);
  out = apply(s, result_arrived{"w1", running.str(), 1});
  CHECK(find<judge>() != nullptr);
  out = apply(s, leasing_held{""});
  CHECK(find<record_grant>() != nullptr);
}

TEST_CASE_FIXTURE(fixture, "an item that its worker failed at waits, twice as long each time") {
  join("w1");
  const auto item = offer();
  for (const std::int64_t wait_ms : {500, 1'000}) {
    const auto attempt = grant(item);
    out = apply(s, attempt_cleaned{"w1", attempt.str(), {"no disk", {}}, time.boot_ms()});
    CHECK(find<record_grant>() == nullptr);
    time.advance(wait_ms - 1);
    out = apply(s, tick{time.boot_ms()});
    CHECK(find<record_grant>() == nullptr);
    time.advance(1);
    out = apply(s, tick{time.boot_ms()});
    CHECK(find<record_grant>() != nullptr);
  }
}

TEST_CASE_FIXTURE(fixture, "an item that nothing but a person can help is held, and offered anew") {
  join("w1");
  const auto item = offer();
  const auto attempt = grant(item);
  out = apply(s, attempt_cleaned{"w1", attempt.str(), {"no gateway", 0, true}, time.boot_ms()});
  REQUIRE(find<record_lost>() != nullptr);
  REQUIRE(find<item_held>() != nullptr);
  CHECK(find<item_held>()->item == item);
  CHECK(find<item_held>()->why == "no gateway");
  CHECK(s.items.empty());
  out = apply(s, item_offered{{item, "lin_1", 1, 1, {}}});
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->offer.fence == 2);
}

TEST_CASE_FIXTURE(fixture, "what a worker does not name when it joins anew is lost at once") {
  join("w1", 2);
  const auto forgotten = offer();
  const auto kept = offer();
  grant(forgotten);
  const auto running = grant(kept);
  out = apply(s, worker_left{"w1"});
  CHECK(out.empty());
  out = apply(s, worker_joined{"w1", "base", 2, {running.str()}, time.boot_ms()});
  REQUIRE(find<record_lost>() != nullptr);
  CHECK(find<record_lost>()->item == forgotten);
  CHECK_FALSE(find<record_lost>()->how.cost.has_value());
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->offer.item == forgotten);
  CHECK(s.items.at(kept.str()).at() == phase::leased);
}

TEST_CASE_FIXTURE(fixture,
                  "of one name from two places only one joins, and nothing is lost by it") {
  const auto join_from = [&](const std::string& place) {
    out = apply(s, worker_joined{"w1", "base", 1, {}, time.boot_ms(), {}, "", place});
  };
  join_from("here");
  const auto item = offer();
  grant(item);
  CHECK(why_not_taken(s, "w2", "there").empty());
  CHECK(why_not_taken(s, "w1", "here").empty());
  CHECK(why_not_taken(s, "w1", "there").find("is joined from another") != std::string::npos);
  out = apply(s, worker_left{"w1"});
  const auto waits = why_not_taken(s, "w1", "there");
  CHECK(waits.find("has leases from another") != std::string::npos);
  CHECK(waits.find("25 s") != std::string::npos);
  CHECK(why_not_taken(s, "w1", "here").empty());
  time.advance(s.times.lease_ms + s.times.guard_ms + 1);
  out = apply(s, tick{time.boot_ms()});
  REQUIRE(find<record_lost>() != nullptr);
  CHECK(why_not_taken(s, "w1", "there").empty());
  join_from("there");
  CHECK(find<record_grant>() != nullptr);
}

TEST_CASE_FIXTURE(fixture, "a stream that stands and is not heard keeps nobody out for ever") {
  out = apply(s, worker_joined{"w1", "base", 1, {}, time.boot_ms(), {}, "", "here"});
  CHECK_FALSE(why_not_taken(s, "w1", "there").empty());
  time.advance(s.times.lease_ms + s.times.guard_ms + 1);
  out = apply(s, tick{time.boot_ms()});
  CHECK(why_not_taken(s, "w1", "there").empty());
}

TEST_CASE_FIXTURE(fixture, "after a start the record says where a worker's leases are") {
  out = apply(s, worker_known{"w1", "base", 1, 0, {}, "", false, "", "here"});
  const item_id item = item_id::make(time, random);
  out = apply(
      s,
      lease_restored{
          {item, "lin_a", 1, 0, {}}, attempt_id::make(time, random), "w1", false, time.boot_ms()});
  CHECK_FALSE(why_not_taken(s, "w1", "there").empty());
  CHECK(why_not_taken(s, "w1", "here").empty());
}

TEST_CASE_FIXTURE(fixture, "a result that is being judged is not lost when its worker joins anew") {
  join("w1");
  const auto item = offer();
  const auto attempt = grant(item);
  out = apply(s, result_arrived{"w1", attempt.str(), 1, 5});
  out = apply(s, worker_joined{"w1", "base", 1, {}, time.boot_ms()});
  CHECK(find<record_lost>() == nullptr);
  out = apply(s, result_judged{item, false, false, "the disk was full", time.boot_ms()});
  REQUIRE(find<record_lost>() != nullptr);
  CHECK(find<record_lost>()->how.cost == 5);
}

TEST_CASE_FIXTURE(fixture, "a worker in trouble costs no item a try, and is leased nothing") {
  join("w1");
  const auto item = offer();
  for (int i = 0; i < 5; ++i) {
    const auto attempt = grant(item);
    departure how{"writing to a spool file: No space left on device", 7};
    how.trouble = "its disk is full";
    out = apply(s, attempt_cleaned{"w1", attempt.str(), how, time.boot_ms()});
    REQUIRE(find<record_lost>() != nullptr);
    CHECK(find<record_lost>()->how.trouble == "its disk is full");
    CHECK(find<item_given_up>() == nullptr);
    CHECK(s.items.at(item.str()).wait_for == "worker w1: its disk is full");
    time.advance(longest_retry_ms);
    out = apply(s, heartbeat{"w1", {}, time.boot_ms(), "its disk is full"});
    out = apply(s, tick{time.boot_ms()});
    CHECK(find<record_grant>() == nullptr);
    out = apply(s, heartbeat{"w1", {}, time.boot_ms()});
    REQUIRE(find<record_grant>() != nullptr);
  }
  CHECK(s.items.at(item.str()).offer.lost == 0);
}

TEST_CASE_FIXTURE(fixture, "what a worker in trouble gave back goes to another one") {
  join("w1");
  const auto item = offer();
  const auto attempt = grant(item);
  join("w2");
  departure how{"the disk was full", {}};
  how.trouble = "its disk is full";
  out = apply(s, attempt_cleaned{"w1", attempt.str(), how, time.boot_ms()});
  time.advance(first_retry_ms);
  out = apply(s, tick{time.boot_ms()});
  REQUIRE(find<record_grant>() != nullptr);
  CHECK(find<record_grant>()->worker == "w2");
}

TEST_CASE_FIXTURE(fixture, "after three lost attempts the item is given up") {
  join("w1");
  const auto item = offer();
  for (int i = 0; i < 3; ++i) {
    time.advance(2'000);
    out = apply(s, tick{time.boot_ms()});
    const auto attempt = grant(item);
    out = apply(s, attempt_cleaned{"w1", attempt.str(), {"the disk was full", 7}, time.boot_ms()});
    REQUIRE(find<record_lost>() != nullptr);
    CHECK(find<record_lost>()->how.cost == 7);
  }
  REQUIRE(find<item_given_up>() != nullptr);
  CHECK(find<item_given_up>()->why ==
        "3 attempts were lost, the last one because the disk was full");
  CHECK(s.items.empty());
}

TEST_CASE_FIXTURE(fixture, "only the attempt that holds the fence is judged") {
  join("w1");
  const auto item = offer();
  const auto first = grant(item);
  time.advance(25'000);
  out = apply(s, heartbeat{"w1", {}, time.boot_ms()});
  out = apply(s, tick{time.boot_ms()});
  const auto second = grant(item);
  out = apply(s, result_arrived{"w1", first.str(), 1});
  REQUIRE(find<reply_result>() != nullptr);
  CHECK_FALSE(find<reply_result>()->accepted);
  out = apply(s, result_arrived{"w1", second.str(), 1});
  CHECK(find<judge>() == nullptr);  // the right attempt with an old fence
  out = apply(s, result_arrived{"w2", second.str(), 2});
  CHECK(find<judge>() == nullptr);  // another worker
  out = apply(s, result_arrived{"w1", second.str(), 2});
  CHECK(find<judge>() != nullptr);
  out = apply(s, result_judged{item, true, true, "", time.boot_ms()});
  REQUIRE(find<reply_result>() != nullptr);
  CHECK(find<reply_result>()->accepted);
}

TEST_CASE_FIXTURE(fixture, "a kill proves how the target ended") {
  SUBCASE("nothing was leased") {
    offer();
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK(find<kill_proved>()->how == proof::nothing_ran);
  }
  SUBCASE("the worker reports that all is gone") {
    join("w1");
    const auto attempt = grant(offer());
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    CHECK(find<kill_proved>() == nullptr);
    REQUIRE(find<send_kill>() != nullptr);
    out = apply(s, attempt_cleaned{"w1", attempt.str(), {"the disk was full", 7}, time.boot_ms()});
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK(find<kill_proved>()->how == proof::killed);
    CHECK(find<attempt_gone>() != nullptr);
  }
  SUBCASE("the worker is out of reach") {
    join("w1");
    grant(offer());
    out = apply(s, worker_left{"w1"});
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    time.advance(24'999);
    out = apply(s, tick{time.boot_ms()});
    CHECK(find<kill_proved>() == nullptr);
    time.advance(1);
    out = apply(s, tick{time.boot_ms()});
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK(find<kill_proved>()->how == proof::lease_expired);
  }
  SUBCASE("the lease is being recorded") {
    join("w1");
    const auto item = offer();
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    CHECK(find<kill_proved>() == nullptr);
    grant(item);
    CHECK(find<send_lease>() == nullptr);
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK(find<kill_proved>()->how == proof::nothing_ran);
  }
  SUBCASE("the result is being judged") {
    join("w1");
    const auto attempt = grant(offer());
    out = apply(s, result_arrived{"w1", attempt.str(), 1});
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    REQUIRE(find<kill_proved>() != nullptr);
    REQUIRE(find<reply_result>() != nullptr);
    CHECK_FALSE(find<reply_result>()->accepted);
  }
  SUBCASE("a result comes instead of the report") {
    join("w1");
    const auto attempt = grant(offer());
    out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
    out = apply(s, result_arrived{"w1", attempt.str(), 1});
    REQUIRE(find<kill_proved>() != nullptr);
    CHECK_FALSE(find<reply_result>()->accepted);
    CHECK(find<judge>() == nullptr);
  }
}

TEST_CASE_FIXTURE(fixture, "a kill without proof is answered in time, and goes on") {
  join("w1");
  const auto attempt = grant(offer());
  const auto beats_until = [&](std::int64_t until_ms) {
    while (time.boot_ms() < until_ms) {
      time.advance(1'000);
      out = apply(s, heartbeat{"w1", {attempt.str()}, time.boot_ms()});
      CHECK(find<send_kill>() != nullptr);  // asked again and again
      out = apply(s, tick{time.boot_ms()});
      CHECK(find<kill_proved>() == nullptr);
    }
  };
  const auto asked_ms = time.boot_ms();
  out = apply(s, dispatch::kill_requested{"lin_a", asked_ms});
  beats_until(asked_ms + 20'000);
  out = apply(s, dispatch::kill_requested{"lin_a", time.boot_ms()});
  beats_until(asked_ms + 44'000);
  CHECK(find<kill_unproved>() == nullptr);
  beats_until(asked_ms + 45'000);
  REQUIRE(find<kill_unproved>() != nullptr);
  REQUIRE(find<kill_unproved>()->remaining.size() == 1);
  const auto& left = find<kill_unproved>()->remaining.front();
  CHECK(left.attempt == attempt.str());
  CHECK(left.worker == "w1");
  CHECK(left.connected);
  CHECK(left.named_ms == time.boot_ms());
  // The second one still waits, and gets the proof.
  out = apply(s, attempt_cleaned{"w1", attempt.str(), {}, time.boot_ms()});
  CHECK(std::count_if(out.begin(), out.end(),
                      [](const effect& e) { return std::holds_alternative<kill_proved>(e); }) == 1);
  CHECK(s.kills.empty());
}

TEST_CASE_FIXTURE(fixture, "after a restart leases go on, and what lost its fence is forgotten") {
  const auto item = item_id::make(time, random);
  const auto attempt = attempt_id::make(time, random);
  out = apply(s, lease_restored{{item, "lin_a", 4, 0, {}}, attempt, "w1", false, 0});
  join("w1", 1, {attempt.str(), "att_old"});
  REQUIRE(find<send_welcome>() != nullptr);
  CHECK(find<send_welcome>()->forget == std::vector<std::string>{"att_old"});
  out = apply(s, result_arrived{"w1", attempt.str(), 4});
  CHECK(find<judge>() != nullptr);
}

namespace {

/// Plays workers, an owner and people at random against the state, and holds the invariants.
struct walk {
  explicit walk(std::uint64_t random_seed) : random(random_seed) {}

  struct running {
    std::string worker;
    std::string scope;
    std::int64_t fence = 0;
    std::int64_t until_ms = 0;  // the worker itself stops by then
  };

  void perform(const std::vector<effect>& effects) {
    for (const auto& e : effects) {
      if (const auto* grant = std::get_if<record_grant>(&e)) {
        REQUIRE(grant->offer.fence > fences[grant->offer.item.str()]);
        fences[grant->offer.item.str()] = grant->offer.fence;
        pending.push_back(*grant);
      } else if (const auto* lease = std::get_if<send_lease>(&e)) {
        for (const auto& [id, other] : live) {
          REQUIRE_MESSAGE(items[id] != lease->item.str(), "two attempts of one item run");
        }
        const auto& offer = s.items.at(lease->item.str()).offer;
        live[lease->attempt.str()] = {lease->worker, offer.scope, offer.fence,
                                      time.boot_ms() + s.times.lease_ms};
        items[lease->attempt.str()] = lease->item.str();
      } else if (const auto* asked = std::get_if<judge>(&e)) {
        judged.push_back(asked->item);
      } else if (const auto* reply = std::get_if<reply_result>(&e)) {
        if (reply->accepted) REQUIRE(born.insert(items[reply->attempt]).second);
      } else if (const auto* proved = std::get_if<kill_proved>(&e)) {
        for (const auto& [id, run] : live) {
          REQUIRE_MESSAGE(run.scope != proved->scope, "killed with proof, yet it runs");
        }
      }
    }
  }

  void stop_expired() {
    std::erase_if(live, [&](const auto& run) { return run.second.until_ms <= time.boot_ms(); });
  }

  std::string pick_live() {
    if (live.empty()) return {};
    return std::next(live.begin(), static_cast<long>(random.below(live.size())))->first;
  }

  void step() {
    const std::string worker = "w" + std::to_string(random.below(3));
    switch (random.below(10)) {
      case 0: {
        const auto item = item_id::make(time, random);
        perform(apply(s, item_offered{{item, "lin_" + std::to_string(next_scope++), 0, 0, {}}}));
        break;
      }
      case 1: {
        std::vector<std::string> here;
        for (const auto& [id, run] : live) {
          if (run.worker == worker) here.push_back(id);
        }
        perform(apply(s, worker_joined{worker, "base", 2, here, time.boot_ms()}));
        break;
      }
      case 2:
        perform(apply(s, worker_left{worker}));
        break;
      case 3: {  // a heartbeat may be sent and then held up on its way
        std::vector<std::string> here;
        const auto sent = time.boot_ms();
        for (auto& [id, run] : live) {
          if (run.worker == worker) here.push_back(id);
        }
        time.advance(static_cast<std::int64_t>(random.below(2'000)));
        for (const auto& id : here) live[id].until_ms = sent + s.times.lease_ms;
        stop_expired();
        perform(apply(s, heartbeat{worker, here, time.boot_ms()}));
        break;
      }
      case 4:
      case 5:
        time.advance(static_cast<std::int64_t>(random.below(9'000)));
        stop_expired();
        perform(apply(s, tick{time.boot_ms()}));
        break;
      case 6:
        if (!pending.empty()) {
          const auto grant = pending.front();
          pending.erase(pending.begin());
          if (random.below(8) == 0) {  // the record cannot be written
            perform(apply(s, grant_refused{grant.offer.item, false, "full", time.boot_ms()}));
            break;
          }
          perform(apply(
              s, grant_recorded{grant.offer.item, attempt_id::make(time, random), time.boot_ms()}));
        }
        break;
      case 7:
        if (const auto id = pick_live(); !id.empty()) {
          const auto run = live[id];
          live.erase(id);
          perform(apply(s, result_arrived{run.worker, id, run.fence}));
        }
        break;
      case 8:
        if (!judged.empty()) {
          const auto item = judged.front();
          judged.erase(judged.begin());
          const bool is_final = random.below(4) != 0;
          const bool accepted = is_final && random.below(4) != 0;
          perform(apply(s, result_judged{item, accepted, is_final, "", time.boot_ms()}));
        } else if (const auto id = pick_live(); !id.empty()) {
          const auto gone = live[id].worker;
          live.erase(id);
          perform(apply(s, attempt_cleaned{gone, id, {}, time.boot_ms()}));
        }
        break;
      default:
        if (next_scope > 0) {
          const auto scope = "lin_" + std::to_string(random.below(next_scope));
          perform(apply(s, dispatch::kill_requested{scope, time.boot_ms()}));
        }
    }
  }

  seeded_random random;
  manual_clock time;
  state s;
  std::uint64_t next_scope = 0;
  std::map<std::string, std::int64_t> fences;
  std::map<std::string, running> live;  // what really runs, by attempt
  std::map<std::string, std::string> items;
  std::set<std::string> born;
  std::vector<record_grant> pending;
  std::vector<item_id> judged;
};

}  // namespace

TEST_CASE("random walks keep the invariants of leases, births and kills" *
          doctest::test_suite("sim")) {
  for (std::uint64_t random_seed = 1; random_seed <= 200; ++random_seed) {
    CAPTURE(random_seed);
    walk w(random_seed);
    for (int i = 0; i < 1'000; ++i) w.step();
    CHECK_MESSAGE(!w.fences.empty(), "a walk that leases nothing shows nothing");
  }
}
