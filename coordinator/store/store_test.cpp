#include "coordinator/store/store.hpp"

#include <SQLiteCpp/Database.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "coordinator/store/schema.hpp"
#include "coordinator/store/store_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

/// What versions 7 to 19 brought is taken back.
const std::string back_to_6 =
    std::string(back_to_18) +
    "DROP TABLE fleet; DROP TABLE fleet_days; DROP INDEX ledger_unreconciled;"
    "ALTER TABLE ledger DROP COLUMN charged_nanousd; ALTER TABLE ledger DROP COLUMN corrected_ms;"
    "ALTER TABLE runs DROP COLUMN lineage_budget_nanousd;"
    "ALTER TABLE lineages DROP COLUMN budget_nanousd;"
    "ALTER TABLE runs DROP COLUMN evaluation_budget_nanousd;"
    "ALTER TABLE runs DROP COLUMN agents_ask; ALTER TABLE runs DROP COLUMN held_out_id;"
    "ALTER TABLE runs DROP COLUMN held_out_files; ALTER TABLE runs DROP COLUMN held_out_bytes;"
    "DROP INDEX replays_of_item; ALTER TABLE items DROP COLUMN replay_of;"
    "ALTER TABLE items DROP COLUMN replay_nth;"
    "ALTER TABLE runs DROP COLUMN replay_of; ALTER TABLE runs DROP COLUMN replay_answers;"
    "DROP TABLE imports; DROP TABLE changes; ALTER TABLE items DROP COLUMN likeness;"
    "ALTER TABLE items DROP COLUMN like_generation;"
    "DROP INDEX iterations_of_run; DROP TABLE arms; ALTER TABLE runs DROP COLUMN models;"
    "ALTER TABLE runs DROP COLUMN model_choice; ALTER TABLE items DROP COLUMN model;"
    "DROP TABLE inspirations; ALTER TABLE runs DROP COLUMN inspirations;"
    "ALTER TABLE runs DROP COLUMN priority; ALTER TABLE runs DROP COLUMN weight;"
    "DROP INDEX evaluations_of_generation; DROP INDEX asked_items; ALTER TABLE items DROP COLUMN "
    "asked_by;"
    "ALTER TABLE runs DROP COLUMN elite_evaluations; DROP INDEX sources_of_run;"
    "ALTER TABLE generations DROP COLUMN same_as;"
    "DROP INDEX items_of_lineage; ALTER TABLE runs DROP COLUMN policy;"
    "ALTER TABLE items DROP COLUMN source_bytes; ALTER TABLE items DROP COLUMN context_bytes;"
    "ALTER TABLE lineages DROP COLUMN due; ALTER TABLE lineages DROP COLUMN due_why;"
    "ALTER TABLE lineage_changes DROP COLUMN rule;"
    "ALTER TABLE runs DROP COLUMN strategy; ALTER TABLE items DROP COLUMN chosen_among;"
    "ALTER TABLE items DROP COLUMN chosen_probability;"
    "ALTER TABLE items DROP COLUMN chosen_unmeasured;"
    "ALTER TABLE generations DROP COLUMN barred; ALTER TABLE lineages DROP COLUMN draining;"
    "DROP TABLE scores; DROP INDEX open_items; DROP INDEX one_live_iteration;"
    "CREATE UNIQUE INDEX one_live_iteration ON items (lineage_id) WHERE ending = 0;"
    "ALTER TABLE runs DROP COLUMN evaluation_key;"
    "ALTER TABLE runs DROP COLUMN evaluations; ALTER TABLE runs DROP COLUMN fitness_direction;";

}  // namespace

TEST_CASE_FIXTURE(fixture, "a reader sees whether the record was written, and reads nothing") {
  create();
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  REQUIRE(reader);
  const auto first = (*reader)->version();
  REQUIRE(first);
  REQUIRE((*reader)->runs());
  CHECK(*(*reader)->version() == *first);
  REQUIRE(lease(run.found_item, 1));
  const auto second = (*reader)->version();
  REQUIRE(second);
  CHECK(*second != *first);
  // Also where another question was first to see what was written.
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  REQUIRE(lease(run.found_item, 2));
  REQUIRE((*reader)->runs());
  const auto third = (*reader)->version();
  REQUIRE(third);
  CHECK(*third != *second);
  CHECK(*(*reader)->version() == *third);
}

TEST_CASE_FIXTURE(fixture, "a lease carries what the record knows; the fence must grow") {
  create();
  const auto s = first_iteration();
  const auto given = lease(s.live, 1);
  REQUIRE(given);
  CHECK(given->kind() == v1::WORK_KIND_ITERATE);
  CHECK(given->number() == 1);
  CHECK(given->parent_artefact_id() == "art");
  REQUIRE(given->protected_tests_size() == 2);
  CHECK(given->protected_tests(0) == "a");
  const auto again = lease(s.live, 1);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == error_code::failed_precondition);
}

TEST_CASE_FIXTURE(fixture, "a birth happens once, from the attempt that holds the fence") {
  create();
  const auto s = first_iteration();
  REQUIRE(lease(s.live, 1));
  const auto old = attempt;
  const auto late = make_end(s, 1);
  REQUIRE(record->lose({old, "gone", {}}, 8));
  REQUIRE(lease(s.live, 2));
  CHECK_FALSE(record->end_iteration(late));
  const auto end = make_end(s, 2);
  REQUIRE(record->end_iteration(end));
  CHECK_FALSE(record->end_iteration(end));
  reopen();
  const auto loaded = record->load();
  REQUIRE(loaded);
  CHECK(loaded->lineages.at(0).state == end.next);
  CHECK(loaded->items.empty());
}

TEST_CASE_FIXTURE(fixture, "a killed lineage takes no result and no lease") {
  create();
  auto s = first_iteration();
  REQUIRE(lease(s.live, 1));
  auto killed = s;
  killed.at = lineage::status::killed;
  killed.live = {};
  REQUIRE(record->kill_lineage(killed, 8));
  CHECK_FALSE(record->end_iteration(make_end(s, 1)));
  CHECK_FALSE(lease(s.live, 5));
  const auto loaded = record->load();
  REQUIRE(loaded);
  REQUIRE(loaded->items.size() == 1);  // killed, and not yet known to be gone
  CHECK(loaded->items[0].killing);
  REQUIRE(record->settle({loaded->items[0].attempt, "killed", {}}, 9));
  CHECK(record->load()->items.empty());
}

TEST_CASE_FIXTURE(fixture, "a record from before gets its lineages' states as events") {
  create(0, 3);
  const auto s = first_iteration();
  auto other = s;  // killed while it waited; the third is not founded yet
  other.id = run.lineages[1];
  other.live = {};
  REQUIRE(record->save_lineage(other, 5));
  other = begin(other);
  REQUIRE(lease(s.live, 1));
  auto end = make_end(s, 1);
  end.next.at = lineage::status::paused;
  end.next.why_paused = lineage::pause_reason::done;
  end.next.details = "1 iterations are done";
  end.next.depth = 1;
  end.next.unproven = true;
  REQUIRE(record->end_iteration(end));
  auto killed = other;
  killed.at = lineage::status::killed;
  killed.details = "enough";
  killed.live = {};
  REQUIRE(record->kill_lineage(killed, 12));
  const auto path = (dir / "record.sqlite").string();
  const auto changes = [&] {
    auto reader = record_reader::open(path);
    REQUIRE(reader);
    auto part =
        (*reader)->watched({resolved_target::kind::run, run.id.str(), run.id.str()}, 0, 0, 9);
    REQUIRE(part);
    std::vector<std::string> told;
    for (const auto& each : part->changes) {
      told.push_back(std::to_string(each.at_ms) + " " + each.lineage + " " +
                     v1::LineageState_Name(each.change.was()) + " " +
                     v1::LineageState_Name(each.change.state()) + " " + each.change.why() +
                     (each.item_ended ? " after " : " in ") + each.item);
    }
    return told;
  };
  auto recorded = changes();
  REQUIRE(recorded.size() == 4);
  record.reset();
  {
    SQLite::Database old(path, SQLite::OPEN_READWRITE);
    old.exec(
        std::string(back_to_6) +
        "DROP TABLE lineage_changes; DROP INDEX items_of_parent;"
        "ALTER TABLE lineages DROP COLUMN unproven; ALTER TABLE lineages DROP COLUMN own_failures;"
        "DROP INDEX forks_of_generation; DROP INDEX children_of_generation;"
        "ALTER TABLE lineages DROP COLUMN forked_from;"
        "ALTER TABLE runs DROP COLUMN required_tags; DROP TABLE workers; PRAGMA user_version = 2");
  }
  reopen();
  auto migrated = changes();
  // The first lineage's head was born, and no iteration of it has ended yet.
  CHECK(record->load()->lineages.at(0).state.unproven);
  CHECK_FALSE(record->load()->lineages.at(1).state.unproven);
  std::sort(recorded.begin(), recorded.end());  // the ids of this test have no order
  std::sort(migrated.begin(), migrated.end());
  CHECK(migrated == recorded);
}

TEST_CASE_FIXTURE(fixture, "a rollback is recorded whole, told, and goes to ancestors only") {
  create();
  auto s = first_iteration();
  const auto seed = s.head_generation;
  CHECK_FALSE(record->ancestor_of({seed, {}}));
  std::vector<generation_id> born{seed};
  for (int i = 1; i <= 2; ++i) {
    REQUIRE(lease(s.live, 1));
    auto end = make_end(s, 1);
    end.next.depth = i;
    end.next.unproven = true;
    REQUIRE(record->end_iteration(end));
    born.push_back(end.born->id);
    s = begin(end.next, 7 + i);
  }
  const auto parent = record->ancestor_of({born[2], {}});
  REQUIRE(parent);
  CHECK(parent->id == born[1]);
  CHECK(parent->number == 1);
  CHECK(parent->of_number == 2);
  CHECK(record->ancestor_of({born[2], seed})->depth == 0);
  const auto refused = record->ancestor_of({born[1], born[2]});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::failed_precondition);
  CHECK(refused.error().message().find("generation 0 " + seed.str()) != std::string::npos);
  // One that waits is ended; one that a worker has is not.
  auto dropped = s;
  dropped.live = {};
  dropped.at = lineage::status::paused;
  REQUIRE(lease(s.live, 1));
  CHECK_FALSE(record->drop_waiting({dropped, "elsewhere", 10}));
  REQUIRE(record->lose({attempt, "gone", {}}, 10));
  REQUIRE(record->drop_waiting({dropped, "elsewhere", 10}));
  auto next = dropped;
  next.head_generation = born[1];
  next.head_commit = std::string(40, '3');
  next.depth = 1;
  next.unproven = false;
  next.own_failures = 2;
  REQUIRE(record->roll_back({next, "too slow", 11}));
  reopen();
  CHECK(record->load()->lineages.at(0).state == next);
  CHECK(record->load()->items.empty());
  auto reader = record_reader::open((dir / "record.sqlite").string());
  const auto told = (*reader)->rollbacks(run.id.str());
  REQUIRE(told);
  REQUIRE(told->size() == 1);
  CHECK(told->at(0).generation_id() == born[1].str());
  CHECK(told->at(0).number() == 1);
  CHECK(told->at(0).why() == "too slow");
  CHECK(told->at(0).after_iteration() == s.live.str());
  CHECK((*reader)->lineage(s.id.str())->changed_ms() == 10);  // since it is paused
  auto killed = next;
  killed.at = lineage::status::killed;
  REQUIRE(record->kill_lineage(killed, 12));
  CHECK_FALSE(record->roll_back({next, "late", 13}));
}

TEST_CASE_FIXTURE(fixture,
                  "a fork begins with its generation, and knows whether that one is proven") {
  create(0, 2);
  const auto s = first_iteration();
  REQUIRE(lease(s.live, 1));
  const auto end = make_end(s, 1);
  REQUIRE(record->end_iteration(end));
  records::new_fork wanted{lineage_id::make(time, random), end.born->id, {}, 20};
  auto made = record->fork(wanted);
  REQUIRE(made);
  CHECK(made->state.head_generation == end.born->id);
  CHECK(made->state.head_commit == end.born->commit);
  CHECK(made->state.last_number == 1);
  CHECK(made->state.unproven);
  CHECK(made->state.max_iterations == 0);
  CHECK_FALSE(record->fork(wanted));  // once
  wanted = {lineage_id::make(time, random), s.head_generation, 4, 21};
  made = record->fork(wanted);
  REQUIRE(made);
  CHECK_FALSE(made->state.unproven);
  CHECK(made->state.depth == 0);
  CHECK(made->state.max_iterations == 4);
  reopen();
  const auto loaded = record->load();
  REQUIRE(loaded);
  REQUIRE(loaded->lineages.size() == 4);
  CHECK(loaded->lineages.at(3).state == made->state);
  auto reader = record_reader::open((dir / "record.sqlite").string());
  CHECK((*reader)->lineage(wanted.id.str())->forked_from() == s.head_generation.str());
  const auto part =
      (*reader)->watched({resolved_target::kind::lineage, wanted.id.str(), run.id.str()}, 0, 0, 9);
  REQUIRE(part);
  REQUIRE(part->changes.size() == 1);
  CHECK(part->changes[0].at_ms == 21);
  CHECK(part->changes[0].change.why() == "forked from generation 0 " + s.head_generation.str());
  wanted.from = generation_id::make(time, random);
  CHECK(record->fork(wanted).error().code() == error_code::not_found);
}

TEST_CASE_FIXTURE(fixture,
                  "an attempt that its worker's own trouble ended is none of the item's tries") {
  create();
  REQUIRE(lease(run.found_item, 1));
  REQUIRE(record->lose({attempt, "the disk was full", {}, true}, 8));
  CHECK(record->offer_of(run.found_item)->lost == 0);
  REQUIRE(lease(run.found_item, 2));
  REQUIRE(record->lose({attempt, "it hung", {}}, 9));
  CHECK(record->offer_of(run.found_item)->lost == 1);
}

TEST_CASE_FIXTURE(fixture, "a lost attempt whose cost is known is charged that and no more") {
  create(3'000'000'000, 1);
  const auto s = first_iteration();
  REQUIRE(lease(s.live, 1));
  REQUIRE(record->lose({attempt, "the disk was full", 1'000}, 8));
  const auto second = lease(s.live, 2);
  REQUIRE(second);
  CHECK(second->limits().budget_nanousd() == (3'000'000'000 - 1'000) / 2);
}

TEST_CASE_FIXTURE(fixture, "leases never hold more than the budget has left") {
  create(3'000'000'000, 1);
  const auto s = first_iteration();
  const auto first = lease(s.live, 1);
  REQUIRE(first);
  CHECK(first->limits().budget_nanousd() == 1'500'000'000);
  REQUIRE(record->lose({attempt, "gone", {}}, 8));  // charged whole
  const auto second = lease(s.live, 2);
  REQUIRE(second);
  CHECK(second->limits().budget_nanousd() == 1'000'000'000);
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  const auto third = lease(s.live, 3);
  REQUIRE(third);
  CHECK(third->limits().budget_nanousd() == 500'000'000);
  REQUIRE(record->lose({attempt, "gone", {}}, 8));
  const auto none = lease(s.live, 4);
  REQUIRE_FALSE(none);
  CHECK(none.error().code() == error_code::resource_exhausted);
}

TEST_CASE_FIXTURE(fixture, "what was reported survives kill -9 at any moment, and nothing twice") {
  create();
  auto s = first_iteration();
  record.reset();
  int births_before = 0;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // births without end; each is reported after its transaction
      ::close(ends[0]);
      auto opened = store::open((dir / "record.sqlite").string());
      if (!opened) ::_exit(2);
      record = std::move(*opened);
      seeded_random own(static_cast<std::uint64_t>(1000 + round));
      random = own;
      for (std::int64_t fence = 100 * (round + 1);; ++fence) {
        if (!lease(s.live, fence)) ::_exit(3);
        const auto end = make_end(s, fence);
        if (!record->end_iteration(end)) ::_exit(4);
        const auto number = static_cast<std::int32_t>(end.next.last_number);
        if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(5);
        s = begin(end.next);
      }
    }
    ::close(ends[1]);
    std::int32_t reported = 0;
    for (int i = 0; i < 5 + 3 * round; ++i) {
      std::int32_t number = 0;
      if (::read(ends[0], &number, sizeof number) == sizeof number) reported = number;
    }
    ::kill(child, SIGKILL);
    std::int32_t number = 0;
    while (::read(ends[0], &number, sizeof number) == sizeof number) reported = number;
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
    CHECK(WIFSIGNALED(status));
    reopen();
    const auto loaded = record->load();
    REQUIRE(loaded);
    s = loaded->lineages.at(0).state;
    CHECK(s.last_number >= reported);
    CHECK(s.last_number <= reported + 1);
    CHECK(reported > births_before);
    births_before = static_cast<int>(s.last_number);
    for (const auto& item : loaded->items) {
      if (!item.attempt.empty()) REQUIRE(record->lose({item.attempt, "gone", {}}, 9));
    }
    if (s.live.empty()) s = begin(s);
    record.reset();
  }
}

TEST_CASE_FIXTURE(fixture,
                  "a record of version 4 gets its workers from its attempts, and goes on") {
  create();
  const auto s = first_iteration();
  const auto path = (dir / "record.sqlite").string();
  record.reset();
  {
    SQLite::Database old(path, SQLite::OPEN_READWRITE);
    old.exec(
        std::string(back_to_6) +
        "DROP INDEX forks_of_generation; DROP INDEX children_of_generation;"
        "ALTER TABLE runs DROP COLUMN required_tags; DROP TABLE workers; PRAGMA user_version = 4");
  }
  reopen();
  CHECK(SQLite::Database(path).execAndGet("PRAGMA user_version").getInt() == schema_version());
  const auto loaded = record->load();
  REQUIRE(loaded);
  REQUIRE(loaded->workers.size() == 1);
  CHECK(loaded->workers[0].id == "w1");
  CHECK_FALSE(loaded->workers[0].cordoned);
  REQUIRE(loaded->items.size() == 1);
  CHECK(loaded->items[0].offer.required_tags.empty());
  CHECK(record->offer_of(s.live)->required_tags.empty());
  CHECK(lease(s.live, 1));
}

TEST_CASE_FIXTURE(fixture, "tags and cordons are kept") {
  run.required_tags = {"gpu", "zone=a"};
  create();
  CHECK(record->offer_of(run.found_item)->required_tags == run.required_tags);
  REQUIRE(record->note_worker({"w1", 5, "base", 2, "0.1.0", {"gpu"}, false, "", "here"}));
  REQUIRE(record->cordon({"w1", true, "loud", 6}));
  REQUIRE(record->note_worker({"w1", 7, "base", 3, "0.1.1", {"gpu", "ssd"}, false, "", "there"}));
  REQUIRE(record->cordon({"w2", true, "", 8}));  // that it was here is not in the record yet
  REQUIRE(record->cordon({"w2", false, "again", 9}));
  reopen();
  const auto loaded = record->load();
  REQUIRE(loaded);
  CHECK(loaded->items[0].offer.required_tags == run.required_tags);
  REQUIRE(loaded->workers.size() == 2);
  const auto& one = loaded->workers[0];
  CHECK(one.cordoned);
  CHECK(one.cordon_why == "loud");
  CHECK(one.seen_ms == 7);
  CHECK(one.slots == 3);
  CHECK(one.version == "0.1.1");
  CHECK(one.place == "there");
  CHECK(one.tags == std::vector<std::string>{"gpu", "ssd"});
  CHECK_FALSE(loaded->workers[1].cordoned);
  CHECK(loaded->workers[1].cordon_why.empty());
  const auto reader = record_reader::open((dir / "record.sqlite").string());
  CHECK((*reader)->needs_of(run.id.str())->required_tags == run.required_tags);
  CHECK((*reader)->run(run.id.str())->required_tags_size() == 2);
}

TEST_CASE_FIXTURE(fixture, "workers that nobody saw for long are forgotten, cordoned ones never") {
  REQUIRE(record->cordon({"old", true, "", 1}));
  for (int i = 0; i < 1'010; ++i) {
    REQUIRE(record->note_worker({"w" + std::to_string(i), 10 + i, "", 1, "", {}, false, ""}));
  }
  const auto loaded = record->load();
  REQUIRE(loaded);
  CHECK(loaded->workers.size() == 1'000);
  CHECK(std::ranges::count_if(loaded->workers, [](const auto& w) { return w.id == "old"; }) == 1);
  CHECK(std::ranges::count_if(loaded->workers, [](const auto& w) { return w.id == "w0"; }) == 0);
}
