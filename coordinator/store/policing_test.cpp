#include <SQLiteCpp/Database.h>

#include <map>

#include "common/text/change_sketch.hpp"
#include "coordinator/evolution/run_policy.hpp"
#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;
using lineage::ending;
using lineage::policy_action;

namespace {

constexpr std::int64_t dollar = 1'000'000'000;

std::string sketch_of(std::string_view added) {
  change_sketcher made;
  made.add("", added);
  return made.make().bytes();
}

/// A run with a policy, whose first lineage does what the test says, each thing a second later.
struct policed : measured_fixture {
  policed() {
    run.seed_sizes = {100'000, 500};
    run.model = "m";
    now_ms = 1'000;
  }

  struct outcome {
    ending how = ending::stalled;
    std::string reason, action;
    std::int64_t cost_nanousd = 0;
    records::tree_sizes sizes = {};
    std::string source = {};    // of what was born; empty: another than of all others
    std::string sketch = {};    // of what was changed
    bool back_to_seed = false;  // where the next iteration begins
    std::optional<records::given_source> next_given = {};
  };

  /// Ends the live iteration as the coordinator does, and begins the next. What was found.
  records::findings end(lineage::state& s, const outcome& what, policy_action act = {}) {
    if (attempt.empty() || !is_leased) REQUIRE(lease(s.live, ++fence));
    is_leased = false;
    now_ms += 1'000;
    records::iteration_end ended = make_end(s, fence);
    ended.judged.how = what.how;
    ended.judged.reason = what.reason;
    ended.judged.action = what.action;
    ended.judged.change_sketch = what.sketch;
    ended.judged.usage.set_cost_nanousd(what.cost_nanousd);
    ended.judged.now_ms = now_ms;
    if (what.how == ending::evolved) {
      ended.born->evaluations = {item_id::make(time, random)};
      if (!what.source.empty()) ended.born->source_id = what.source;
    } else {
      ended.born.reset();
      ended.next = s;
      ended.next.live = {};
    }
    ++ended.next.iterations_done;
    ended.sizes = what.sizes;
    const auto found = record->judge_by_policy(
        {ended.judged, ended.born ? ended.born->id : generation_id(), what.sizes});
    REQUIRE_MESSAGE(found, (found ? "" : found.error().message()));
    ended.found = *found;
    ended.next.due = act;
    const auto is_measured = record->end_iteration(ended);
    REQUIRE(is_measured);
    if (*is_measured) unmeasured[ended.born->id] = ended.born->evaluations[0];
    born_same += ended.born && !*is_measured ? 1 : 0;
    if (what.back_to_seed) ended.next.head_generation = seed.id;
    s = begin(ended.next, now_ms, what.next_given);
    return *found;
  }
  void measure(const generation_id& generation, std::optional<double> value) {
    const auto item = unmeasured.at(generation);
    unmeasured.erase(generation);
    measure(item, value);
  }
  void measure(const item_id& item, std::optional<double> value) {
    now_ms += 1'000;
    REQUIRE(lease(item, ++fence));
    records::evaluation_end end;
    end.judged = {item, attempt, fence, value ? ending::scored : ending::failed, "", "", "", "",
                  {},   {},      now_ms};
    if (value) end.score.emplace().set_score(*value);
    end.again = item_id::make(time, random);
    const auto is_again = record->end_evaluation(end);
    REQUIRE(is_again);
    if (*is_again) again.push_back(end.again);
  }

  std::unique_ptr<record_reader> reader() {
    auto opened = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(opened);
    return std::move(*opened);
  }
  v1::TestPolicyReply hindsight(const std::vector<std::string>& rules = {}) {
    resolved_target target;
    target.id = target.run = run.id.str();
    const auto reply = reader()->test_policy(target, rules);
    REQUIRE_MESSAGE(reply, (reply ? "" : reply.error().message()));
    return *reply;
  }

  std::int64_t now_ms = 0;
  std::int64_t fence = 0;
  bool is_leased = false;
  std::map<generation_id, item_id> unmeasured;
  std::vector<item_id> again;  // evaluations of what was measured already
  int born_same = 0;
};

}  // namespace

TEST_CASE_FIXTURE(policed, "what is found when it happens is what is found in the record later") {
  policy = {"failure-streak 2 warn",  "barren-streak 3 warn",  "no-improvement 3 warn",
            "repeated-action 2 warn", "trespasses 2 warn",     "iterations-per-hour 20 warn",
            "cost $3 warn",           "age 10s warn",          "source-size 150KiB warn",
            "source-growth 2 warn",   "context-size 4KiB warn"};
  elite_evaluations = 4;
  auto s = found(1);
  for (int i = 0; i < 2; ++i)
    unmeasured[seed.id] = seed.evaluations[static_cast<std::size_t>(i)], measure(seed.id, 1.0);
  std::vector<std::string> live;
  std::map<std::string, int> by_rule;
  int measured_again = 0;
  const std::array reasons = {"protected", "test", "objects", "crash"};
  for (int i = 0; i < 150; ++i) {
    const auto item = s.live.str();
    outcome what;
    what.how = static_cast<ending>(1 + random.below(4));
    what.reason = reasons.at(random.below(reasons.size()));
    what.action = random.below(2) == 0 ? "the same" : "other " + std::to_string(i);
    what.cost_nanousd = static_cast<std::int64_t>(random.below(dollar));
    what.sizes = {static_cast<std::int64_t>(random.below(300'000)),
                  static_cast<std::int64_t>(random.below(6'000))};
    if (random.below(3) == 0) what.source = "source " + std::to_string(random.below(5));
    for (const auto& each : end(s, what)) {
      live.push_back(item + " " + each.rule + " " + each.words);
      ++by_rule[each.rule];
    }
    while (!unmeasured.empty() && random.below(3) != 0) {
      const auto which = std::next(unmeasured.begin(),
                                   static_cast<std::ptrdiff_t>(random.below(unmeasured.size())));
      const auto value = static_cast<double>(random.below(1'000'000)) / 1e6 + i * 0.01;
      measure(which->first, random.below(5) == 0 ? std::nullopt : std::optional(value));
    }
    if (!again.empty() && random.below(3) == 0) {
      const auto more = again.back();
      again.pop_back();
      measure(more, static_cast<double>(random.below(3)));
      ++measured_again;
    }
    if (random.below(10) == 0) reopen();
  }
  CHECK(born_same > 0);
  CHECK(measured_again > 0);
  CHECK(by_rule.size() == policy.size());  // each had its chance
  const auto later = hindsight();
  CHECK(later.iterations() == 150);
  CHECK(later.lineages() == 1);
  std::vector<std::string> found_later;
  for (const auto& each : later.findings()) {
    found_later.push_back(each.item_id() + " " + each.rule() + " " + each.words());
  }
  CHECK(found_later == live);
}

TEST_CASE_FIXTURE(policed, "a finding stands in the record, but for the one that acts") {
  policy = {"failure-streak 1 warn", "barren-streak 1 pause"};
  auto s = found(1);
  const auto result = end(s, {ending::failed, "crash"});
  REQUIRE(result.size() == 2);
  CHECK_FALSE(result[0].is_done);
  CHECK(result[1].is_done);
  const auto lineage = run.lineages.front().str();
  const auto told = reader()->history(lineage);
  REQUIRE(told);
  REQUIRE(told->size() == 2);
  CHECK(told->front().lineage().rule().empty());
  CHECK(told->back().lineage().rule() == "failure-streak 1 warn");
  CHECK(told->back().lineage().why() == "1 iteration in a row failed");
  CHECK(told->back().lineage().state() == v1::LINEAGE_STATE_ACTIVE);
  CHECK(told->back().time_ms() == now_ms);
  const auto now = reader()->lineage(lineage);
  REQUIRE(now);
  CHECK(now->changed_ms() == told->front().time_ms());  // it came into no other state
  CHECK(reader()->rollbacks(run.id.str())->empty());
}

TEST_CASE_FIXTURE(policed, "lost attempts cost the lineage too") {
  policy = {"cost $2 kill"};
  run.budget = 100 * dollar;
  auto s = found(1);
  REQUIRE(lease(s.live, ++fence));
  REQUIRE(record->lose({attempt, "gone", 3 * dollar / 2}, now_ms));
  outcome what;
  what.cost_nanousd = dollar / 2;
  const auto result = end(s, what);
  REQUIRE(result.size() == 1);
  CHECK(result[0].words == "$2.00 spent");
  CHECK(hindsight().findings_size() == 1);
}

TEST_CASE_FIXTURE(policed, "what a policy decided and was not done is there after a crash") {
  policy = {"barren-streak 1 kill"};
  auto s = found(1);
  REQUIRE(lease(s.live, ++fence));
  is_leased = true;
  s.due_why = "too long";
  end(s, {}, policy_action::kill_clade);
  reopen();
  const auto loaded = record->load();
  REQUIRE(loaded);
  CHECK(loaded->lineages.front().state.due == policy_action::kill_clade);
  CHECK(loaded->lineages.front().state.due_why == "too long");
  CHECK(loaded->runs.front().measured.policy == policy);
}

TEST_CASE_FIXTURE(policed, "a record is judged by other rules, and after a kill no further") {
  auto s = found(1);
  for (int i = 0; i < 6; ++i) end(s, {ending::failed, "crash"});
  CHECK(hindsight({"failure-streak 2 pause"}).findings_size() == 3);
  const auto killed = hindsight({"failure-streak 2 warn", "failure-streak 4 kill"});
  REQUIRE(killed.findings_size() == 3);
  CHECK(killed.findings(2).rule() == "failure-streak 4 kill");
  CHECK(killed.iterations() == 4);
  CHECK(hindsight({"no-improvement 1 warn"}).findings_size() == 0);  // nothing is measured
  resolved_target target;
  target.id = target.run = run.id.str();
  CHECK_FALSE(reader()->test_policy(target, {"nonsense"}));
}

TEST_CASE_FIXTURE(policed,
                  "sizes are told of generations, the seed's from the run's beginning on") {
  auto s = found(1);
  end(s, {ending::evolved, "", "", 0, {123'456, 789}});
  const auto all = reader()->generations(run.id.str());
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  std::map<std::int64_t, std::int64_t> source;
  for (const auto& each : *all) source[each.number()] = each.source_bytes();
  CHECK(source[0] == 100'000);
  CHECK(source[1] == 123'456);
}

TEST_CASE_FIXTURE(policed, "lineages whose endings come between each other's are counted right") {
  policy = {"barren-streak 1 warn"};
  auto first = found(2);
  auto second = first;
  second.id = run.lineages[1];
  second.live = {};
  REQUIRE(record->save_lineage(second, now_ms));
  second = begin(second, now_ms);
  const auto prepare = [&](const lineage::state& s) {
    REQUIRE(lease(s.live, ++fence));
    now_ms += 1'000;
    records::iteration_end ended = make_end(s, fence);
    ended.judged.how = ending::stalled;
    ended.judged.now_ms = now_ms;
    ended.born.reset();
    ended.next = s;
    ended.next.live = {};
    ++ended.next.iterations_done;
    return ended;
  };
  for (int i = 1; i <= 4; ++i) {
    auto one = prepare(first), other = prepare(second);
    const auto words = std::to_string(i) + (i == 1 ? " iteration" : " iterations");
    for (auto* each : {&one, &other}) {
      const auto judged = record->judge_by_policy({each->judged, {}, {}});
      REQUIRE(judged);
      REQUIRE(judged->size() == 1);
      CHECK(judged->front().words == words + " in a row bore nothing");
    }
    // Where an ending could not be recorded it is judged again.
    if (i == 2) REQUIRE(record->judge_by_policy({one.judged, {}, {}}));
    REQUIRE(record->end_iteration(one));
    REQUIRE(record->end_iteration(other));
    first = begin(one.next, now_ms);
    second = begin(other.next, now_ms);
  }
}

TEST_CASE_FIXTURE(policed, "what iterations of one parent changed is compared") {
  const auto faster = sketch_of("speed = 9 ; width = 2 ;");
  strategy = "best";
  policy = {"near-duplicate 0.9 refuse"};
  auto s = found();
  CHECK(end(s, {.how = ending::evolved, .sketch = faster}).empty());
  const auto first = s.head_generation.str();
  // Another parent has other children.
  CHECK(end(s, {.how = ending::evolved, .sketch = faster, .back_to_seed = true}).empty());

  const auto repeated = end(s, {.how = ending::rejected,
                                .reason = "near_duplicate",
                                .sketch = faster,
                                .back_to_seed = true});
  REQUIRE(repeated.size() == 1);
  CHECK(repeated[0].words == "its change is that of " + first + ", by 1");
  CHECK(repeated[0].action == policy_action::warn);
  const auto other = sketch_of("height = 3 ; depth = 4 ;");
  CHECK(end(s, {.how = ending::evolved, .sketch = other, .back_to_seed = true}).empty());

  auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  std::map<std::int64_t, v1::GenerationInfo> born;
  const auto generations = (*reader)->generations(run.id.str());
  REQUIRE(generations);
  for (const auto& each : *generations) born[each.number()] = each;
  CHECK(born.at(1).likeness() == 0);
  CHECK(born.at(2).likeness() == 0);
  CHECK(born.at(3).likeness() < 0.9);

  // A lease has what its change is compared with, and the limit.
  const auto next = lease(s.live, ++fence);
  REQUIRE(next);
  CHECK(next->near_duplicate() == 0.9);
  REQUIRE(next->siblings_size() == 2);  // of the seed; the newest first
  CHECK(next->siblings(1).generation_id() == first);
  CHECK(next->siblings(1).change_sketch() == faster);
}

TEST_CASE_FIXTURE(policed, "the record says what was judged, whatever was born meanwhile") {
  policy = {"near-duplicate 0.9 warn"};
  auto first = found(2);
  auto second = first;
  second.id = run.lineages[1];
  second.live = {};
  REQUIRE(record->save_lineage(second, now_ms));
  second = begin(second, now_ms);
  const auto judge = [&](const lineage::state& s) {
    REQUIRE(lease(s.live, ++fence));
    auto ended = make_end(s, fence);
    ended.judged.change_sketch = sketch_of("speed = 9 ; width = 2 ;");
    const auto judged = record->judge_by_policy({ended.judged, ended.born->id, {}});
    REQUIRE(judged);
    CHECK(judged->empty());
    return ended;
  };
  const auto one = judge(first), other = judge(second);
  for (const auto& each : {one, other}) {
    REQUIRE(record->end_iteration(each));
    CHECK(info_of(each.judged.item).has_likeness());
    CHECK(info_of(each.judged.item).likeness() == 0);
  }
}

TEST_CASE_FIXTURE(policed,
                  "what is imported is compared with nothing, others of its parent with it") {
  run.imports = {{generation_id::make(time, random), std::string(40, '7')}};
  auto s = found();
  end(s, {.next_given = records::given_source{1, run.imports[0], std::string(40, '8')}});
  const auto import = s.live;
  const auto made = sketch_of("speed = 9 ; width = 2 ;");
  end(s, {.how = ending::evolved, .sketch = made, .back_to_seed = true});
  const auto born = info_of(import);
  CHECK_FALSE(born.has_likeness());
  CHECK(born.like_generation().empty());

  const auto after = s.live;
  end(s, {.how = ending::evolved, .sketch = made, .back_to_seed = true});
  CHECK(info_of(after).likeness() == 1);
  CHECK(info_of(after).like_generation() == born.generation_id());
}

TEST_CASE_FIXTURE(policed, "without a rule that refuses, a lease has nothing to compare with") {
  policy = {"near-duplicate 0.9 pause"};
  auto s = found();
  end(s, {.how = ending::evolved, .sketch = "no sketch"});
  const auto next = lease(s.live, ++fence);
  REQUIRE(next);
  CHECK(next->near_duplicate() == 0);
  CHECK(next->siblings_size() == 0);
}
