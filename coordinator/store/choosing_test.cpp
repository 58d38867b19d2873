#include <set>

#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

/// Runs of which each generation is measured once, and parents are chosen.
struct choosing : measured_fixture {
  choosing() { strategy = "best"; }

  records::parent choose(const lineage_id& of) {
    auto chosen = record->choose_parent({of});
    REQUIRE(chosen);
    return *chosen;
  }

  /// A generation of the lineage's live iteration, that scored so; the lineage after it.
  lineage::state bear(const lineage::state& s, double value) {
    REQUIRE(lease(s.live, 1));
    auto end = make_measured_end(s);
    end.born->depth = end.next.depth = s.depth + 1;
    REQUIRE(record->end_iteration(end));
    REQUIRE(lease(end.born->evaluations[0], 1));
    REQUIRE(score(end.born->evaluations[0], value));
    return end.next;
  }

  /// As the lineage's actor goes on from what was chosen.
  lineage::state begin_from(lineage::state s, const records::parent& parent) {
    s.head_generation = parent.generation;
    s.head_commit = parent.commit;
    s.depth = parent.depth;
    s.live = item_id::make(time, random);
    REQUIRE(record->begin_iteration({s.live, s, 7, parent.how}));
    return s;
  }

  void score_seed(double value) {
    for (const auto& item : seed.evaluations) {
      REQUIRE(lease(item, 1));
      REQUIRE(score(item, value));
    }
  }

  lineage::state of(int i, const generation_id& head) {
    lineage::state s;
    s.id = run.lineages[std::size_t(i)];
    s.head_generation = head;
    s.head_commit = run.seed_commit;
    return s;
  }

  records::parent from_seed() const {
    records::parent parent;
    parent.generation = seed.id;
    parent.commit = run.seed_commit;
    parent.how = records::chosen{1, 1, 0};
    return parent;
  }
};

}  // namespace

TEST_CASE_FIXTURE(choosing, "where nothing is measured yet, the seed is the parent") {
  found(2);
  const auto chosen = choose(run.lineages[1]);
  CHECK(chosen.generation == seed.id);
  CHECK(chosen.commit == seed.commit);
  REQUIRE(chosen.how);
  CHECK(chosen.how->among == 1);
  CHECK(chosen.how->unmeasured == 1);
}

TEST_CASE_FIXTURE(choosing,
                  "a lineage goes on from the best, whoever bore it, also after a start") {
  const auto first = found(2);
  score_seed(1);
  const auto after = bear(first, 5);
  const auto best = after.head_generation;
  for (int start = 0; start < 2; ++start) {
    const auto chosen = choose(run.lineages[1]);
    CHECK(chosen.generation == best);
    REQUIRE(chosen.how);
    CHECK(chosen.how->among == 2);
    CHECK(chosen.how->probability == 1);
    CHECK(chosen.depth == 1);
    reopen();
  }
  const auto begun = begin_from(of(1, seed.id), choose(run.lineages[1]));
  CHECK(info_of(begun.live).parent_generation() == best.str());
  CHECK(info_of(begun.live).choice().among() == 2);

  // A worse child of the best changes nothing; a better one does.
  const auto worse = bear(begun, 3);
  CHECK(choose(run.lineages[1]).generation == best);
  const auto better = bear(begin_from(worse, choose(run.lineages[1])), 9);
  CHECK(choose(run.lineages[0]).generation == better.head_generation);
}

TEST_CASE_FIXTURE(choosing, "nothing is chosen while the lineage's own newborn is measured") {
  const auto first = found(2);
  score_seed(1);
  REQUIRE(lease(first.live, 1));
  const auto end = make_measured_end(first);
  REQUIRE(record->end_iteration(end));
  CHECK(choose(run.lineages[0]).waits);
  CHECK_FALSE(choose(run.lineages[1]).waits);
  CHECK(choose(run.lineages[1]).how->unmeasured == 1);
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  CHECK((*reader)->lineage(run.lineages[0].str())->waits_for() == "generation 1 to be measured");
  REQUIRE(lease(end.born->evaluations[0], 1));
  REQUIRE(score(end.born->evaluations[0], 2));
  CHECK_FALSE(choose(run.lineages[0]).waits);
  CHECK((*reader)->lineage(run.lineages[0].str())->waits_for().empty());
}

TEST_CASE_FIXTURE(choosing, "a strategy has a candidate measured again, and its lineage waits") {
  strategy = "clade-thompson,expand=0.25";
  auto s = found(2);
  score_seed(1);
  // 2 cases are enough for one that is born or on its way, not for two.
  s = bear(s, 1);
  begin_from(of(1, seed.id), choose(run.lineages[1]));
  const auto asked = item_id::make(time, random);
  const auto waits = record->choose_parent({s.id, asked, 8});
  REQUIRE(waits);
  CHECK(waits->waits);
  CHECK(waits->measures);
  const auto given = lease(asked, 1);
  REQUIRE(given);
  CHECK(given->kind() == v1::WORK_KIND_EVALUATE);
  const bool is_child = given->parent_generation() != seed.id.str();
  CHECK(given->number() == (is_child ? 2 : 3));
  const auto lineage = [&] {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    return *(*reader)->lineage(s.id.str());
  };
  CHECK(lineage().waits_for() == given->parent_generation() + " to be measured once more");
  // Asked again it waits for the same, after a start too: no second one is made.
  reopen();
  CHECK(choose(s.id).waits);
  CHECK_FALSE(choose(s.id).measures);
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  CHECK((*reader)->evaluations(run.id.str())->size() == 4);
  REQUIRE(score(asked, 1));
  CHECK(lineage().waits_for().empty());
  CHECK(record->choose_parent({s.id, item_id::make(time, random), 9})->measures);
}

TEST_CASE_FIXTURE(choosing, "who is killed while it is measured again is a parent as before") {
  elite_evaluations = 5;
  auto s = found(2);
  score_seed(1);
  s = bear(s, 9);
  const auto best = s.head_generation;
  REQUIRE(choose(run.lineages[1]).generation == best);
  // Its lineage retires, and with it goes what measures it.
  s.at = lineage::status::retired;
  REQUIRE(record->save_lineage(s, 10));
  REQUIRE(record->kill_evaluations(s.id, "retired", 11));
  CHECK(fitness_of(best).open_again() == 0);
  CHECK(choose(run.lineages[1]).generation == best);
}

TEST_CASE_FIXTURE(choosing,
                  "a generation whose lineage was killed can be measured again by another") {
  strategy = "clade-thompson,expand=0.25";
  auto s = found(2);
  score_seed(1);
  s = bear(s, 1);
  s = bear(begin_from(s, choose(s.id)), 1);  // 4 cases are too few for 2 that are born
  // What descends from its head is barred with it; what it bore before may be a parent.
  REQUIRE(record->bar_clade({{s.head_generation, {}}, "enough", 20}));
  s.at = lineage::status::killed;
  REQUIRE(record->kill_lineage(s, 21));
  const auto second = run.lineages[1];
  std::set<std::string> measured;
  for (int i = 0; i < 8; ++i) {  // 12 cases are too few, too
    const auto asked = item_id::make(time, random);
    const auto waits = record->choose_parent({second, asked, 30 + i});
    REQUIRE(waits);
    REQUIRE(waits->measures);
    const auto given = lease(asked, 1);
    REQUIRE(given);
    CHECK(given->lineage_id() == second.str());
    measured.insert(given->parent_generation());
    REQUIRE(score(asked, 1));
  }
  CHECK(measured.size() == 2);  // the seed, and the killed lineage's first
  // It goes with who asked.
  const auto last = item_id::make(time, random);
  REQUIRE(record->choose_parent({second, last, 60})->measures);
  REQUIRE(record->kill_evaluations(second, "retired", 61));
  CHECK_FALSE(lease(last, 1));
}

TEST_CASE_FIXTURE(choosing, "an elite of a killed lineage is not measured again") {
  elite_evaluations = 5;
  auto s = found(2);
  score_seed(1);
  s = bear(s, 9);
  const auto open = next_one;
  const auto best = s.head_generation;
  s = begin_from(s, choose(s.id));
  s = bear(s, 5);
  REQUIRE(record->bar_clade({{s.head_generation, {}}, "enough", 20}));
  s.at = lineage::status::killed;
  REQUIRE(record->kill_lineage(s, 21));
  CHECK_FALSE(lease(open, 1));
  CHECK(choose(run.lineages[1]).generation == best);
  bear(begin_from(of(1, seed.id), choose(run.lineages[1])), 2);
  CHECK(fitness_of(best).open_again() == 0);
}

TEST_CASE_FIXTURE(choosing, "a score that could not be recorded is not chosen by") {
  elite_evaluations = 5;
  auto s = found(2);
  score_seed(1);
  const auto of_seed = next_one;
  SUBCASE("by who knows the archive") {
    CHECK(choose(run.lineages[1]).generation == seed.id);
  }
  REQUIRE(lease(s.live, 1));
  const auto end = make_measured_end(s);
  REQUIRE(record->end_iteration(end));
  SUBCASE("by who puts it together with it") {
    reopen();
  }
  const auto item = end.born->evaluations[0];
  REQUIRE(lease(item, 1));
  records::evaluation_end scored;
  scored.judged = {item, attempt, 1, lineage::ending::scored, "", "", "", "", {}, {}, 9};
  scored.score.emplace().set_score(9);
  scored.again = of_seed;  // is there already: it cannot be made
  CHECK_FALSE(record->end_evaluation(scored));
  CHECK(choose(run.lineages[1]).generation == seed.id);
  CHECK(fitness_of(end.born->id).samples() == 0);
  scored.again = item_id::make(time, random);
  REQUIRE(record->end_evaluation(scored));
  CHECK(choose(run.lineages[1]).generation == end.born->id);
}

TEST_CASE_FIXTURE(choosing, "cases and descriptors are chosen by, also after a start") {
  strategy = "pareto";
  auto s = found(1);
  score_seed(5);
  REQUIRE(lease(s.live, 1));
  const auto end = make_measured_end(s);
  REQUIRE(record->end_iteration(end));
  s = end.next;
  REQUIRE(lease(end.born->evaluations[0], 1));
  records::evaluation_end scored;
  scored.judged = {
      end.born->evaluations[0], attempt, 1, lineage::ending::scored, "", "", "", "", {}, {}, 9};
  scored.score.emplace().set_score(1);
  auto& part = *scored.score->add_cases();
  part.set_name("only");
  part.set_value(1);
  REQUIRE(record->end_evaluation(scored));
  // Worse by its score, and the best at the one case that the seed does not have.
  const auto both = [&] {
    std::set<std::string> parents;
    for (int i = 0; i < 40; ++i) {
      s.iterations_done = i;  // another choice
      REQUIRE(record->save_lineage(s, 10));
      parents.insert(choose(s.id).generation.str());
    }
    return parents == std::set{seed.id.str(), end.born->id.str()};
  };
  CHECK(both());
  reopen();
  CHECK(both());
}

TEST_CASE_FIXTURE(choosing, "who begins from a generation has the newest context of it") {
  auto first = found(2);
  score_seed(1);
  REQUIRE(lease(first.live, 1));
  auto end = make_end(first, 1);
  end.born.reset();
  end.judged.how = lineage::ending::rejected;
  end.judged.commit = std::string(40, '7');
  end.next = first;
  end.next.live = {};
  end.next.head_commit = end.judged.commit;
  REQUIRE(record->end_iteration(end));
  // Of the other one, whose head the seed is not, it is where the first left off.
  auto other = bear(begin_from(of(1, seed.id), choose(run.lineages[1])), 0);
  const auto chosen = choose(run.lineages[1]);
  CHECK(chosen.generation == seed.id);
  CHECK(chosen.commit == end.judged.commit);
  // Whose head it is goes on from what it has.
  CHECK(choose(run.lineages[0]).commit == end.judged.commit);
}

TEST_CASE_FIXTURE(choosing, "what a killed lineage bore is no parent, at the last moment too") {
  const auto first = found(3);
  score_seed(1);
  auto good = bear(first, 5);
  const auto chosen = choose(run.lineages[1]);
  REQUIRE(chosen.generation == good.head_generation);
  SUBCASE("its lineage") {
    good.at = lineage::status::killed;
    REQUIRE(record->bar_lineages({{good.id}}));
    REQUIRE(record->kill_lineage(good, 20));
  }
  SUBCASE("the clade of its generation") {
    const auto clade = record->bar_clade({{good.head_generation, {}}, "enough", 20});
    REQUIRE(clade);
    CHECK(clade->of == std::vector{run.lineages[0]});
  }
  SUBCASE("the clade of its lineage, with a child that another one bore") {
    const auto second = bear(begin_from(of(1, seed.id), chosen), 9);
    const auto clade = record->bar_clade({{{}, run.lineages[0]}, "enough", 20});
    REQUIRE(clade);
    CHECK(clade->of == std::vector{run.lineages[0], run.lineages[1]});
    CHECK(choose(run.lineages[2]).generation == seed.id);
  }
  auto late = of(2, chosen.generation);
  late.live = item_id::make(time, random);
  const auto refused = record->begin_iteration({late.live, late, 7, chosen.how});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::failed_precondition);
  CHECK(choose(run.lineages[2]).generation == seed.id);
  reopen();
  CHECK(choose(run.lineages[2]).generation == seed.id);
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  CHECK((*reader)->generation(chosen.generation.str())->barred());
  // With the seed's clade nothing is left.
  REQUIRE(record->bar_clade({{seed.id, {}}, "enough", 20}));
  CHECK(choose(run.lineages[2]).generation.empty());
}

TEST_CASE_FIXTURE(choosing, "a fork begins where it was forked, and is chosen for from then on") {
  const auto first = found(1);
  score_seed(1);
  const auto good = bear(first, 5);
  const auto better = bear(begin_from(good, choose(run.lineages[0])), 9);
  const auto id = lineage_id::make(time, random);
  const auto fork = record->fork({id, good.head_generation, {}, 30});
  REQUIRE(fork);
  CHECK(fork->measured.strategy == "best");
  auto chosen = choose(id);
  CHECK(chosen.generation == good.head_generation);
  CHECK_FALSE(chosen.how);
  auto s = fork->state;
  ++s.iterations_done;
  REQUIRE(record->save_lineage(s, 31));
  chosen = choose(id);
  CHECK(chosen.generation == better.head_generation);
  CHECK(chosen.how);
}

TEST_CASE_FIXTURE(choosing, "the same record gives the same choices, another seed gives others") {
  strategy = "random";
  run.random_seed = 77;
  auto s = found(2);
  score_seed(1);
  for (int i = 0; i < 30; ++i) s = begin(bear(s, i));
  const auto choices = [&] {
    std::vector<generation_id> out;
    auto other = of(1, seed.id);
    for (int i = 0; i < 20; ++i) {
      out.push_back(choose(other.id).generation);
      ++other.iterations_done;
      REQUIRE(record->save_lineage(other, 40));
    }
    other.iterations_done = 0;
    REQUIRE(record->save_lineage(other, 41));
    return out;
  };
  const auto once = choices();
  CHECK(std::set(once.begin(), once.end()).size() > 5);
  reopen();
  CHECK(choices() == once);
}

TEST_CASE_FIXTURE(choosing, "what waits to start from a killed generation is not leased any more") {
  const auto first = found(2);
  score_seed(1);
  auto good = bear(first, 5);
  const auto waiting = begin_from(of(1, seed.id), choose(run.lineages[1]));
  REQUIRE(record->bar_lineages({{good.id}}));
  const auto refused = lease(waiting.live, 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::cancelled);
  // Nor what drains and nobody has.
  auto draining = begin_from(good, {false, seed.id, run.seed_commit, 0, std::nullopt});
  draining.draining = true;
  REQUIRE(record->save_lineage(draining, 21));
  CHECK(lease(draining.live, 1).error().code() == error_code::cancelled);
  reopen();
  CHECK(record->load()->lineages[0].state.draining);
}

TEST_CASE_FIXTURE(choosing, "with a clade goes what measures it in a lineage that goes on") {
  const auto first = found(2);
  score_seed(1);
  REQUIRE(lease(first.live, 1));
  auto end = make_measured_end(first);
  REQUIRE(record->end_iteration(end));
  // Its lineage has gone back to the seed meanwhile.
  end.next.head_generation = seed.id;
  REQUIRE(record->save_lineage(end.next, 20));
  const auto evaluation = end.born->evaluations[0];
  bool is_leased = false;
  SUBCASE("a worker has it") {
    is_leased = true;
  }
  SUBCASE("it waits") {}
  if (is_leased) REQUIRE(lease(evaluation, 1));
  const auto clade = record->bar_clade({{end.born->id, {}}, "enough", 21});
  REQUIRE(clade);
  CHECK(clade->of.empty());
  CHECK(clade->evaluations == std::vector{evaluation});
  CHECK_FALSE(score(evaluation, 9));
  CHECK_FALSE(lease(evaluation, 2));
}

TEST_CASE_FIXTURE(choosing,
                  "inspirations are recorded, leased, and merged by those that were shown") {
  inspirations = 2;
  const auto first = found(3);
  score_seed(1);
  const auto a = bear(first, 5);
  const auto b = bear(begin_from(of(1, seed.id), from_seed()), 3);
  const auto c = bear(begin_from(of(2, seed.id), from_seed()), 2);
  const auto chosen = choose(run.lineages[1]);
  REQUIRE(chosen.generation == a.head_generation);
  REQUIRE(chosen.inspirations.size() == 2);
  for (const auto& each : chosen.inspirations) {
    const bool is_b = each.generation == b.head_generation;
    CHECK((is_b || each.generation == c.head_generation));
    CHECK(each.mean == (is_b ? 3 : 2));
    CHECK(each.samples == 1);
    CHECK(each.base == seed.commit);
    CHECK(each.source == std::string(40, '2'));
    CHECK(each.born_ms == 9);
  }
  CHECK(chosen.inspirations[0].generation == b.head_generation);  // the best comes first
  CHECK(choose(run.lineages[1]).inspirations[1].generation == c.head_generation);  // always so

  auto s = b;
  s.head_generation = chosen.generation;
  s.live = item_id::make(time, random);
  auto shown = chosen.inspirations;
  shown[0].commit = "graft b";
  shown[1].commit = "graft c";
  REQUIRE(record->begin_iteration({s.live, s, 7, chosen.how, shown}));
  auto leased = lease(s.live, 1);
  REQUIRE(leased);
  REQUIRE(leased->inspirations_size() == 2);
  CHECK(leased->inspirations(0).commit() == "graft b");
  CHECK(leased->inspirations(0).generation_id() == b.head_generation.str());
  CHECK(leased->inspirations(0).mean() == 3);
  CHECK(leased->inspirations(0).base() == seed.commit);
  CHECK(info_of(s.live).inspirations_size() == 2);

  // What is killed meanwhile is leased no more; what was shown stays in the record.
  REQUIRE(record->bar_lineages({{c.id}}));
  REQUIRE(record->lose({attempt, "gone"}, 11));
  leased = lease(s.live, 2);
  REQUIRE(leased);
  CHECK(leased->inspirations_size() == 1);
  CHECK(info_of(s.live).inspirations_size() == 2);

  auto end = make_end(s, 2);
  end.born->evaluations = {item_id::make(time, random)};
  end.born->merged = {b.head_generation.str(), seed.id.str(), "gen_nobody"};
  REQUIRE(record->end_iteration(end));
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  const auto born = (*reader)->generation(end.born->id.str());
  REQUIRE(born);
  CHECK(born->parent() == chosen.generation.str());
  REQUIRE(born->merged_size() == 1);
  CHECK(born->merged(0) == b.head_generation.str());
  // It descends by its parent alone: the other's clade is without it.
  REQUIRE(lease(end.born->evaluations[0], 1));
  REQUIRE(score(end.born->evaluations[0], 1));
  reopen();
  CHECK(choose(run.lineages[2]).inspirations.size() == 2);
}

TEST_CASE_FIXTURE(choosing, "a run that asks for no inspirations has none") {
  const auto first = found(2);
  score_seed(1);
  bear(first, 5);
  CHECK(choose(run.lineages[1]).inspirations.empty());
}

namespace {

struct measured_again : choosing {
  /// Its evaluation ends without a score; whether another is begun.
  bool fail(const item_id& item, const std::string& reason) {
    records::evaluation_end end;
    end.again = item_id::make(time, random);
    end.judged.item = item;
    end.judged.how = lineage::ending::failed;
    end.judged.reason = reason;
    end.judged.now_ms = 20;
    const auto made = record->end_evaluation(end);
    REQUIRE(made);
    CHECK(info_of(item).ending() == v1::ENDING_FAILED);
    CHECK(info_of(item).reason() == reason);
    return *made;
  }
};

}  // namespace

TEST_CASE_FIXTURE(measured_again,
                  "that nobody could measure the best again takes nothing from it") {
  elite_evaluations = 5;
  auto s = found(2);
  score_seed(1);
  s = bear(s, 9);
  const auto best = s.head_generation;
  const auto again = next_one;
  REQUIRE(info_of(again).parent_generation() == best.str());
  std::string reason;
  SUBCASE("for want of money") {
    reason = "budget";
  }
  SUBCASE("for want of a worker") {
    reason = "worker";
  }
  SUBCASE("since its workers were lost") {
    reason = "attempts_lost";
  }
  SUBCASE("but that it crashes does") {
    fail(again, "crash");
    CHECK(choose(run.lineages[1]).generation == seed.id);
    CHECK(fitness_of(best).failed() == 1);
    return;
  }
  CHECK_FALSE(fail(again, reason));
  CHECK(choose(run.lineages[1]).generation == best);
  reopen();
  CHECK(choose(run.lineages[1]).generation == best);
  CHECK(fitness_of(best).samples() == 1);
  CHECK(fitness_of(best).failed() == 0);
  CHECK(fitness_of(best).open_again() == 0);
}

TEST_CASE_FIXTURE(measured_again, "who asks for a measurement in vain goes on without it") {
  strategy = "clade-thompson,expand=0.25";
  auto s = found(2);
  score_seed(1);
  s = bear(s, 1);
  begin_from(of(1, seed.id), choose(run.lineages[1]));
  const auto asked = item_id::make(time, random);
  REQUIRE(record->choose_parent({s.id, asked, 8})->measures);
  fail(asked, "budget");
  const auto next = choose(s.id);
  CHECK_FALSE(next.waits);
  REQUIRE(next.how);
  // And asks again only when it has made another iteration.
  s.head_generation = next.generation;
  s.live = item_id::make(time, random);
  REQUIRE(record->begin_iteration({s.live, s, 30, next.how}));
  s = bear(s, 1);
  CHECK(record->choose_parent({s.id, item_id::make(time, random), 40})->measures);
}
