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
