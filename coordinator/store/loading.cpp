// The part of the store that reads what the actors go on from.
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::integer;
using sql::text;

result<dispatch::item_offer> store::offer_of(const item_id& item) {
  return sql::guarded([&]() -> result<dispatch::item_offer> {
    SQLite::Statement row(
        impl_->db,
        "SELECT COALESCE(i.lineage_id, i.run_id), i.fence, i.lost, r.base_digest,"
        " r.required_tags, r.id, r.priority, r.weight, i.kind, i.model <> '', r.replay_of <> ''"
        " FROM items i JOIN "
        "runs r ON r.id = i.run_id WHERE i.id=? AND i.ending=0");
    bind_all(row, item.str());
    if (!row.executeStep()) {
      return error(error_code::failed_precondition, "the item has ended");
    }
    return dispatch::item_offer{
        item,
        text(row, 0),
        integer(row, 1),
        static_cast<int>(integer(row, 2)),
        text(row, 3),
        sql::lines(text(row, 4)),
        text(row, 5),
        {static_cast<int>(integer(row, 6)), static_cast<int>(integer(row, 7))},
        integer(row, 8) == v1::WORK_KIND_EVALUATE,
        integer(row, 9) != 0,
        integer(row, 10) != 0,
        integer(row, 8) == v1::WORK_KIND_FOUND};
  });
}

namespace {

lineage::state read_lineage(SQLite::Statement& row) {
  lineage::state s;
  s.id = *lineage_id::parse(text(row, 0));
  s.at = static_cast<lineage::status>(integer(row, 1));
  s.why_paused = static_cast<lineage::pause_reason>(integer(row, 2));
  s.details = text(row, 3);
  if (auto head = generation_id::parse(text(row, 4))) s.head_generation = *head;
  s.head_commit = text(row, 5);
  s.depth = integer(row, 6);
  s.last_number = integer(row, 7);
  s.iterations_done = integer(row, 8);
  s.max_iterations = integer(row, 9);
  s.failures_in_row = static_cast<int>(integer(row, 10));
  if (auto live = item_id::parse(text(row, 11))) s.live = *live;
  s.unproven = integer(row, 12) != 0;
  s.own_failures = static_cast<int>(integer(row, 13));
  s.draining = integer(row, 16) != 0;
  s.due = static_cast<lineage::policy_action>(integer(row, 17));
  s.due_why = text(row, 18);
  return s;
}

void read_items(SQLite::Database& db, records::loaded& out) {
  // Open items, and ended ones that have a killed attempt not known to be gone.
  SQLite::Statement row(
      db,
      "SELECT i.id, i.run_id, i.lineage_id, i.fence, i.lost, r.base_digest, a.id, a.worker_id,"
      " a.state, r.required_tags, i.kind, r.priority, r.weight, i.model <> '', r.replay_of <> ''"
      " FROM items i JOIN runs r ON r.id = "
      "i.run_id LEFT JOIN "
      "attempts a "
      "ON a.item_id ="
      " i.id AND a.settled = 0 AND a.state IN (1, 5) WHERE i.ending = 0 OR a.id IS NOT NULL"
      " ORDER BY i.started_ms, i.id");
  while (row.executeStep()) {
    records::open_item item;
    const auto run = run_id::parse(text(row, 1));
    const auto id = item_id::parse(text(row, 0));
    if (!run || !id) continue;
    item.run = *run;
    item.lineage = text(row, 2);
    item.kind = static_cast<v1::WorkKind>(integer(row, 10));
    item.offer = {*id,
                  item.lineage.empty() ? text(row, 1) : item.lineage,
                  integer(row, 3),
                  static_cast<int>(integer(row, 4)),
                  text(row, 5),
                  sql::lines(text(row, 9)),
                  text(row, 1),
                  {static_cast<int>(integer(row, 11)), static_cast<int>(integer(row, 12))},
                  item.kind == v1::WORK_KIND_EVALUATE,
                  integer(row, 13) != 0,
                  integer(row, 14) != 0,
                  item.kind == v1::WORK_KIND_FOUND};
    if (auto attempt = attempt_id::parse(text(row, 6))) {
      item.attempt = *attempt;
      item.worker = text(row, 7);
      item.killing = integer(row, 8) == v1::ATTEMPT_STATE_KILLED;
    }
    out.items.push_back(std::move(item));
  }
}

void read_workers(SQLite::Database& db, records::loaded& out) {
  SQLite::Statement row(db,
                        "SELECT id, seen_ms, base_digest, slots, version, tags, cordoned,"
                        " cordon_why, place FROM workers ORDER BY id");
  while (row.executeStep()) {
    out.workers.push_back(
        {text(row, 0), integer(row, 1), text(row, 2), static_cast<int>(integer(row, 3)),
         text(row, 4), sql::lines(text(row, 5)), integer(row, 6) != 0, text(row, 7), text(row, 8)});
  }
}

}  // namespace

result<records::loaded> store::load() {
  auto& db = impl_->db;
  return sql::guarded([&]() -> result<records::loaded> {
    records::loaded out;
    SQLite::Statement runs(
        db,
        "SELECT r.id, r.found_state, r.found_details, r.seed_commit, r.base_digest, r.folder, g.id,"
        " r.fitness_direction, r.evaluations, r.strategy, r.policy, r.inspirations,"
        " r.replay_of FROM"
        " runs"
        " r LEFT JOIN generations g ON g.run_id = r.id AND g.lineage_id IS NULL ORDER BY r.id");
    while (runs.executeStep()) {
      records::loaded_run run{*run_id::parse(text(runs, 0)),
                              text(runs, 1),
                              text(runs, 2),
                              text(runs, 3),
                              text(runs, 4),
                              text(runs, 5),
                              {},
                              sql::measuring_of(runs, 7)};
      if (auto first = generation_id::parse(text(runs, 6))) run.generation_0 = *first;
      out.runs.push_back(std::move(run));
    }
    SQLite::Statement lineages(
        db,
        "SELECT id, state, pause_reason, details, head_generation, head_commit, depth,"
        " last_number, iterations_done, max_iterations, failures_in_row, live_item, unproven,"
        " own_failures, run_id, branch_commit, draining, due, due_why FROM lineages ORDER BY "
        "run_id, ordinal");
    while (lineages.executeStep()) {
      out.lineages.push_back(
          {read_lineage(lineages), *run_id::parse(text(lineages, 14)), text(lineages, 15)});
    }
    read_items(db, out);
    read_workers(db, out);
    return out;
  });
}

}  // namespace germline
