#include "coordinator/store/schema.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Transaction.h>

#include <array>
#include <string>

namespace germline {
namespace {

// Enumerations are stored by the numbers of germline/v1/types.proto. Ids are text. `limits` and
// `usage` are serialized IterationLimits and Usage.
constexpr const char* version_1 = R"sql(
CREATE TABLE runs (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, repository TEXT NOT NULL, branch TEXT NOT NULL,
  folder TEXT NOT NULL, seed_commit TEXT NOT NULL, genome_toml TEXT NOT NULL, model TEXT NOT NULL,
  budget_nanousd INTEGER NOT NULL, spent_nanousd INTEGER NOT NULL DEFAULT 0, goal TEXT NOT NULL,
  random_seed INTEGER NOT NULL, max_iterations INTEGER NOT NULL, limits BLOB NOT NULL,
  created_ms INTEGER NOT NULL, found_state TEXT NOT NULL DEFAULT 'pending',
  found_details TEXT NOT NULL DEFAULT '', base_digest TEXT NOT NULL DEFAULT '');
CREATE TABLE protected_tests (
  run_id TEXT NOT NULL REFERENCES runs(id), name TEXT NOT NULL, PRIMARY KEY (run_id, name));
CREATE TABLE lineages (
  id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(id), ordinal INTEGER NOT NULL,
  state INTEGER NOT NULL, pause_reason INTEGER NOT NULL, details TEXT NOT NULL,
  head_generation TEXT NOT NULL, head_commit TEXT NOT NULL, depth INTEGER NOT NULL,
  last_number INTEGER NOT NULL, iterations_done INTEGER NOT NULL, max_iterations INTEGER NOT NULL,
  failures_in_row INTEGER NOT NULL, live_item TEXT NOT NULL,
  spent_nanousd INTEGER NOT NULL DEFAULT 0, branch_commit TEXT NOT NULL DEFAULT '',
  UNIQUE (run_id, ordinal));
CREATE TABLE generations (
  id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(id),
  lineage_id TEXT REFERENCES lineages(id), depth INTEGER NOT NULL, number INTEGER NOT NULL,
  commit_id TEXT NOT NULL, source_id TEXT NOT NULL, build_id TEXT NOT NULL,
  artefact_id TEXT NOT NULL, born_ms INTEGER NOT NULL,
  born_of_item TEXT NOT NULL UNIQUE REFERENCES items(id), UNIQUE (lineage_id, number));
CREATE INDEX generations_of_run ON generations (run_id);
CREATE TABLE generation_parents (
  generation_id TEXT NOT NULL REFERENCES generations(id),
  parent_id TEXT NOT NULL REFERENCES generations(id), role TEXT NOT NULL,
  PRIMARY KEY (generation_id, parent_id));
CREATE TABLE items (
  id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(id),
  lineage_id TEXT REFERENCES lineages(id), kind INTEGER NOT NULL, number INTEGER NOT NULL,
  parent_generation TEXT NOT NULL, parent_commit TEXT NOT NULL, fence INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0, ending INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '',
  action TEXT NOT NULL DEFAULT '', commit_id TEXT NOT NULL DEFAULT '',
  generation_id TEXT NOT NULL DEFAULT '', phase INTEGER NOT NULL DEFAULT 0,
  usage BLOB NOT NULL DEFAULT x'', started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0);
CREATE INDEX items_of_run ON items (run_id);
CREATE UNIQUE INDEX one_live_iteration ON items (lineage_id) WHERE ending = 0;
CREATE TABLE attempts (
  id TEXT PRIMARY KEY, item_id TEXT NOT NULL REFERENCES items(id), fence INTEGER NOT NULL,
  state INTEGER NOT NULL, worker_id TEXT NOT NULL, leased_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0, reserved_nanousd INTEGER NOT NULL,
  cost_nanousd INTEGER NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0,
  UNIQUE (item_id, fence));
CREATE UNIQUE INDEX one_lease ON attempts (item_id) WHERE state = 1;
CREATE INDEX unsettled ON attempts (settled) WHERE settled = 0;
CREATE TABLE ledger (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES runs(id),
  attempt_id TEXT NOT NULL UNIQUE REFERENCES attempts(id), nanousd INTEGER NOT NULL,
  reported INTEGER NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE test_outcomes (
  item_id TEXT NOT NULL REFERENCES items(id), name TEXT NOT NULL, status TEXT NOT NULL,
  message TEXT NOT NULL, is_protected INTEGER NOT NULL);
CREATE INDEX tests_of_item ON test_outcomes (item_id);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, attempt_id TEXT NOT NULL REFERENCES attempts(id),
  event BLOB NOT NULL);
CREATE INDEX events_of_attempt ON events (attempt_id, seq);
)sql";

// Why an attempt ended without an accepted result.
constexpr const char* version_2 = R"sql(
ALTER TABLE attempts ADD COLUMN details TEXT NOT NULL DEFAULT '';
)sql";

// What happened to the lineages, in order. `after_event` is the newest event then, `item_id` the
// newest item of the lineage (its founding until the first iteration), and whether that had ended:
// so each change has its place among what else is told. Of a record from before, the beginnings are
// known; the present states are put after all that is there, at the newest time that it has.
constexpr const char* version_3 = R"sql(
CREATE TABLE lineage_changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, lineage_id TEXT NOT NULL REFERENCES lineages(id),
  at_ms INTEGER NOT NULL, was INTEGER NOT NULL, state INTEGER NOT NULL,
  pause_reason INTEGER NOT NULL, details TEXT NOT NULL,
  item_id TEXT NOT NULL REFERENCES items(id), item_ended INTEGER NOT NULL,
  after_event INTEGER NOT NULL);
CREATE INDEX changes_of_lineage ON lineage_changes (lineage_id, seq);
INSERT INTO lineage_changes
  (lineage_id, at_ms, was, state, pause_reason, details, item_id, item_ended, after_event)
  SELECT l.id, i.ended_ms, 0, 1, 0, '', i.id, 1, COALESCE((SELECT MAX(e.seq) FROM events e
    JOIN attempts a ON a.id = e.attempt_id WHERE a.item_id = i.id), 0) AS after_event
  FROM lineages l JOIN items i ON i.run_id = l.run_id AND i.lineage_id IS NULL
  WHERE l.head_generation <> '' ORDER BY after_event, l.id;
INSERT INTO lineage_changes
  (lineage_id, at_ms, was, state, pause_reason, details, item_id, item_ended, after_event)
  SELECT l.id, MAX(i.started_ms, i.ended_ms), 1, l.state, l.pause_reason,
    l.details, i.id, i.ending <> 0, (SELECT COALESCE(MAX(seq), 0) FROM events)
  FROM lineages l JOIN items i ON i.id = (SELECT n.id FROM items n WHERE n.run_id = l.run_id
    AND (n.lineage_id = l.id OR n.lineage_id IS NULL)
    ORDER BY n.lineage_id IS NULL, n.started_ms DESC, n.id DESC LIMIT 1)
  WHERE l.state <> 1 ORDER BY 2, l.id;
)sql";

// Rollbacks and forks. `rolled_to` is the generation that a change took the lineage back to. A head
// that was there before is unproven where no iteration of it ended but by failing.
constexpr const char* version_4 = R"sql(
ALTER TABLE lineages ADD COLUMN unproven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN own_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN forked_from TEXT NOT NULL DEFAULT '';
ALTER TABLE lineage_changes ADD COLUMN rolled_to TEXT NOT NULL DEFAULT '';
CREATE INDEX items_of_parent ON items (parent_generation);
UPDATE lineages SET unproven = 1 WHERE depth > 0 AND NOT EXISTS (SELECT 1 FROM items i
  WHERE i.parent_generation = lineages.head_generation AND i.ending IN (1, 2, 3));
)sql";

// What runs need of workers, and the workers that were ever here; of those from before, what their
// attempts say. Tags are text, one a line.
constexpr const char* version_5 = R"sql(
ALTER TABLE runs ADD COLUMN required_tags TEXT NOT NULL DEFAULT '';
CREATE TABLE workers (
  id TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL, base_digest TEXT NOT NULL DEFAULT '',
  slots INTEGER NOT NULL DEFAULT 0, version TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '', cordoned INTEGER NOT NULL DEFAULT 0,
  cordon_why TEXT NOT NULL DEFAULT '');
CREATE INDEX children_of_generation ON generation_parents (parent_id);
CREATE INDEX forks_of_generation ON lineages (forked_from);
INSERT INTO workers (id, seen_ms)
  SELECT worker_id, MAX(MAX(leased_ms, ended_ms)) FROM attempts GROUP BY worker_id;
)sql";

// Where a worker joined from.
constexpr const char* version_6 = R"sql(
ALTER TABLE workers ADD COLUMN place TEXT NOT NULL DEFAULT '';
)sql";

// Fitness. Evaluations are items of kind 3: parent_generation is what they measure, number which of
// its evaluations each is; their lineage is the generation's, none for the seed.
constexpr const char* version_7 = R"sql(
ALTER TABLE runs ADD COLUMN fitness_direction INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN evaluations INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN evaluation_key TEXT NOT NULL DEFAULT '';
DROP INDEX one_live_iteration;
CREATE UNIQUE INDEX one_live_iteration ON items (lineage_id) WHERE ending = 0 AND kind = 2;
CREATE INDEX open_items ON items (run_id) WHERE ending = 0;
CREATE TABLE scores (
  item_id TEXT PRIMARY KEY REFERENCES items(id),
  generation_id TEXT NOT NULL REFERENCES generations(id), score REAL NOT NULL,
  details BLOB NOT NULL);
CREATE INDEX scores_of_generation ON scores (generation_id, score);
)sql";

// Strategies. chosen_among is 0 where the parent is the lineage's head without a choice. A barred
// generation is no parent of another any more.
constexpr const char* version_8 = R"sql(
ALTER TABLE runs ADD COLUMN strategy TEXT NOT NULL DEFAULT 'chain';
ALTER TABLE items ADD COLUMN chosen_among INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN chosen_probability REAL NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN chosen_unmeasured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN barred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
UPDATE generations SET barred = 1 WHERE lineage_id IN (SELECT id FROM lineages WHERE state = 3);
)sql";

// Policies. `policy` has one rule a line. The sizes are of the commit that an item ended with; 0:
// not known. `due` is an action that a policy decided and that is not done. A change with a `rule`
// is none of the lineage's state: the rule was hit.
constexpr const char* version_9 = R"sql(
ALTER TABLE runs ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE items ADD COLUMN source_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN context_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN due_why TEXT NOT NULL DEFAULT '';
ALTER TABLE lineage_changes ADD COLUMN rule TEXT NOT NULL DEFAULT '';
CREATE INDEX items_of_lineage ON items (lineage_id, kind);
)sql";

// Evaluations of what was measured already. `asked_by` is empty where an evaluation was made with
// the birth; else the lineage whose choice waits for it, or 'run' where it is of the run's best. A
// generation with the source of one before it is not measured: `same_as` is that one.
constexpr const char* version_10 = R"sql(
ALTER TABLE runs ADD COLUMN elite_evaluations INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
CREATE INDEX asked_items ON items (asked_by) WHERE asked_by <> '';
CREATE INDEX evaluations_of_generation ON items (parent_generation) WHERE kind = 3;
ALTER TABLE generations ADD COLUMN same_as TEXT NOT NULL DEFAULT '';
CREATE INDEX sources_of_run ON generations (run_id, source_id);
)sql";

// What a run may have of slots that others want, too.
constexpr const char* version_11 = R"sql(
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
)sql";

// What iterations are shown beside their parent: commit_id is what the agent can merge, and stands
// on base_commit; mean and samples are of when it was chosen.
constexpr const char* version_12 = R"sql(
ALTER TABLE runs ADD COLUMN inspirations INTEGER NOT NULL DEFAULT 0;
CREATE TABLE inspirations (
  item_id TEXT NOT NULL REFERENCES items(id), position INTEGER NOT NULL,
  generation_id TEXT NOT NULL REFERENCES generations(id), commit_id TEXT NOT NULL,
  base_commit TEXT NOT NULL, samples INTEGER NOT NULL, mean REAL NOT NULL,
  PRIMARY KEY (item_id, position)) WITHOUT ROWID;
)sql";

// Several models to choose from. `models` is text, one a line, empty where there is one or none;
// an item's model is then its own. What was known of each is of when it was chosen; an index that
// is NULL is infinite.
constexpr const char* version_13 = R"sql(
ALTER TABLE runs ADD COLUMN models TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN model_choice TEXT NOT NULL DEFAULT '';
ALTER TABLE items ADD COLUMN model TEXT NOT NULL DEFAULT '';
CREATE INDEX iterations_of_run ON items (run_id) WHERE kind = 2;
CREATE TABLE arms (
  item_id TEXT NOT NULL REFERENCES items(id), position INTEGER NOT NULL, model TEXT NOT NULL,
  pulls INTEGER NOT NULL, mean REAL NOT NULL, compared REAL,
  PRIMARY KEY (item_id, position)) WITHOUT ROWID;
)sql";

// Evaluations whose candidate has a model: what each may cost, 0 where there is none. `agents_ask`
// is 0 where no iteration has a model, and so none holds anything of the budget. What evaluators
// alone see is an artefact; its id is empty where there is none.
constexpr const char* version_14 = R"sql(
ALTER TABLE runs ADD COLUMN evaluation_budget_nanousd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN agents_ask INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN held_out_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN held_out_files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN held_out_bytes INTEGER NOT NULL DEFAULT 0;
)sql";

// What generations changed of their parents, as change_sketch::bytes, and how much alike that of an
// iteration was to the one of a sibling that was most so; NULL where that is not known.
constexpr const char* version_15 = R"sql(
ALTER TABLE items ADD COLUMN likeness REAL;
ALTER TABLE items ADD COLUMN like_generation TEXT NOT NULL DEFAULT '';
CREATE TABLE changes (
  generation_id TEXT PRIMARY KEY REFERENCES generations(id), parent_id TEXT NOT NULL,
  sketch BLOB NOT NULL);
CREATE INDEX changes_of_parent ON changes (parent_id);
)sql";

// Generations of other archives that a run tries first. What is made of one for its iteration is
// given_commit.
constexpr const char* version_16 = R"sql(
CREATE TABLE imports (
  run_id TEXT NOT NULL REFERENCES runs(id), position INTEGER NOT NULL, origin TEXT NOT NULL,
  commit_id TEXT NOT NULL, item_id TEXT NOT NULL DEFAULT '', given_commit TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, position)) WITHOUT ROWID;
CREATE INDEX imports_by_item ON imports (item_id) WHERE item_id <> '';
)sql";

// Runs that do again what another did. `replay_of` is that run, and of an iteration the one that it
// does again; replay_nth is how many the lineage had done then, of which its random seed is made.
constexpr const char* version_17 = R"sql(
ALTER TABLE runs ADD COLUMN replay_of TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN replay_answers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN replay_of TEXT NOT NULL DEFAULT '';
ALTER TABLE items ADD COLUMN replay_nth INTEGER NOT NULL DEFAULT 0;
CREATE INDEX replays_of_item ON items (replay_of) WHERE replay_of <> '';
)sql";

// Budgets of the whole coordinator and of lineages. The one row of `fleet` has no budget where that
// is NULL; `configured` is what was said at a start last. Of a lineage NULL means as the run has
// it; 0 there: none. A line of the ledger that was charged whole, since nobody knew, has reported =
// 0; 2 once a worker's journal told, and then `charged_nanousd` is what was charged before.
constexpr const char* version_18 = R"sql(
CREATE TABLE fleet (
  one INTEGER PRIMARY KEY CHECK (one = 1), budget_nanousd INTEGER, per_day INTEGER NOT NULL,
  configured TEXT NOT NULL);
INSERT INTO fleet VALUES (1, NULL, 0, '');
CREATE TABLE fleet_days (day INTEGER PRIMARY KEY, spent_nanousd INTEGER NOT NULL);
INSERT INTO fleet_days SELECT at_ms / 86400000, SUM(nanousd) FROM ledger GROUP BY 1;
CREATE INDEX ledger_unreconciled ON ledger (run_id) WHERE reported = 0;
ALTER TABLE ledger ADD COLUMN charged_nanousd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN corrected_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lineage_budget_nanousd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN budget_nanousd INTEGER;
)sql";

// Budgets of tokens and requests, beside those of money and named as they are; 0 and NULL mean what
// they mean there, but that a run may have none: 0. Nothing is known of what was taken before.
// reserved_tokens is NULL where there was no budget of them when the attempt was leased.
constexpr const char* version_19 = R"sql(
ALTER TABLE fleet ADD COLUMN budget_tokens INTEGER;
ALTER TABLE fleet ADD COLUMN per_day_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN configured_tokens TEXT NOT NULL DEFAULT '';
ALTER TABLE fleet ADD COLUMN budget_requests INTEGER;
ALTER TABLE fleet ADD COLUMN per_day_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN configured_requests TEXT NOT NULL DEFAULT '';
ALTER TABLE fleet RENAME COLUMN per_day TO per_day_nanousd;
ALTER TABLE fleet RENAME COLUMN configured TO configured_nanousd;
ALTER TABLE fleet_days ADD COLUMN spent_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet_days ADD COLUMN spent_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN budget_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN budget_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lineage_budget_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lineage_budget_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN evaluation_budget_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN evaluation_budget_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN spent_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN spent_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN budget_tokens INTEGER;
ALTER TABLE lineages ADD COLUMN budget_requests INTEGER;
ALTER TABLE lineages ADD COLUMN spent_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lineages ADD COLUMN spent_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN reserved_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN reserved_requests INTEGER;
ALTER TABLE attempts ADD COLUMN cost_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN cost_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger RENAME COLUMN nanousd TO cost_nanousd;
ALTER TABLE ledger ADD COLUMN cost_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN cost_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN charged_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN charged_requests INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array migrations = {version_1,  version_2,  version_3,  version_4,  version_5,
                                   version_6,  version_7,  version_8,  version_9,  version_10,
                                   version_11, version_12, version_13, version_14, version_15,
                                   version_16, version_17, version_18, version_19};

}  // namespace

int schema_version() {
  return static_cast<int>(migrations.size());
}

result<void> migrate(SQLite::Database& db) {
  const int found = db.execAndGet("PRAGMA user_version").getInt();
  if (found > schema_version()) {
    return error(error_code::failed_precondition,
                 "the record has schema version " + std::to_string(found) +
                     "; this build knows up to " + std::to_string(schema_version()));
  }
  for (int version = found; version < schema_version(); ++version) {
    SQLite::Transaction transaction(db);
    db.exec(migrations.at(static_cast<std::size_t>(version)));
    db.exec("PRAGMA user_version = " + std::to_string(version + 1));
    transaction.commit();
  }
  return {};
}

}  // namespace germline
