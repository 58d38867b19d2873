// store_fixture: for tests of the store: a record in a folder of its own, with a run in it. For one
// thread.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "coordinator/store/reader.hpp"
#include "coordinator/store/store.hpp"

namespace germline::testing {

struct fixture {
  fixture() {
    char name[] = "/tmp/germline-store-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    dir = name;
    reopen();
  }
  ~fixture() { std::filesystem::remove_all(dir); }

  void reopen() {
    record.reset();
    auto opened = store::open((dir / "record.sqlite").string());
    REQUIRE(opened);
    record = std::move(*opened);
  }

  void create(std::int64_t budget = 0, int lineages = 1) {
    run.id = run_id::make(time, random);
    run.name = "r";
    run.seed_commit = std::string(40, '1');
    run.genome_toml = "schema = 1\n";
    run.budget.money = budget;
    run.found_item = item_id::make(time, random);
    for (int i = 0; i < lineages; ++i) run.lineages.push_back(lineage_id::make(time, random));
    REQUIRE(record->create_run(run));
  }

  result<v1::Lease> lease(const item_id& item, std::int64_t fence) {
    attempt = attempt_id::make(time, random);
    return record->grant({item, attempt, fence, "w1", time.utc_ms()});
  }

  records::birth make_birth(const generation_id& parent, std::int64_t number) {
    const auto id = generation_id::make(time, random);
    return {id, parent, number, number, std::string(40, '2'), "src of " + id.str(), "bld", "art"};
  }

  /// Founds the seed and brings the first lineage to its first live iteration.
  lineage::state first_iteration() {
    REQUIRE(lease(run.found_item, 1));
    records::seed_end end;
    end.run = run.id;
    end.judged = {run.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 5};
    end.born = make_birth({}, 0);
    end.protected_tests = {"b", "a"};
    REQUIRE(record->end_seed(end));
    lineage::state s;
    s.id = run.lineages.front();
    s.head_generation = end.born->id;
    s.head_commit = run.seed_commit;
    REQUIRE(record->save_lineage(s, 5));
    return begin(s);
  }

  lineage::state begin(lineage::state s, std::int64_t now_ms = 7,
                       const std::optional<records::given_source>& given = {}) {
    s.live = item_id::make(time, random);
    REQUIRE(record->begin_iteration({s.live, s, now_ms, {}, {}, given}));
    return s;
  }

  records::iteration_end make_end(const lineage::state& s, std::int64_t fence) {
    records::iteration_end end;
    end.judged = {s.live, attempt, fence, lineage::ending::evolved, "", "", "did", "c", {}, {}, 9};
    end.born = make_birth(s.head_generation, s.last_number + 1);
    end.next = s;
    end.next.head_generation = end.born->id;
    end.next.last_number = s.last_number + 1;
    end.next.live = {};
    return end;
  }

  seeded_random random{11};
  manual_clock time;
  std::filesystem::path dir;
  std::unique_ptr<store> record;
  records::new_run run;
  attempt_id attempt;
};

/// What version 19 brought is taken back.
inline constexpr const char* back_to_18 =
    "ALTER TABLE fleet DROP COLUMN budget_tokens; ALTER TABLE fleet DROP COLUMN per_day_tokens;"
    "ALTER TABLE fleet DROP COLUMN configured_tokens;"
    "ALTER TABLE fleet DROP COLUMN budget_requests; ALTER TABLE fleet DROP COLUMN per_day_requests;"
    "ALTER TABLE fleet DROP COLUMN configured_requests;"
    "ALTER TABLE fleet RENAME COLUMN per_day_nanousd TO per_day;"
    "ALTER TABLE fleet RENAME COLUMN configured_nanousd TO configured;"
    "ALTER TABLE fleet_days DROP COLUMN spent_tokens;"
    "ALTER TABLE fleet_days DROP COLUMN spent_requests;"
    "ALTER TABLE runs DROP COLUMN budget_tokens; ALTER TABLE runs DROP COLUMN budget_requests;"
    "ALTER TABLE runs DROP COLUMN lineage_budget_tokens;"
    "ALTER TABLE runs DROP COLUMN lineage_budget_requests;"
    "ALTER TABLE runs DROP COLUMN evaluation_budget_tokens;"
    "ALTER TABLE runs DROP COLUMN evaluation_budget_requests;"
    "ALTER TABLE runs DROP COLUMN spent_tokens; ALTER TABLE runs DROP COLUMN spent_requests;"
    "ALTER TABLE lineages DROP COLUMN budget_tokens;"
    "ALTER TABLE lineages DROP COLUMN budget_requests;"
    "ALTER TABLE lineages DROP COLUMN spent_tokens;"
    "ALTER TABLE lineages DROP COLUMN spent_requests;"
    "ALTER TABLE attempts DROP COLUMN reserved_tokens;"
    "ALTER TABLE attempts DROP COLUMN reserved_requests;"
    "ALTER TABLE attempts DROP COLUMN cost_tokens; ALTER TABLE attempts DROP COLUMN cost_requests;"
    "ALTER TABLE ledger RENAME COLUMN cost_nanousd TO nanousd;"
    "ALTER TABLE ledger DROP COLUMN cost_tokens; ALTER TABLE ledger DROP COLUMN cost_requests;"
    "ALTER TABLE ledger DROP COLUMN charged_tokens;"
    "ALTER TABLE ledger DROP COLUMN charged_requests; PRAGMA user_version = 18;";

struct measured_fixture : fixture {
  /// A run whose generations are measured twice, with its first lineage at its first iteration.
  lineage::state found(int lineages = 2) {
    run.measured = {
        v1::FITNESS_DIRECTION_MAXIMIZE, 2, key, strategy, policy, elite_evaluations, inspirations};
    create(run.budget.money, lineages);
    REQUIRE(lease(run.found_item, 1));
    records::seed_end end;
    end.run = run.id;
    end.judged = {run.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 5};
    seed = make_birth({}, 0);
    seed.evaluations = {item_id::make(time, random), item_id::make(time, random)};
    end.born = seed;
    REQUIRE(record->end_seed(end));
    lineage::state s;
    s.id = run.lineages.front();
    s.head_generation = seed.id;
    s.head_commit = run.seed_commit;
    REQUIRE(record->save_lineage(s, 5));
    return begin(s);
  }

  /// Whether the run's best is measured again; as `next_one` then.
  result<bool> score(item_id item, double value, std::int64_t fence = 1) {
    records::evaluation_end end;
    end.again = next_one = item_id::make(time, random);
    end.judged = {item, attempt, fence, lineage::ending::scored, "", "", "", "", {}, {}, 9};
    end.score.emplace();
    end.score->set_score(value);
    return record->end_evaluation(end);
  }

  records::iteration_end make_measured_end(const lineage::state& s) {
    auto end = make_end(s, 1);
    end.born->evaluations = {item_id::make(time, random)};
    return end;
  }

  /// The first evaluation's random seed of a run that is alike but for its secret.
  std::uint64_t measured_with(const std::string& other_key) {
    measured_fixture other;
    other.run.random_seed = run.random_seed;
    other.key = other_key;
    other.found();
    const auto given = other.lease(other.seed.evaluations[0], 1);
    REQUIRE(given);
    return given->random_seed();
  }

  v1::IterationInfo info_of(const item_id& item) {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    const auto info = (*reader)->iteration(item.str());
    REQUIRE(info);
    return *info;
  }

  v1::Fitness fitness_of(const generation_id& id) {
    const auto reader = record_reader::open((dir / "record.sqlite").string());
    REQUIRE(reader);
    const auto info = (*reader)->generation(id.str());
    REQUIRE(info);
    return info->fitness();
  }

  records::birth seed;
  std::string key = "a secret";
  item_id next_one;  // as `again` of the last score
  std::string strategy = "chain";
  int elite_evaluations = 0;
  int inspirations = 0;
  std::vector<std::string> policy;
};

}  // namespace germline::testing
