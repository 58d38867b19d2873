#include <cmath>
#include <map>

#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

/// A run of two models, whose generations are measured once each.
struct of_two_models : measured_fixture {
  of_two_models() {
    run.model = "small";
    run.models = {"small", "large"};
    run.model_choice = "ucb1";
  }

  std::string model_of(const lineage::state& s) { return info_of(s.live).model(); }

  /// A generation of the live iteration, which cost and scored so; the lineage after it.
  lineage::state bear(const lineage::state& s, double value, std::int64_t cost_nanousd) {
    const auto leased = lease(s.live, 1);
    REQUIRE(leased);
    CHECK(leased->model() == model_of(s));
    auto end = make_measured_end(s);
    end.judged.usage.set_cost_nanousd(cost_nanousd);
    REQUIRE(record->end_iteration(end));
    REQUIRE(lease(end.born->evaluations[0], 1));
    REQUIRE(score(end.born->evaluations[0], value));
    return end.next;
  }
  void score_seed(double value) {
    for (const auto& item : seed.evaluations) {
      REQUIRE(lease(item, 1));
      REQUIRE(score(item, value));
    }
  }
};

constexpr std::int64_t dollar = 1'000'000'000;

}  // namespace

TEST_CASE_FIXTURE(of_two_models, "each is tried, and then chosen by improvement per dollar") {
  auto s = found(1);
  score_seed(1);
  std::map<std::string, int> often;
  double value = 1;
  for (int i = 0; i < 40; ++i) {
    const auto model = model_of(s);
    ++often[model];
    value += 1;  // both improve alike; one costs ten times as much
    s = begin(bear(s, value, model == "large" ? 10 * dollar : dollar));
  }
  CHECK(often["small"] + often["large"] == 40);
  CHECK(often["small"] > 28);
  CHECK(often["large"] >= 2);
  const auto last = info_of(s.live);
  REQUIRE(last.arms_size() == 2);
  CHECK(last.arms(0).model() == "small");
  CHECK(last.arms(0).pulls() == often["small"]);
  CHECK(last.arms(0).mean() == doctest::Approx(1));
  // All gains of the one are less, by the dollar, than all of the other.
  const double mean = often["large"] / 40.0;
  CHECK(last.arms(1).mean() == doctest::Approx(mean));
  CHECK(last.arms(1).index() ==
        doctest::Approx(mean + std::sqrt(2 * std::log(40.0) / often["large"])));
}

TEST_CASE_FIXTURE(of_two_models,
                  "those under way count as tried, and those that a person ended not") {
  const auto first = found(3);
  CHECK(model_of(first) == "small");
  CHECK(std::isinf(info_of(first.live).arms(1).index()));
  lineage::state other;
  other.id = run.lineages[1];
  other.head_generation = seed.id;
  other.head_commit = run.seed_commit;
  const auto second = begin(other);
  CHECK(model_of(second) == "large");
  REQUIRE(lease(second.live, 1));
  auto killed = second;
  killed.at = lineage::status::killed;
  killed.live = {};
  REQUIRE(record->kill_lineage(killed, 8));
  other.id = run.lineages[2];
  CHECK(model_of(begin(other)) == "large");
}

TEST_CASE_FIXTURE(of_two_models,
                  "a model whose iteration no worker could serve keeps no other from it") {
  const auto first = found(3);
  REQUIRE(model_of(first) == "small");
  lineage::state other;
  other.id = run.lineages[1];
  other.head_generation = seed.id;
  other.head_commit = run.seed_commit;
  const auto second = begin(other);
  REQUIRE(model_of(second) == "large");
  REQUIRE(lease(second.live, 1));
  REQUIRE(record->lose({attempt, "the gateway has no price for it"}, 8));
  other.id = run.lineages[2];
  // By what is known, both are worth as much, and "large" was tried no more often.
  for (int i = 0; i < 5; ++i) {
    const auto third = begin(other);
    CHECK(model_of(third) == "small");
    other = bear(third, 1, dollar);
  }
}

TEST_CASE_FIXTURE(of_two_models, "an iteration that no worker could serve has another model next") {
  const auto s = found(1);
  REQUIRE(model_of(s) == "small");
  REQUIRE(lease(s.live, 1));
  REQUIRE(record->lose({attempt, "the gateway has no price for it"}, 8));
  CHECK(record->offer_of(s.live)->has_choice);
  auto leased = lease(s.live, 2);
  REQUIRE(leased);
  CHECK(leased->model() == "large");
  CHECK(model_of(s) == "large");
  CHECK(info_of(s.live).arms_size() == 2);
  // Where both are stuck it is one of them: nobody else knows better.
  REQUIRE(record->lose({attempt, "nor for that"}, 9));
  leased = lease(s.live, 3);
  REQUIRE(leased);
  CHECK_FALSE(leased->model().empty());
}

TEST_CASE_FIXTURE(of_two_models, "a cost that cannot be stops no choice") {
  auto s = found(1);
  for (int i = 0; i < 3; ++i) {
    s = begin(bear(s, 1, std::numeric_limits<std::int64_t>::max()));
    CHECK_FALSE(model_of(s).empty());
  }
}

TEST_CASE_FIXTURE(of_two_models, "where nothing is measured, a birth is what is wanted") {
  create(0, 1);
  REQUIRE(lease(run.found_item, 1));
  records::seed_end end;
  end.run = run.id;
  end.judged = {run.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 5};
  end.born = make_birth({}, 0);
  REQUIRE(record->end_seed(end));
  lineage::state s;
  s.id = run.lineages.front();
  s.head_generation = end.born->id;
  s.head_commit = run.seed_commit;
  REQUIRE(record->save_lineage(s, 5));
  s = begin(s);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(lease(s.live, 1));
    auto ended = make_end(s, 1);
    if (model_of(s) == "small") {
      ended.judged.how = lineage::ending::stalled;
      ended.born.reset();
      ended.next = s;
      ended.next.live = {};
    }
    REQUIRE(record->end_iteration(ended));
    s = begin(ended.next);
  }
  const auto last = info_of(s.live);
  CHECK(last.arms(0).mean() == 0);
  CHECK(last.arms(1).mean() == 1);
  CHECK(last.arms(1).pulls() > last.arms(0).pulls());
}

TEST_CASE_FIXTURE(measured_fixture, "a run of one model has no arms") {
  run.model = "m";
  const auto s = found(1);
  const auto leased = lease(s.live, 1);
  REQUIRE(leased);
  CHECK(leased->model() == "m");
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  const auto info = (*reader)->iteration(s.live.str());
  CHECK(info->model().empty());
  CHECK(info->arms_size() == 0);
}
