#include "coordinator/lineage/lineage_state.hpp"

#include <doctest/doctest.h>

#include "common/clock.hpp"
#include "common/random.hpp"

using namespace germline;
using namespace germline::lineage;

namespace {

struct fixture {
  seeded_random random{3};
  manual_clock time;
  state s;
  std::vector<effect> out;

  bool send(const event& e) {
    auto t = apply(s, e);
    s = t.next;
    out = t.effects;
    return t.refused.empty();
  }
  template <class Effect>
  bool has() const {
    for (const auto& e : out) {
      if (std::holds_alternative<Effect>(e)) return true;
    }
    return false;
  }
  void found() { REQUIRE(send(founded{generation_id::make(time, random), "c0"})); }
  void begin() { REQUIRE(send(iteration_begun{item_id::make(time, random)})); }
  void end(ending how, const std::string& commit) {
    iteration_ended e{how, commit, {}};
    if (how == ending::evolved) e.generation = generation_id::make(time, random);
    REQUIRE(send(e));
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "founding projects the branch and begins the first iteration") {
  found();
  CHECK(has<project_branch>());
  CHECK(has<begin_iteration>());
  CHECK_FALSE(send(founded{s.head_generation, "c1"}));
}

TEST_CASE_FIXTURE(fixture,
                  "a birth moves generation, depth and number; a context the commit only") {
  found();
  const auto first = s.head_generation;
  begin();
  CHECK(has<offer_item>());
  end(ending::rejected, "ctx1");
  CHECK(s.head_generation == first);
  CHECK(s.head_commit == "ctx1");
  CHECK(s.depth == 0);
  CHECK(has<begin_iteration>());
  begin();
  end(ending::evolved, "c1");
  CHECK(s.head_generation != first);
  CHECK(s.depth == 1);
  CHECK(s.last_number == 1);
  CHECK(s.iterations_done == 2);
}

TEST_CASE_FIXTURE(fixture, "one iteration at a time") {
  found();
  begin();
  CHECK_FALSE(send(iteration_begun{item_id::make(time, random)}));
}

TEST_CASE_FIXTURE(fixture, "the number of iterations ends the lineage's work") {
  s.max_iterations = 1;
  found();
  begin();
  end(ending::stalled, "ctx");
  CHECK(s.at == status::paused);
  CHECK(s.why_paused == pause_reason::done);
  CHECK_FALSE(has<begin_iteration>());
  CHECK_FALSE(send(resume_requested{}));
}

TEST_CASE_FIXTURE(fixture, "failures in a row pause; any other ending counts anew") {
  found();
  for (int i = 0; i < failures_before_pause - 1; ++i) {
    begin();
    end(ending::failed, "");
  }
  begin();
  end(ending::stalled, "ctx");
  CHECK(s.failures_in_row == 0);
  for (int i = 0; i < failures_before_pause; ++i) {
    begin();
    end(ending::failed, "");
  }
  CHECK(s.why_paused == pause_reason::policy);
}

TEST_CASE_FIXTURE(fixture, "a pause lets the live iteration end and begins no other") {
  found();
  begin();
  const auto item = s.live;
  CHECK(send(pause_requested{pause_reason::person, "look"}));
  CHECK(has<withdraw_item>());
  SUBCASE("it ends while paused") {
    end(ending::evolved, "c1");
    CHECK(s.at == status::paused);
    CHECK_FALSE(has<begin_iteration>());
    CHECK(send(resume_requested{}));
    CHECK(has<begin_iteration>());
  }
  SUBCASE("it is offered again on resume") {
    CHECK(send(resume_requested{}));
    CHECK(has<offer_item>());
    CHECK(s.live == item);
  }
}

TEST_CASE_FIXTURE(fixture, "killed is final") {
  found();
  begin();
  CHECK(send(lineage::kill_requested{"enough"}));
  CHECK(has<prove_killed>());
  CHECK(s.live.empty());
  CHECK_FALSE(send(resume_requested{"again"}));
  CHECK_FALSE(send(pause_requested{}));
  CHECK_FALSE(send(iteration_ended{ending::evolved, "c", generation_id::make(time, random)}));
  CHECK(send(lineage::kill_requested{"again"}));
  CHECK(has<prove_killed>());
  CHECK(after_load(s).empty());
}

TEST_CASE_FIXTURE(fixture, "a refused seed retires the lineage") {
  CHECK(send(seed_refused{"the seed does not build"}));
  CHECK(s.at == status::retired);
  CHECK(s.details == "the seed does not build");
}

TEST_CASE_FIXTURE(fixture, "a loaded lineage goes on where the record left it") {
  found();
  out = after_load(s);
  CHECK(has<begin_iteration>());
  begin();
  out = after_load(s);
  CHECK(has<offer_item>());
  CHECK_FALSE(has<begin_iteration>());
}
