#include "coordinator/evolution/run_policy.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::evolution;
using lineage::ending;
using lineage::policy_action;

namespace {

constexpr std::int64_t minute_ms = 60'000;

struct judged {
  explicit judged(const std::vector<std::string>& rules, beginning with = {})
      : policy(*parse_policy(rules)), done(std::move(with)) {}

  /// The texts of the rules that the ending brings about.
  std::vector<std::string> end(const step& what) {
    done.add(what);
    std::vector<std::string> texts;
    for (const auto& each : done.findings(policy)) texts.push_back(each.by->text);
    return texts;
  }
  /// Which of so many endings that are all alike brought something about, from 1 on.
  std::vector<int> end_often(const step& what, int times) {
    std::vector<int> which;
    for (int i = 1; i <= times; ++i) {
      if (!end(what).empty()) which.push_back(i);
    }
    return which;
  }

  run_policy policy;
  tally done;
};

step failed() {
  step what;
  what.how = ending::failed;
  what.reason = "crash";
  return what;
}
step stalled(const std::string& action = "") {
  step what;
  what.how = ending::stalled;
  what.action = action;
  return what;
}
step born(const std::string& generation) {
  step what;
  what.how = ending::evolved;
  what.born = generation;
  return what;
}

std::string why_refused(const std::string& rule) {
  const auto read = parse_rule(rule);
  REQUIRE_FALSE(read);
  return read.error().message();
}

}  // namespace

TEST_CASE("a rule is written in one way, however it was said") {
  CHECK(parse_rule("failure-streak 3 pause")->text == "failure-streak 3 pause");
  CHECK(parse_rule("  cost\t2.5   kill ")->text == "cost $2.50 kill");
  CHECK(parse_rule("age 90m warn")->text == "age 1h30m warn");
  CHECK(parse_rule("source-size 2048KiB rollback")->text == "source-size 2MiB rollback");
  CHECK(parse_rule("source-growth 1.50 kill-clade")->text == "source-growth 1.5 kill-clade");
  for (const auto& each : known_measures()) {
    const bool counts = each.limit == "N";
    const auto limit = counts                 ? "7"
                       : each.limit == "USD"  ? "$1"
                       : each.limit == "TIME" ? "1h"
                       : each.limit == "SIZE" ? "1MiB"
                       : each.limit == "PART" ? "0.5"
                                              : "2";
    const auto read = parse_rule(std::string(each.name) + " " + limit + " warn");
    CHECK_MESSAGE(read, each.name);
  }
}

TEST_CASE("a rule as it is written is read as the same rule") {
  for (const char* text :
       {"source-growth 1.002 rollback", "source-growth 1.0000000001 warn",
        "source-growth 123456.789 warn", "source-growth 1000000 warn", "cost $0.000000001 warn",
        "cost 9000000000 warn", "age 1ms warn", "age 90061001ms warn", "source-size 1B warn",
        "source-size 1025B warn", "context-size 3kB kill", "failure-streak 1000000000 warn"}) {
    const auto once = parse_rule(text);
    REQUIRE_MESSAGE(once, text);
    const auto again = parse_rule(once->text);
    REQUIRE_MESSAGE(again, once->text);
    CHECK(again->text == once->text);
    CHECK(again->limit == once->limit);
  }
}

TEST_CASE("only near-duplicates can be refused, by the least limit of the rules that do") {
  const auto policy = parse_policy({"near-duplicate 0.95 refuse", "near-duplicate .9 refuse",
                                    "near-duplicate 0.5 warn", "failure-streak 3 pause"});
  REQUIRE(policy);
  CHECK((*policy)[1].text == "near-duplicate 0.9 refuse");
  CHECK(refused_likeness(*policy) == 0.9);
  CHECK(refused_likeness({(*policy)[2], (*policy)[3]}) == 0);
  CHECK(why_refused("cost 5 refuse").find("only near-duplicate can `refuse`") != std::string::npos);
  CHECK(why_refused("near-duplicate 1.5 refuse").find("write 0.9") != std::string::npos);
  CHECK(why_refused("near-duplicate 0 refuse").find("write 0.9") != std::string::npos);
}

TEST_CASE("each change that is like another is found, and says which") {
  const auto policy = *parse_policy({"near-duplicate 0.9 refuse", "near-duplicate 0.5 pause"});
  tally done({});
  const auto found_at = [&](double likeness) {
    step one;
    one.likeness = likeness;
    one.like = "generation 4";
    done.add(one);
    return done.findings(policy);
  };
  CHECK(found_at(0.4).empty());
  const auto both = found_at(0.95);
  REQUIRE(both.size() == 2);
  CHECK(both[0].words == "its change is that of generation 4, by 0.95");
  CHECK(strongest(both) == &both[1]);
  CHECK(found_at(0.95).size() == 2);  // by itself, whatever was before
  const auto one = found_at(0.6);
  REQUIRE(one.size() == 1);
  CHECK(one[0].by->text == "near-duplicate 0.5 pause");
}

TEST_CASE("what is no rule is refused with what would be one") {
  CHECK(why_refused("failure-streak 3").find("MEASURE LIMIT ACTION") != std::string::npos);
  CHECK(why_refused("").find("MEASURE LIMIT ACTION") != std::string::npos);
  CHECK(why_refused("falure-streak 3 pause").find("there are failure-streak") != std::string::npos);
  CHECK(why_refused("failure-streak 3 explode").find("there are warn") != std::string::npos);
  CHECK(why_refused("failure-streak 0 pause").find("from 1 on") != std::string::npos);
  CHECK(why_refused("failure-streak -1 pause").find("from 1 on") != std::string::npos);
  CHECK(why_refused("failure-streak 1.5 pause").find("from 1 on") != std::string::npos);
  CHECK(why_refused("cost $0 pause").find("greater than 0") != std::string::npos);
  CHECK(why_refused("source-growth 1 pause").find("multiple") != std::string::npos);
  CHECK(why_refused("source-growth nan pause").find("multiple") != std::string::npos);
  CHECK(why_refused("source-growth inf pause").find("multiple") != std::string::npos);
  CHECK(why_refused("age 3 pause").find("'age 3 pause'") != std::string::npos);
  CHECK_FALSE(parse_policy({"age 60m warn", "age 1h warn"}));
  CHECK(parse_policy({"age 1h warn", "age 1h pause", "age 2h warn"}));
  std::vector<std::string> many;
  for (int i = 1; i <= 33; ++i) many.push_back("failure-streak " + std::to_string(i) + " warn");
  CHECK_FALSE(parse_policy(many));
}

TEST_CASE("a streak is found at each multiple of its limit, and begins anew once it is broken") {
  judged lineage({"failure-streak 3 pause"});
  CHECK(lineage.end_often(failed(), 7) == std::vector{3, 6});
  CHECK(lineage.end(stalled()).empty());
  CHECK(lineage.end_often(failed(), 3) == std::vector{3});
  judged barren({"barren-streak 2 warn"});
  CHECK(barren.end_often(stalled(), 3) == std::vector{2});
  CHECK(barren.end(born("g")).empty());
  CHECK(barren.end_often(failed(), 2) == std::vector{2});
}

TEST_CASE("the same action is found whatever its spaces and letter case, and no action is none") {
  judged lineage({"repeated-action 3 warn"});
  CHECK(lineage.end(stalled("Tidy up")).empty());
  CHECK(lineage.end(stalled("tidy  up ")).empty());
  CHECK_FALSE(lineage.end(stalled("TIDY UP")).empty());
  CHECK(lineage.end(stalled("something else")).empty());
  CHECK(lineage.end_often(stalled(""), 9).empty());
}

TEST_CASE("trespasses add up, and other refusals are none") {
  judged lineage({"trespasses 2 kill"});
  step refused;
  refused.how = ending::rejected;
  refused.reason = "protected";
  CHECK(lineage.end(refused).empty());
  refused.reason = "test";
  CHECK(lineage.end(refused).empty());
  CHECK(lineage.end(born("g")).empty());
  refused.reason = "objects";  // which a worker without room says too
  CHECK(lineage.end(refused).empty());
  refused.reason = "protected";
  CHECK(lineage.end(refused) == std::vector<std::string>{"trespasses 2 kill"});
}

TEST_CASE("iterations are counted within the last hour") {
  judged lineage({"iterations-per-hour 3 warn"});
  auto each = stalled();
  std::vector<int> which;
  for (int i = 0; i < 10; ++i) {
    each.ended_ms = i * 25 * minute_ms;  // at most three within an hour
    if (!lineage.end(each).empty()) which.push_back(i);
  }
  CHECK(which == std::vector{2});  // and from there on it stays at three
  CHECK(lineage.done.value(measure::iterations_per_hour) == 3);
  each.ended_ms += 60 * minute_ms;
  CHECK(lineage.end(each).empty());
  CHECK(lineage.done.value(measure::iterations_per_hour) == 1);
}

TEST_CASE("money and time are found at each multiple that they pass, once") {
  judged lineage({"cost $1 warn", "age 1h warn"}, {1'000, "g0", 0, false});
  auto each = stalled();
  each.cost_nanousd = 400'000'000;
  each.ended_ms = 1'000 + 20 * minute_ms;
  CHECK(lineage.end(each).empty());
  CHECK(lineage.end(each).empty());
  each.ended_ms = 1'000 + 60 * minute_ms;
  CHECK(lineage.end(each) == std::vector<std::string>{"cost $1.00 warn", "age 1h warn"});
  each.ended_ms += 20 * minute_ms;
  CHECK(lineage.end(each).empty());
  each.cost_nanousd = 5'000'000'000;
  CHECK(lineage.end(each) == std::vector<std::string>{"cost $1.00 warn"});
}

TEST_CASE("without improvement means since the one that bore the best") {
  judged lineage({"no-improvement 2 pause"}, {0, "g0", 0, false});
  const auto next = [&](const std::string& generation, std::optional<double> mean) {
    const auto found = lineage.end(born(generation));
    lineage.done.measured(generation, mean);
    return !found.empty();
  };
  SUBCASE("nothing is known as long as nothing is measured") {
    for (int i = 0; i < 9; ++i) CHECK(lineage.end(born("g" + std::to_string(i))).empty());
  }
  SUBCASE("it counts those that are measured, and those that bore nothing") {
    lineage.done.measured("g0", 1.0);
    CHECK_FALSE(next("g1", 2.0));  // the best from now on
    CHECK_FALSE(next("g2", 1.5));
    CHECK_FALSE(next("g3", 2.0));  // as good is no better; g2 is the first without
    CHECK(next("g4", 0.0));        // g2 and g3
    CHECK_FALSE(next("g5", 2.5));
    CHECK_FALSE(next("g6", std::nullopt));  // no evaluation gave a score
    CHECK(lineage.end(stalled()).size() == 1);
  }
  SUBCASE("what comes late counts when it is there") {
    lineage.done.measured("g0", 1.0);
    CHECK(lineage.end(born("g1")).empty());
    CHECK(lineage.end(stalled()).empty());
    CHECK(lineage.end(stalled()).empty());
    lineage.done.measured("g1", 0.5);
    CHECK(lineage.end(stalled()).size() == 1);
  }
  SUBCASE("the generation that it began with is to be bettered") {
    lineage.done.measured("g0", 5.0);
    CHECK_FALSE(next("g1", 4.0));
    CHECK_FALSE(next("g2", 4.5));
    CHECK(next("g3", 4.5));
  }
  SUBCASE("an improvement stays one where an elder one is measured later") {
    lineage.done.measured("g0", 1.0);
    CHECK(lineage.end(born("g1")).empty());
    CHECK(lineage.end(born("g2")).empty());
    lineage.done.measured("g2", 3.0);
    lineage.done.measured("g1", 4.0);
    CHECK(lineage.end(stalled()).empty());
    CHECK(lineage.done.value(measure::no_improvement) == 1);
  }
}

TEST_CASE("where less is better, less is an improvement") {
  judged lineage({"no-improvement 1 warn"}, {0, "g0", 0, true});
  lineage.done.measured("g0", 5.0);
  CHECK(lineage.end(born("g1")).empty());
  lineage.done.measured("g1", 4.0);
  CHECK(lineage.end(born("g2")).empty());
  lineage.done.measured("g2", 4.5);
  CHECK(lineage.end(stalled()).size() == 1);
}

TEST_CASE("source grows from parent to child, wherever the lineage went meanwhile") {
  judged lineage({"source-growth 2 rollback", "source-size 1MiB warn"}, {0, "g0", 100'000, false});
  const auto bear = [&](std::int64_t parent, std::int64_t child) {
    auto each = born("g");
    each.parent_source_bytes = parent;
    each.source_bytes = child;
    return lineage.end(each);
  };
  CHECK(bear(100'000, 199'000).empty());
  CHECK(bear(199'000, 200'000) == std::vector<std::string>{"source-growth 2 rollback"});
  CHECK(bear(199'000, 210'000).size() == 1);  // taken back, and again too much
  CHECK(bear(210'000, 390'000).empty());      // where it was let go on
  CHECK(bear(390'000, 400'000).size() == 1);
  CHECK(bear(900'000, 1'100'000).size() == 2);
  auto nothing = stalled();
  nothing.parent_source_bytes = 1'100'000;
  CHECK(lineage.end(nothing).empty());
  judged unknown({"source-growth 2 warn"});
  auto large = born("g");
  large.source_bytes = 1 << 30;
  CHECK(unknown.end(large).empty());
}

TEST_CASE("a lineage that moves to a large parent is found as if it had grown so itself") {
  judged lineage({"source-size 1MiB pause"}, {0, "g0", 100'000, false});
  auto each = born("g");
  each.parent_source_bytes = 100'000;
  each.source_bytes = 200'000;
  CHECK(lineage.end(each).empty());
  each.parent_source_bytes = 1'100'000;
  each.source_bytes = 1'200'000;
  CHECK(lineage.end(each).size() == 1);
  CHECK(lineage.end(each).empty());
  judged fork({"source-size 1MiB pause"}, {0, "g", 100'000, false});
  CHECK(fork.end(each).empty());  // a person had it begin there
}

TEST_CASE("rules that could do nothing, or act from the beginning on, are refused") {
  const auto check = [](const std::string& text, const policed_run& run) {
    return static_cast<bool>(check_policy(*parse_policy({text}), run));
  };
  CHECK(check("barren-streak 1 rollback", {false, false, false, 100, 100}));
  CHECK_FALSE(check("barren-streak 1 rollback", {true, true, false, 100, 100}));
  CHECK(check("no-improvement 1 warn", {false, true, false, 100, 100}));
  CHECK_FALSE(check("no-improvement 1 warn", {false, false, false, 100, 100}));
  CHECK_FALSE(check("context-size 1KiB rollback", {}));
  CHECK_FALSE(check("source-size 1KiB warn", {false, false, false, 1'024, 0}));
  CHECK(check("source-size 1KiB warn", {false, false, false, 1'023, 0}));
  CHECK(check("source-size 1KiB warn", {}));  // not known
  CHECK_FALSE(check("context-size 1KiB warn", {false, false, false, 0, 2'000}));
  CHECK_FALSE(check("cost $1 kill", {}));
  CHECK(check("cost $1 kill", {false, false, true, 0, 0}));
}

TEST_CASE(
    "the context counts also where nothing was born, and one that is not known changes nothing") {
  judged lineage({"context-size 1KiB warn"});
  auto each = stalled();
  each.context_bytes = 1'000;
  CHECK(lineage.end(each).empty());
  each.context_bytes = 1'024;
  CHECK(lineage.end(each).size() == 1);
  each.context_bytes = 0;
  CHECK(lineage.end(each).empty());
  each.context_bytes = 1'100;
  CHECK(lineage.end(each).empty());
}

TEST_CASE("of several that are found the strongest acts, and none where all only warn") {
  judged lineage({"failure-streak 1 warn", "barren-streak 1 kill", "failure-streak 1 pause"});
  lineage.end(failed());
  const auto found = lineage.done.findings(lineage.policy);
  CHECK(found.size() == 3);
  REQUIRE(strongest(found) != nullptr);
  CHECK(strongest(found)->by->action == policy_action::kill);
  CHECK(strongest(found)->words == "1 iteration in a row bore nothing");
  judged mild({"failure-streak 1 warn"});
  mild.end(failed());
  CHECK(strongest(mild.done.findings(mild.policy)) == nullptr);
}
