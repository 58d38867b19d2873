#include <map>

#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;

TEST_CASE_FIXTURE(measured_fixture, "a birth brings its evaluations, and each gives one score") {
  const auto s = found();
  CHECK(fitness_of(seed.id).open() == 2);
  const auto given = lease(seed.evaluations[0], 1);
  REQUIRE(given);
  CHECK(given->kind() == v1::WORK_KIND_EVALUATE);
  CHECK(given->number() == 1);
  CHECK(given->parent_generation() == seed.id.str());
  CHECK(given->parent_artefact_id() == seed.artefact_id);
  CHECK_FALSE(score(seed.evaluations[0], 1, 2));  // not the fence
  REQUIRE(score(seed.evaluations[0], 1));
  CHECK_FALSE(score(seed.evaluations[0], 5));
  const auto second = lease(seed.evaluations[1], 1);
  REQUIRE(second);
  REQUIRE(score(seed.evaluations[1], 3));
  const auto fitness = fitness_of(seed.id);
  CHECK(fitness.samples() == 2);
  CHECK(fitness.open() == 0);
  CHECK(fitness.mean() == 2);
  CHECK(fitness.low() < 1);

  // The lineage's iteration and an evaluation of its generation are live side by side.
  REQUIRE(lease(s.live, 1));
  const auto end = make_measured_end(s);
  REQUIRE(record->end_iteration(end));
  const auto next = begin(end.next);
  const auto measured = lease(end.born->evaluations[0], 1);
  REQUIRE(measured);
  CHECK(measured->lineage_id() == s.id.str());
  // All generations are measured with the same seeds, which tell nothing of the agents'.
  CHECK(measured->random_seed() == given->random_seed());
  CHECK(second->random_seed() != given->random_seed());
  CHECK(given->random_seed() != measured_with("another secret"));
  const auto iterates = lease(next.live, 1);
  REQUIRE(iterates);
  CHECK(iterates->random_seed() != given->random_seed());
}

TEST_CASE_FIXTURE(measured_fixture,
                  "an iteration that failed is followed by one with another seed") {
  auto s = found();
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  auto end = make_end(s, 1);
  end.born.reset();
  end.judged.how = lineage::ending::failed;
  end.next = s;
  end.next.live = {};
  ++end.next.iterations_done;
  REQUIRE(record->end_iteration(end));
  const auto again = begin(end.next);
  const auto second = lease(again.live, 1);
  REQUIRE(second);
  CHECK(second->number() == first->number());
  CHECK(second->random_seed() != first->random_seed());
}

TEST_CASE_FIXTURE(measured_fixture, "a paused lineage is measured on; a killed one is not") {
  auto s = found();
  REQUIRE(lease(s.live, 1));
  const auto end = make_measured_end(s);
  REQUIRE(record->end_iteration(end));
  const auto item = end.born->evaluations[0];
  s = end.next;
  s.at = lineage::status::paused;
  REQUIRE(record->save_lineage(s, 10));
  REQUIRE(lease(item, 1));
  s.at = lineage::status::killed;
  s.details = "enough";
  REQUIRE(record->kill_lineage(s, 11));
  CHECK_FALSE(score(item, 1));
  CHECK_FALSE(lease(item, 5));
  CHECK(fitness_of(end.born->id).failed() == 0);  // nobody knows how it would have ended
  CHECK(fitness_of(end.born->id).open() == 0);
  // The seed belongs to the run.
  REQUIRE(lease(seed.evaluations[0], 1));
  REQUIRE(record->kill_seed(run.id, "enough", 12));
  CHECK_FALSE(score(seed.evaluations[0], 1));
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->run(run.id.str())->found_state() == "founded");
}

TEST_CASE_FIXTURE(measured_fixture,
                  "the best so far is measured until it has as many scores as are wanted") {
  elite_evaluations = 4;
  const auto s = found();
  const auto leased = [&](const item_id& item) {
    const auto given = lease(item, 1);
    REQUIRE(given);
    CHECK(given->kind() == v1::WORK_KIND_EVALUATE);
    return *given;
  };
  const auto brings_another = [&](const item_id& item, double value) {
    const auto made = score(item, value);
    REQUIRE(made);
    return *made;
  };
  leased(seed.evaluations[0]);
  CHECK_FALSE(brings_another(seed.evaluations[0], 5));  // it has no rank before it has both
  leased(seed.evaluations[1]);
  CHECK(brings_another(seed.evaluations[1], 5));
  const auto third = next_one;

  // A child is better, and is measured again meanwhile; also by who knows it from the record alone.
  REQUIRE(lease(s.live, 1));
  const auto end = make_measured_end(s);
  REQUIRE(record->end_iteration(end));
  reopen();
  leased(end.born->evaluations[0]);
  CHECK_FALSE(score(end.born->evaluations[0], 9, 2));  // not the fence: nothing is made of it
  CHECK(brings_another(end.born->evaluations[0], 9));
  const auto of_child = next_one;
  auto given = leased(third);
  CHECK(given.parent_generation() == seed.id.str());
  CHECK(given.parent_commit() == seed.commit);
  CHECK(given.number() == 3);
  // The seed's ends, and the child is still the best: no more is made while one is open.
  CHECK_FALSE(brings_another(third, 5));
  given = leased(of_child);
  CHECK(given.parent_generation() == end.born->id.str());
  CHECK(given.number() == 2);
  CHECK(given.lineage_id() == s.id.str());
  // Its luck is over: the seed is the best again, and has one left.
  CHECK(brings_another(of_child, -90));
  const auto last = next_one;
  given = leased(last);
  CHECK(given.parent_generation() == seed.id.str());
  CHECK(given.number() == 4);
  CHECK_FALSE(brings_another(last, 5));
  CHECK(fitness_of(seed.id).samples() == 4);
  CHECK(fitness_of(end.born->id).samples() == 2);
  CHECK(fitness_of(end.born->id).mean() == -40.5);
}

TEST_CASE_FIXTURE(measured_fixture, "a source is measured once: who has it again has its fitness") {
  auto s = found(2);
  for (std::size_t i = 0; i < 2; ++i) {
    REQUIRE(lease(seed.evaluations[i], 1));
    REQUIRE(score(seed.evaluations[i], double(i)));
  }
  REQUIRE(lease(s.live, 1));
  auto same = make_measured_end(s);
  same.born->source_id = seed.source_id;
  const auto is_measured = record->end_iteration(same);
  REQUIRE(is_measured);
  CHECK_FALSE(*is_measured);
  CHECK_FALSE(lease(same.born->evaluations[0], 1));
  CHECK(fitness_of(same.born->id).mean() == 0.5);
  CHECK(fitness_of(same.born->id).samples() == 2);
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->generation(same.born->id.str())->same_as() == seed.id.str());
  const auto all = (*reader)->generations(run.id.str());
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  for (const auto& each : *all) CHECK(each.fitness().mean() == 0.5);

  // Of what was killed, or is not measured to its end, nobody knows how good it is.
  s = begin(same.next);
  REQUIRE(lease(s.live, 1));
  auto other = make_measured_end(s);
  REQUIRE(*record->end_iteration(other));
  auto killed = other.next;
  SUBCASE("killed") {
    killed.at = lineage::status::killed;
    REQUIRE(record->bar_lineages({{killed.id}}));
    REQUIRE(record->kill_lineage(killed, 20));
  }
  SUBCASE("retired, with what measures it") {
    REQUIRE(record->kill_evaluations(killed.id, "retired", 20));
  }
  SUBCASE("without a score") {
    REQUIRE(lease(other.born->evaluations[0], 1));
    records::evaluation_end failed;
    failed.judged = {other.born->evaluations[0],
                     attempt,
                     1,
                     lineage::ending::failed,
                     "crash",
                     "",
                     "",
                     "",
                     {},
                     {},
                     9};
    REQUIRE(record->end_evaluation(failed));
  }
  lineage::state second;
  second.id = run.lineages[1];
  second.head_generation = seed.id;
  second.head_commit = run.seed_commit;
  second = begin(second);
  REQUIRE(lease(second.live, 1));
  auto late = make_measured_end(second);
  late.born->source_id = other.born->source_id;
  CHECK(*record->end_iteration(late));
  CHECK(fitness_of(late.born->id).open() == 1);
}

TEST_CASE_FIXTURE(measured_fixture,
                  "evaluations are taken up again after a start, and are no iterations") {
  found();
  REQUIRE(lease(seed.evaluations[0], 1));
  reopen();
  const auto loaded = record->load();
  REQUIRE(loaded);
  std::map<std::string, records::open_item> open;
  for (const auto& item : loaded->items) open[item.offer.item.str()] = item;
  REQUIRE(open.size() == 3);
  const auto& leased = open.at(seed.evaluations[0].str());
  CHECK(leased.kind == v1::WORK_KIND_EVALUATE);
  CHECK(leased.attempt == attempt);
  CHECK(leased.offer.scope == run.id.str());
  CHECK(open.at(seed.evaluations[1].str()).attempt.empty());
  CHECK(loaded->runs.front().measured.evaluations == 2);
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->iterations(run.id.str())->size() == 2);  // the founding, and one
  CHECK((*reader)->evaluations(run.id.str())->size() == 2);
}
