// Evaluations that ask a model, where a worker, or the model's provider, cannot serve them.
#include <doctest/doctest.h>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "coordinator/dispatch/dispatch_state.hpp"

using namespace germline;
using namespace germline::dispatch;

namespace {

struct measuring {
  seeded_random random{7};
  manual_clock time;
  state s;
  std::vector<effect> out;

  attempt_id grant(const item_id& item) {
    const attempt_id attempt = attempt_id::make(time, random);
    out = apply(s, grant_recorded{item, attempt, time.boot_ms()});
    return attempt;
  }
  void join(const std::string& worker) {
    out = apply(s, worker_joined{worker, "base", 1, {}, time.boot_ms()});
  }
  template <class Effect>
  const Effect* find() const {
    for (const auto& e : out) {
      if (const auto* found = std::get_if<Effect>(&e)) return found;
    }
    return nullptr;
  }
  item_id offer_of(const std::string& run, bool is_evaluation) {
    const item_id item = item_id::make(time, random);
    item_offer asked{item, "lin_a", 0, 0, {}};
    asked.run = run;
    asked.is_evaluation = is_evaluation;
    out = apply(s, item_offered{asked});
    return item;
  }
  /// Its attempt ends so on the worker.
  void end(const std::string& worker, const attempt_id& attempt, const departure& how) {
    out = apply(s, attempt_cleaned{worker, attempt.str(), how, time.boot_ms()});
  }
  void wait(std::int64_t ms) {
    time.advance(ms);
    out = apply(s, heartbeat{"w1", {}, time.boot_ms()});
    const auto first = out;
    out = apply(s, heartbeat{"w2", {}, time.boot_ms()});
    out.insert(out.begin(), first.begin(), first.end());
  }
  /// To whom; empty: to nobody.
  std::string leased(const item_id& item) const {
    for (const auto& e : out) {
      const auto* given = std::get_if<record_grant>(&e);
      if (given != nullptr && given->offer.item == item) return given->worker;
    }
    return {};
  }
  departure no_key{"no key for the model", 0, true};
  departure no_provider{"HTTP 529", 0, false, {}, true};
};

}  // namespace

TEST_CASE_FIXTURE(measuring, "an evaluation that a worker cannot serve goes to another one") {
  join("w1");
  const auto item = offer_of("run_a", true);
  REQUIRE(leased(item) == "w1");
  const auto attempt = grant(item);
  join("w2");
  const auto other = offer_of("run_a", true);
  REQUIRE(leased(other) == "w2");
  grant(other);
  end("w1", attempt, no_key);
  REQUIRE(find<record_lost>() != nullptr);
  CHECK(find<record_lost>()->excused);
  CHECK(find<item_held>() == nullptr);
  CHECK(leased(item).empty());  // who could serve it is busy
  CHECK(s.items.at(item.str()).offer.lost == 0);
  // The worker does what else there is: of this run, and of others.
  const auto iteration = offer_of("run_a", false);
  REQUIRE(leased(iteration) == "w1");
  end("w1", grant(iteration), {"no disk", {}});
  const auto elsewhere = offer_of("run_b", true);
  CHECK(leased(elsewhere) == "w1");
  grant(elsewhere);
  const auto of_other = s.items.at(other.str()).attempt();
  out = apply(s, result_arrived{"w2", of_other.str(), 1});
  out = apply(s, result_judged{other, true, true, "", time.boot_ms()});
  CHECK(leased(item) == "w2");
}

TEST_CASE_FIXTURE(measuring,
                  "where no worker can serve an evaluation it waits, and says for what") {
  join("w1");
  const auto item = offer_of("run_a", true);
  for (const std::int64_t wait_ms : {500, 1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000}) {
    end("w1", grant(item), no_key);
    CHECK(why_unserved(s, s.items.at(item.str()).offer) ==
          "a worker that can serve it; w1 cannot: no key for the model");
    wait(wait_ms - 1);
    CHECK(leased(item).empty());
    wait(1);
    CHECK(leased(item) == "w1");
  }
  CHECK(s.items.at(item.str()).offer.lost == 0);
  end("w1", grant(item), no_key);
  // It has a key when it is started anew, and does not wait then.
  join("w1");
  CHECK(leased(item) == "w1");
  CHECK(why_unserved(s, s.items.at(item.str()).offer).empty());
}

TEST_CASE_FIXTURE(measuring, "a seed waits for a worker that can serve it") {
  join("w1");
  const item_id item = item_id::make(time, random);
  item_offer seed{item, "run_a", 0, 0, {}};
  seed.run = "run_a";
  seed.is_founding = true;
  out = apply(s, item_offered{seed});
  REQUIRE(leased(item) == "w1");
  end("w1", grant(item), {"no mirror `npm`", 0, true});
  CHECK(find<item_held>() == nullptr);
  CHECK(find<record_lost>()->excused);
  CHECK(why_unserved(s, s.items.at(item.str()).offer) ==
        "a worker that can serve it; w1 cannot: no mirror `npm`");
  // Nothing mends that but a start with other settings: each look would be an attempt.
  for (std::int64_t waited_ms = 0; waited_ms < 5 * 60'000; waited_ms += longest_retry_ms) {
    wait(longest_retry_ms);
    REQUIRE(leased(item).empty());
  }
  join("w1");
  REQUIRE(leased(item) == "w1");
  end("w1", grant(item), {"no mirror `npm`", 0, true});
  join("w2");
  CHECK(leased(item) == "w2");
  CHECK(s.items.at(item.str()).offer.lost == 0);
}

TEST_CASE_FIXTURE(measuring, "while a mirror is away a founding waits for it") {
  join("w1");
  const item_id item = item_id::make(time, random);
  item_offer seed{item, "run_a", 0, 0, {}};
  seed.run = "run_a";
  seed.is_founding = true;
  out = apply(s, item_offered{seed});
  const departure no_mirror{
      "dependencies could not be fetched: HTTP 503\nnpm ERR!", 0, false, {}, true};
  for (const std::int64_t wait_ms : {500, 1'000, 2'000, 4'000, 8'000}) {
    end("w1", grant(item), no_mirror);
    CHECK(find<item_given_up>() == nullptr);
    CHECK(find<record_lost>()->excused);
    CHECK(s.items.at(item.str()).wait_for ==
          "a mirror: dependencies could not be fetched: HTTP 503");
    wait(wait_ms - 1);
    CHECK(leased(item).empty());
    wait(1);
    CHECK(leased(item) == "w1");
  }
}

TEST_CASE_FIXTURE(measuring, "what is done again goes to a worker that has its transcript") {
  join("w1");
  const item_id item = item_id::make(time, random);
  item_offer again{item, "lin_a", 0, 0, {}};
  again.run = "run_a";
  again.has_choice = true;  // another model would be no help
  again.is_again = true;
  out = apply(s, item_offered{again});
  REQUIRE(leased(item) == "w1");
  const departure no_transcript{"no transcript of att_1", 0, true};
  end("w1", grant(item), no_transcript);
  CHECK(find<item_held>() == nullptr);
  CHECK(find<record_lost>()->excused);
  CHECK(why_unserved(s, s.items.at(item.str()).offer) ==
        "a worker that can serve it; w1 cannot: no transcript of att_1");
  // Of another attempt it has one.
  again.item = item_id::make(time, random);
  out = apply(s, item_offered{again});
  CHECK(leased(again.item) == "w1");
  join("w2");
  CHECK(leased(item) == "w2");
  end("w2", grant(item), no_transcript);
  CHECK(s.items.at(item.str()).offer.lost == 0);
  // The file may be there by then.
  grant(again.item);
  const auto attempt = s.items.at(again.item.str()).attempt().str();
  out = apply(s, result_arrived{"w1", attempt, 1});
  out = apply(s, result_judged{again.item, true, true, "", time.boot_ms()});
  wait(1'000);
  CHECK(!leased(item).empty());
}

TEST_CASE_FIXTURE(measuring, "while a model's provider is in trouble an evaluation waits for it") {
  join("w1");
  const auto item = offer_of("run_a", true);
  for (const std::int64_t wait_ms : {500, 1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000}) {
    end("w1", grant(item), no_provider);
    REQUIRE(find<record_lost>() != nullptr);
    CHECK(find<record_lost>()->excused);
    CHECK(s.items.at(item.str()).wait_for == "the model's provider: HTTP 529");
    wait(wait_ms - 1);
    CHECK(leased(item).empty());
    wait(1);
    CHECK(leased(item) == "w1");
  }
  // Not for ever.
  time.advance(provider_patience_ms);
  for (int i = 0; i < 3; ++i) {
    CHECK(find<item_given_up>() == nullptr);
    if (i > 0) wait(longest_retry_ms);
    end("w1", grant(item), no_provider);
  }
  CHECK(find<item_given_up>() != nullptr);
}
