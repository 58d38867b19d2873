#include <doctest/doctest.h>

#include <vector>

#include "coordinator/store/store_fixture.hpp"

namespace germline {
namespace {

struct replaying : testing::fixture {
  /// A run with a model, of which one iteration was born and one was refused. Attempts and items
  /// are in their order.
  replaying() {
    run.model = "m";
    run.agents_ask = true;
    run.random_seed = 9;
    run.limits.set_budget_nanousd(10);
    run.budget.requests = 100;
    create(1'000);
    auto s = first_iteration();
    items.push_back(s.live);
    const auto first = lease(s.live, 1);
    REQUIRE(first);
    seeds.push_back(first->random_seed());
    attempts.push_back(attempt);
    auto end = make_end(s, 1);
    end.next.iterations_done = 1;
    end.next.depth = 1;
    born = end.born->id;
    REQUIRE(record->end_iteration(end));
    s = begin(end.next, 10);
    items.push_back(s.live);
    // An attempt that was lost is not the one that is repeated.
    REQUIRE(lease(s.live, 1));
    REQUIRE(record->lose({attempt, "gone", 0}, 11));
    const auto second = lease(s.live, 2);
    REQUIRE(second);
    seeds.push_back(second->random_seed());
    attempts.push_back(attempt);
    end = make_end(s, 2);
    end.judged.how = lineage::ending::rejected;
    end.judged.commit = std::string(40, '3');
    end.judged.now_ms = 12;
    end.born.reset();
    end.next = s;
    end.next.live = {};
    end.next.iterations_done = 2;
    end.next.head_commit = end.judged.commit;
    REQUIRE(record->end_iteration(end));
  }

  records::new_run again(v1::ReplayAnswers answers = v1::REPLAY_ANSWERS_LENIENT, int lineages = 1) {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    auto found = (*reader)->run_again(run.id.str());
    REQUIRE_MESSAGE(found, (found ? "" : found.error().message()));
    auto other = *found;
    other.id = run_id::make(time, random);
    other.found_item = item_id::make(time, random);
    other.lineages = {lineage_id::make(time, random)};
    while (static_cast<int>(other.lineages.size()) < lineages) {
      other.lineages.push_back(lineage_id::make(time, random));
    }
    other.replay_answers = answers;
    REQUIRE(record->create_run(other));
    return other;
  }

  /// The replay's lineage, founded.
  lineage::state found_again(const records::new_run& other) {
    const auto founding = lease(other.found_item, 1);
    REQUIRE(founding);
    CHECK(founding->replay_of().empty());
    records::seed_end end;
    end.run = other.id;
    end.judged = {
        other.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 20};
    end.born = make_birth({}, 0);
    REQUIRE(record->end_seed(end));
    lineage::state s;
    s.id = other.lineages.front();
    s.head_generation = end.born->id;
    s.head_commit = other.seed_commit;
    REQUIRE(record->save_lineage(s, 20));
    return s;
  }

  records::parent chosen(const lineage::state& s) {
    const auto parent = record->choose_parent({s.id, item_id::make(time, random), 21});
    REQUIRE_MESSAGE(parent, (parent ? "" : parent.error().message()));
    return *parent;
  }

  lineage::state begin_again(lineage::state s, const records::parent& parent) {
    s.live = item_id::make(time, random);
    records::new_iteration fresh{s.live, s, 22};
    fresh.replays = parent.replays;
    REQUIRE(record->begin_iteration(fresh));
    return s;
  }

  generation_id born;  // of the first
  std::vector<item_id> items;
  std::vector<attempt_id> attempts;
  std::vector<std::uint64_t> seeds;
};

}  // namespace

TEST_CASE_FIXTURE(replaying,
                  "an attempt holds what the recorded one held, and of the fleet alone") {
  const auto other = again();
  CHECK(other.budget == amount(1'000, 0, 100));
  const auto founded = found_again(other);
  const auto s = begin_again(founded, chosen(founded));
  REQUIRE(record->set_budget({other.id, {}, {}, 1, {}, records::spending_limit{60}}));
  auto given = lease(s.live, 1);
  REQUIRE(given);
  CHECK(given->limits().budget_nanousd() == 10);
  CHECK(given->limits().max_requests() == 100);
  CHECK(given->limits().max_tokens() == 0);
  // All of the run's is taken: of a replay's attempts that is no end.
  REQUIRE(record->lose({attempt, "gone", amount{1'000, 0, 60}}, 23));
  // What it was not bounded in, and the fleet is, it holds as its limits have it.
  REQUIRE(record->set_budget({{}, {}, {}, 1, records::spending_limit{20'000'000}}));
  given = lease(s.live, 2);
  REQUIRE(given);
  CHECK(given->limits().max_tokens() == 11'000'000);
  REQUIRE(record->lose({attempt, "gone", amount()}, 24));
  REQUIRE(record->set_budget({{}, {}, {}, 1, {}, records::spending_limit{99}}));
  const auto refused = lease(s.live, 3);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::resource_exhausted);
  CHECK(refused.error().message().find("what is next needs 100 requests") != std::string::npos);
}

TEST_CASE_FIXTURE(replaying, "what asks no model holds nothing of the fleet's when done again") {
  // Its evaluation asks none, though the run has a model.
  auto& db = *record;
  const auto fork = db.fork({lineage_id::make(time, random), born, std::nullopt, 13});
  REQUIRE(fork);
  auto s = fork->state;
  s.live = item_id::make(time, random);
  REQUIRE(db.begin_iteration({s.live, s, 14}));
  REQUIRE(lease(s.live, 1));
  auto end = make_end(s, 1);
  end.next.iterations_done = 1;
  end.born->evaluations = {item_id::make(time, random)};
  REQUIRE(db.end_iteration(end));
  REQUIRE(lease(end.born->evaluations[0], 1));
  records::evaluation_end scored;
  scored.judged = {
      end.born->evaluations[0], attempt, 1, lineage::ending::scored, "", "", "", "", {}, {}, 16};
  scored.again = item_id::make(time, random);
  scored.score.emplace();
  scored.score->set_score(1);
  REQUIRE(db.end_evaluation(scored));
  const auto recorded_evaluation = attempt;

  auto other = again(v1::REPLAY_ANSWERS_LENIENT, 2);
  auto seed = found_again(other);
  auto one = begin_again(seed, chosen(seed));
  REQUIRE(lease(one.live, 1));
  auto first = make_end(one, 1);
  first.next.iterations_done = 1;
  REQUIRE(db.end_iteration(first));
  auto two = first.next;
  two.id = other.lineages[1];
  two.live = item_id::make(time, random);
  records::new_iteration fresh{two.live, two, 22};
  fresh.replays = s.live;
  REQUIRE(db.begin_iteration(fresh));
  REQUIRE(lease(two.live, 1));
  auto second = make_end(two, 1);
  second.born->evaluations = {item_id::make(time, random)};
  REQUIRE(db.end_iteration(second));
  REQUIRE(db.set_budget({{}, {}, {}, 1, records::spending_limit{1}, records::spending_limit{1}}));
  const auto given = lease(second.born->evaluations[0], 1);
  REQUIRE_MESSAGE(given, (given ? "" : given.error().message()));
  CHECK(given->replay_of() == recorded_evaluation.str());
  CHECK(given->limits().max_tokens() == 0);
  CHECK(given->limits().max_requests() == 0);
}

TEST_CASE_FIXTURE(replaying, "each iteration names the recorded one, its seed, and who answers") {
  const auto other = again();
  CHECK(other.replay_of == run.id);
  REQUIRE(other.replayed.size() == 1);
  CHECK(other.replayed[0].iterations == 2);
  auto s = found_again(other);
  auto parent = chosen(s);
  CHECK(parent.replays == items[0]);
  CHECK(parent.generation == s.head_generation);
  s = begin_again(s, parent);
  auto given = lease(s.live, 1);
  REQUIRE(given);
  CHECK(given->random_seed() == seeds[0]);
  CHECK(given->replay_of() == attempts[0].str());
  CHECK(given->replay_answers() == v1::REPLAY_ANSWERS_LENIENT);
  auto end = make_end(s, 1);
  end.next.iterations_done = 1;
  REQUIRE(record->end_iteration(end));

  parent = chosen(end.next);
  CHECK(parent.replays == items[1]);
  CHECK(parent.generation == end.born->id);
  s = begin_again(end.next, parent);
  given = lease(s.live, 1);
  REQUIRE(given);
  CHECK(given->random_seed() == seeds[1]);
  CHECK(given->replay_of() == attempts[1].str());  // and not the one that was lost
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->iteration(s.live.str())->replay_of() == items[1].str());
  CHECK((*reader)->run(other.id.str())->replay_of() == run.id.str());

  auto last = make_end(s, 1);
  last.next.iterations_done = 2;
  REQUIRE(record->end_iteration(last));
  const auto nothing = chosen(last.next);
  REQUIRE(nothing.pauses);
  CHECK(nothing.pauses->why == lineage::pause_reason::done);
}

TEST_CASE_FIXTURE(replaying, "where models are asked anew nobody answers for them") {
  const auto other = again(v1::REPLAY_ANSWERS_LIVE);
  auto s = found_again(other);
  s = begin_again(s, chosen(s));
  const auto given = lease(s.live, 1);
  REQUIRE(given);
  CHECK(given->replay_of().empty());
  CHECK(given->replay_answers() == v1::REPLAY_ANSWERS_LIVE);
}

TEST_CASE_FIXTURE(replaying, "another ending than the recorded one parts the replay") {
  const auto other = again();
  auto s = found_again(other);
  s = begin_again(s, chosen(s));
  REQUIRE(lease(s.live, 1));
  auto end = make_end(s, 1);
  end.judged.how = lineage::ending::failed;
  end.judged.reason = "crash";
  end.born.reset();
  end.next = s;
  end.next.live = {};
  end.next.iterations_done = 1;
  REQUIRE(record->end_iteration(end));
  const auto parent = chosen(end.next);
  REQUIRE(parent.pauses);
  CHECK(parent.pauses->why == lineage::pause_reason::diverged);
  CHECK(parent.pauses->details.find("iteration " + s.live.str() + " ended: failed crash") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(replaying,
                  "a lineage waits for what had ended elsewhere, unless that never will") {
  // A second lineage, which began when the first one's two iterations had ended.
  const auto fork = record->fork({lineage_id::make(time, random), born, std::nullopt, 13});
  REQUIRE(fork);
  auto forked = fork->state;
  forked.live = item_id::make(time, random);
  REQUIRE(record->begin_iteration({forked.live, forked, 14}));
  time.advance(100);
  REQUIRE(lease(forked.live, 1));
  auto end = make_end(forked, 1);
  end.judged.how = lineage::ending::stalled;
  end.born.reset();
  end.next = forked;
  end.next.live = {};
  end.next.iterations_done = 1;
  REQUIRE(record->end_iteration(end));

  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  auto other = *(*reader)->run_again(run.id.str());
  other.id = run_id::make(time, random);
  other.found_item = item_id::make(time, random);
  other.lineages = {lineage_id::make(time, random), lineage_id::make(time, random)};
  REQUIRE(record->create_run(other));
  REQUIRE(other.replayed.size() == 2);
  CHECK(other.replayed[1].iterations == 1);
  CHECK(other.replayed[1].last_number == 1);  // it goes on behind the generation that it was of
  const auto first = found_again(other);
  auto second = first;
  second.id = other.lineages[1];
  REQUIRE(record->save_lineage(second, 20));
  CHECK(chosen(second).waits);
  // Killed, the first one keeps nobody waiting; but what it bore is not there.
  auto killed = first;
  killed.at = lineage::status::killed;
  REQUIRE(record->kill_lineage(killed, 30));
  const auto parent = chosen(second);
  CHECK_FALSE(parent.waits);
  REQUIRE(parent.pauses);
  CHECK(parent.pauses->details.find("the lineage that was to bear it is killed") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(replaying, "what goes on, and what was not founded, is not done again") {
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->run_again("run_none").error().code() == error_code::not_found);
  run.lineages.clear();
  create();
  CHECK((*reader)->run_again(run.id.str()).error().message().find("is being founded") !=
        std::string::npos);
  first_iteration();
  CHECK((*reader)->run_again(run.id.str()).error().message().find("under way") !=
        std::string::npos);
}

}  // namespace germline
