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
  void end(ending how, const std::string& commit, const std::string& reason = "") {
    iteration_ended e{how, commit, {}, reason};
    if (how == ending::evolved) e.generation = generation_id::make(time, random);
    REQUIRE(send(e));
  }
};

/// With a new generation as head, of which nothing is known yet.
struct newborn : fixture {
  newborn() {
    found();
    seed = s.head_generation;
    begin();
    end(ending::evolved, "c1");
  }
  void fail(const std::string& reason) {
    begin();
    end(ending::failed, "ctx", reason);
  }
  rolled_back back() const { return {seed, "back", 0, "rolled back to the seed"}; }
  generation_id seed;
};

}  // namespace

TEST_CASE_FIXTURE(newborn,
                  "a head that only ever failed is rolled back, and its number not reused") {
  fail("crash");
  fail("time");
  CHECK(has<begin_iteration>());
  CHECK_FALSE(has<roll_back>());
  fail("dialect");
  CHECK(has<roll_back>());
  CHECK_FALSE(has<begin_iteration>());
  CHECK(s.at == status::active);
  out = after_load(s);  // a crash before the rollback is recorded
  CHECK(has<roll_back>());
  CHECK_FALSE(has<begin_iteration>());
  REQUIRE(send(back()));
  CHECK(has<project_branch>());
  CHECK(has<begin_iteration>());
  CHECK(s.head_generation == seed);
  CHECK(s.head_commit == "back");
  CHECK(s.depth == 0);
  CHECK(s.last_number == 1);
  CHECK(s.failures_in_row == 0);
  out = after_load(s);
  CHECK_FALSE(has<roll_back>());
  begin();
  end(ending::evolved, "c2");
  CHECK(s.depth == 1);
  CHECK(s.last_number == 2);
}

TEST_CASE_FIXTURE(newborn, "what was rolled back to has borne something: its failures pause") {
  for (int i = 0; i < failures_before_rollback; ++i) fail("crash");
  REQUIRE(send(back()));
  for (int i = 0; i < failures_before_pause; ++i) {
    CHECK(s.at == status::active);
    fail("crash");
    CHECK_FALSE(has<roll_back>());
  }
  CHECK(s.why_paused == pause_reason::policy);
}

TEST_CASE_FIXTURE(newborn, "a head that once did anything but fail is paused, not rolled back") {
  fail("crash");
  begin();
  SUBCASE("it was refused") {
    end(ending::rejected, "ctx", "test");
  }
  SUBCASE("it changed nothing") {
    end(ending::stalled, "ctx", "no_change");
  }
  for (int i = 0; i < failures_before_pause; ++i) fail("crash");
  CHECK_FALSE(has<roll_back>());
  CHECK(s.why_paused == pause_reason::policy);
}

TEST_CASE_FIXTURE(newborn, "failures in a row of which the last is for want of a budget say so") {
  for (int i = 1; i < failures_before_pause; ++i) fail("attempts_lost");
  fail("budget");
  CHECK(s.at == status::paused);
  CHECK(s.why_paused == pause_reason::budget);
  CHECK(s.details.find("`germline budget` raises a budget") != std::string::npos);
}

TEST_CASE_FIXTURE(newborn, "failures that say nothing of the agent roll nothing back") {
  fail("crash");
  fail("attempts_lost");
  fail("budget");
  fail("crash");
  CHECK_FALSE(has<roll_back>());
  fail("crash");  // the third of its own, and the fifth in all
  CHECK(has<roll_back>());
  CHECK(s.at == status::active);
}

TEST_CASE_FIXTURE(newborn,
                  "a paused lineage is rolled back when it is resumed; one that is done not") {
  fail("crash");
  fail("crash");
  SUBCASE("paused") {
    begin();
    REQUIRE(send(pause_requested{pause_reason::person, "look"}));
    end(ending::failed, "ctx", "crash");
    CHECK_FALSE(has<roll_back>());
    REQUIRE(send(resume_requested{}));
    CHECK(has<roll_back>());
  }
  SUBCASE("done") {
    s.max_iterations = s.iterations_done + 1;
    fail("crash");
    CHECK_FALSE(has<roll_back>());
    CHECK(s.why_paused == pause_reason::done);
    REQUIRE(send(back()));  // by a person
    CHECK(s.why_paused == pause_reason::done);
    CHECK(s.head_generation == seed);
    CHECK_FALSE(has<begin_iteration>());
  }
}

TEST_CASE_FIXTURE(newborn, "in a replay failures do nothing: the record says what followed them") {
  for (int i = 0; i < 2 * failures_before_pause; ++i) {
    begin();
    iteration_ended e{ending::failed, "ctx", {}, "crash"};
    e.is_again = true;
    REQUIRE(send(e));
    CHECK(s.at == status::active);
    CHECK(has<begin_iteration>());
    CHECK_FALSE(has<roll_back>());
  }
}

TEST_CASE_FIXTURE(fixture, "a seed is never rolled back") {
  found();
  s.unproven = true;  // whatever the record says
  for (int i = 0; i < failures_before_rollback; ++i) {
    begin();
    end(ending::failed, "ctx", "crash");
  }
  CHECK_FALSE(has<roll_back>());
}

TEST_CASE_FIXTURE(newborn,
                  "a rollback is refused while an iteration is live, and of what is final") {
  begin();
  CHECK_FALSE(send(back()));
  CHECK(why_no_rollback(s).find("pause the lineage and wait") != std::string::npos);
  REQUIRE(send(pause_requested{pause_reason::person, "look"}));
  CHECK_FALSE(send(back()));
  SUBCASE("one that waited is dropped") {
    REQUIRE(send(waiting_dropped{}));
    CHECK(s.live.empty());
    CHECK(s.iterations_done == 1);
    REQUIRE(send(back()));
    CHECK(s.at == status::paused);
    CHECK(s.details == "look");
    CHECK_FALSE(has<begin_iteration>());
  }
  SUBCASE("killed") {
    REQUIRE(send(lineage::kill_requested{"enough"}));
    CHECK_FALSE(send(back()));
    CHECK(why_no_rollback(s).find("fork") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(fixture, "retired is final, and not while anything is live") {
  CHECK_FALSE(send(retire_requested{"early"}));  // the seed is being founded
  found();
  begin();
  CHECK_FALSE(send(retire_requested{"early"}));
  CHECK_FALSE(send(waiting_dropped{}));  // it is not paused: the item is offered
  REQUIRE(send(pause_requested{pause_reason::person, "look"}));
  end(ending::stalled, "ctx");
  REQUIRE(send(retire_requested{"better ones"}));
  CHECK(s.at == status::retired);
  CHECK(s.why_paused == pause_reason::none);
  CHECK(s.details == "better ones");
  CHECK_FALSE(send(retire_requested{"again"}));
  CHECK_FALSE(send(resume_requested{}));
  CHECK(after_load(s).empty());
}

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
  CHECK(s.details == "1 iteration is done");
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

TEST_CASE_FIXTURE(fixture, "an iteration that starts elsewhere takes the head there") {
  found();
  begin();
  end(ending::evolved, "c1");
  const auto there = generation_id::make(time, random);
  iteration_begun begun{item_id::make(time, random), true, new_parent{there, "m", 7}};
  REQUIRE(send(begun));
  CHECK(s.head_generation == there);
  CHECK(s.head_commit == "m");
  CHECK(s.depth == 7);
  CHECK_FALSE(s.unproven);
  CHECK(has<project_branch>());
  CHECK(has<offer_item>());
  end(ending::evolved, "c2");
  CHECK(s.depth == 8);
  CHECK(s.last_number == 2);  // of the lineage's own
}

TEST_CASE_FIXTURE(fixture, "a head that was chosen is never rolled back: the strategy judges it") {
  found();
  begin();
  end(ending::evolved, "c1");
  for (int i = 0; i < 4; ++i) {
    REQUIRE(send(iteration_begun{item_id::make(time, random), true}));
    end(ending::failed, "", "crash");
    CHECK_FALSE(has<roll_back>());
  }
  REQUIRE(send(iteration_begun{item_id::make(time, random), true}));
  end(ending::failed, "", "crash");
  CHECK(s.why_paused == pause_reason::policy);
}

TEST_CASE_FIXTURE(fixture, "a drained lineage retires with its live iteration, or at once") {
  CHECK_FALSE(send(drained{"fewer"}));  // its seed is being founded
  found();
  CHECK_FALSE(send(drain_requested{"fewer"}));  // nothing is live
  begin();
  REQUIRE(send(drain_requested{"fewer"}));
  CHECK(s.draining);
  CHECK(s.at == status::active);
  SUBCASE("with a birth") {
    end(ending::evolved, "c1");
    CHECK(s.at == status::retired);
    CHECK_FALSE(s.draining);
    CHECK(s.details == "fewer");
    CHECK(has<project_branch>());
    CHECK_FALSE(has<begin_iteration>());
  }
  SUBCASE("while it is paused") {
    REQUIRE(send(pause_requested{pause_reason::person, "wait"}));
    end(ending::failed, "c1");
    CHECK(s.at == status::retired);
  }
  SUBCASE("killed meanwhile") {
    REQUIRE(send(kill_requested{"now"}));
    CHECK(s.at == status::killed);
    CHECK_FALSE(s.draining);
    return;
  }
  SUBCASE("what waited is dropped") {
    REQUIRE(send(drained{"at once"}));
    CHECK(s.at == status::retired);
    CHECK(s.live.empty());
  }
  CHECK_FALSE(send(drained{"again"}));
}

namespace {

/// Whose run's policy says something of the ending.
struct policed : newborn {
  void end_so(policy_action act, ending how = ending::stalled) {
    begin();
    REQUIRE(send(iteration_ended{how, "ctx", {}, "", act, "too much (policy: rule)"}));
  }
};

}  // namespace

TEST_CASE_FIXTURE(policed, "a policy that warns changes nothing") {
  end_so(policy_action::warn);
  CHECK(has<begin_iteration>());
  CHECK(s.at == status::active);
}

TEST_CASE_FIXTURE(policed, "a policy pauses, and a person may resume") {
  end_so(policy_action::pause);
  CHECK_FALSE(has<begin_iteration>());
  CHECK(s.at == status::paused);
  CHECK(s.why_paused == pause_reason::policy);
  CHECK(s.details == "too much (policy: rule)");
  REQUIRE(send(resume_requested{}));
  CHECK(has<begin_iteration>());
}

TEST_CASE_FIXTURE(policed, "a policy takes the lineage back before anything else begins") {
  end_so(policy_action::roll_back);
  CHECK(has<roll_back>());
  CHECK_FALSE(has<begin_iteration>());
  out = after_load(s);  // a crash before it is recorded
  CHECK(has<roll_back>());
  CHECK_FALSE(has<begin_iteration>());
  SUBCASE("it is") {
    REQUIRE(send(back()));
    CHECK(has<begin_iteration>());
    CHECK(s.due == policy_action::none);
    CHECK(s.due_why.empty());
  }
  SUBCASE("it cannot be: it pauses, and a person may resume") {
    REQUIRE(send(pause_requested{pause_reason::policy, "cannot"}));
    REQUIRE(send(resume_requested{}));
    CHECK(has<begin_iteration>());
    CHECK_FALSE(has<roll_back>());
  }
  SUBCASE("a person's pause comes first, and it is done after it") {
    REQUIRE(send(pause_requested{pause_reason::person, ""}));
    REQUIRE(send(resume_requested{}));
    CHECK(has<roll_back>());
    CHECK_FALSE(has<begin_iteration>());
  }
}

TEST_CASE_FIXTURE(policed,
                  "a rollback is also done where the lineage has made all its iterations") {
  s.max_iterations = s.iterations_done + 1;
  end_so(policy_action::roll_back);
  CHECK(has<roll_back>());
  REQUIRE(send(back()));
  CHECK(s.at == status::paused);
  CHECK(s.why_paused == pause_reason::done);
}

TEST_CASE_FIXTURE(policed, "a policy kills, over a crash too, and nobody resumes meanwhile") {
  bool clade = false;
  SUBCASE("the lineage") {}
  SUBCASE("with all that descends from it") {
    clade = true;
  }
  end_so(clade ? policy_action::kill_clade : policy_action::kill);
  CHECK_FALSE(has<begin_iteration>());
  CHECK(has<kill_by_policy>());
  CHECK(s.at == status::paused);
  CHECK_FALSE(send(resume_requested{}));
  out = after_load(s);
  REQUIRE(has<kill_by_policy>());
  for (const auto& each : out) {
    if (const auto* kill = std::get_if<kill_by_policy>(&each)) CHECK(kill->clade == clade);
  }
  REQUIRE(send(kill_requested{"by policy"}));
  CHECK(s.at == status::killed);
  if (clade) {
    // Until all of it is dead, whatever happens to the coordinator meanwhile.
    CHECK(s.due == policy_action::kill_clade);
    out = after_load(s);
    CHECK(has<kill_by_policy>());
    REQUIRE(send(clade_killed{}));
  }
  CHECK(s.due == policy_action::none);
  CHECK(after_load(s).empty());
}

TEST_CASE_FIXTURE(policed, "while a policy kills a lineage nobody retires it or takes it back") {
  end_so(policy_action::kill);
  CHECK_FALSE(send(retire_requested{"enough"}));
  CHECK_FALSE(send(drained{"fewer"}));
  CHECK_FALSE(send(back()));
  CHECK(s.due == policy_action::kill);
}

TEST_CASE_FIXTURE(policed, "a policy's rollback comes before the pause of five failures") {
  for (int i = 1; i < failures_before_pause; ++i) fail("provider");
  begin();
  REQUIRE(send(
      iteration_ended{ending::failed, "ctx", {}, "provider", policy_action::roll_back, "why"}));
  CHECK(s.at == status::active);
  CHECK(has<roll_back>());
}

TEST_CASE_FIXTURE(policed,
                  "what a person paused while the iteration ended is killed all the same") {
  begin();
  REQUIRE(send(pause_requested{pause_reason::person, "wait"}));
  REQUIRE(send(iteration_ended{ending::failed, "ctx", {}, "crash", policy_action::kill, "why"}));
  CHECK(has<kill_by_policy>());
  CHECK(s.why_paused == pause_reason::policy);
}

TEST_CASE_FIXTURE(policed,
                  "what drains is killed where a policy kills, and does not retire before") {
  begin();
  REQUIRE(send(drain_requested{"fewer"}));
  REQUIRE(send(iteration_ended{ending::failed, "ctx", {}, "crash", policy_action::kill, "why"}));
  CHECK(has<kill_by_policy>());
  CHECK(s.at == status::paused);
}
