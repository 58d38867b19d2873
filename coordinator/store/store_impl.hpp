// store_impl: what the files of the store share: its connection, and how a transaction is made.
// Internal to coordinator/store.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "coordinator/evolution/run_policy.hpp"
#include "coordinator/evolution/strategy.hpp"
#include "coordinator/store/purse.hpp"
#include "coordinator/store/sql.hpp"
#include "coordinator/store/store.hpp"

namespace germline {

namespace sql {
/// Six columns of runs: fitness_direction, evaluations, strategy, policy, inspirations, replay_of.
inline records::measuring measuring_of(SQLite::Statement& row, int i) {
  return {static_cast<v1::FitnessDirection>(integer(row, i)),
          static_cast<int>(integer(row, i + 1)),
          {},
          text(row, i + 2),
          lines(text(row, i + 3)),
          0,
          static_cast<int>(integer(row, i + 4)),
          !text(row, i + 5).empty()};
}
}  // namespace sql

/// A random seed for one thing that is chosen or leased. One way, so that nothing that is told
/// tells more: an agent knows its own seed, and not the run's.
std::uint64_t seed_from(const std::string& what);

/// Gives an iteration that was written one of its run's models, where the run has several, and
/// writes down what was known of each.
void choose_model(SQLite::Database& db, const std::string& run, const std::string& item,
                  const std::string& lineage);
/// The iteration's model when it is leased: another, by a choice anew, where no worker could serve
/// the one that it has.
std::string model_again(SQLite::Database& db, const std::string& run, const std::string& item,
                        const std::string& lineage);

/// Of the live siblings of what the iteration bears, or would; nothing where its change is
/// compared with none: there is no sketch of it, or it is an import.
std::optional<records::like_change> nearest_change(SQLite::Database& db, const std::string& item,
                                                   const std::string& sketch);
/// Generations of other archives that a run tries first: see imports.cpp.
void write_imports(SQLite::Database& db, const records::new_run& run);
std::optional<records::given_source> next_import(SQLite::Database& db, const std::string& run);
bool take_import(SQLite::Database& db, const std::string& run, const records::given_source& given,
                 const std::string& item);
void add_given(SQLite::Database& db, v1::Lease& lease);

/// Replays: see replaying.cpp. `run`: of the lineage, which does again what another run did.
result<records::parent> parent_again(SQLite::Database& db, const std::string& run,
                                     const std::string& lineage);
/// The model that the iteration which is done again had, what was known then, and of what its
/// random seed was made.
void copy_again(SQLite::Database& db, const std::string& item, const std::string& replays);
/// Of a replay's generation: the next evaluation that the one which it is again had, and it has
/// not.
std::optional<std::int64_t> number_to_measure(SQLite::Database& db, const std::string& generation);
/// Of a replay: how models answer, and whose transcript does. What that one held.
std::optional<slice> add_replay(SQLite::Database& db, v1::Lease& lease);

/// Where the run's policy refuses near-duplicates: what a change is compared with.
void add_siblings(SQLite::Database& db, const std::vector<std::string>& policy, v1::Lease& lease);

/// Whether the budgets would let the item be leased now; the errors are those of `reserve`.
result<void> check_can_hold(SQLite::Database& db, const std::string& item, std::int64_t now_ms);

/// As an archive is told of it.
evolution::measured_once outcome_of(const std::optional<v1::Score>& score);

/// Part of a transaction: books what an attempt cost, once, with its lineage, its run and the whole
/// coordinator. Without `reported` its whole reservation is spent.
void book(SQLite::Database& db, const std::string& attempt, const std::optional<amount>& reported,
          std::int64_t now_ms);

/// What a lineage's row has before it is written.
struct lineage_before {
  std::int64_t state = 0, pause_reason = 0;
  bool is_founded = false;
};
std::optional<lineage_before> read_before(SQLite::Database& db, const std::string& id);

/// One thing that happened to a lineage, which is in the state of `s`, with its place: after the
/// newest event and the newest item of the lineage. `rule`: of the run's policy, which was hit.
void write_change(SQLite::Database& db, const lineage::state& s, std::int64_t was,
                  const std::string& details, const std::string& rolled_to, std::int64_t now_ms,
                  const std::string& rule = {});
/// The whole row; where the lineage comes into another state, or begins, with a change.
void write_lineage(SQLite::Database& db, const lineage::state& s, std::int64_t now_ms);

/// Ends an open item as killed and moves its fence past every attempt.
void kill_item(SQLite::Database& db, const std::string& item, const std::string& why,
               std::int64_t now_ms);

/// Has a generation evaluated once more; see schema.cpp for `asked_by`. It is an item of the
/// lineage that asked, and so ends with that; else of the generation's.
void measure_again(SQLite::Database& db, const item_id& item, const std::string& generation,
                   const std::string& asked_by, std::int64_t now_ms);

struct store::impl {
  explicit impl(const std::string& path)
      : db(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000) {}

  /// Runs `work` in one transaction, which is kept only if it returns without error.
  template <class Work>
  std::invoke_result_t<Work> transact(Work&& work) {
    return sql::guarded([&]() -> std::invoke_result_t<Work> {
      SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
      auto outcome = work();
      if (outcome) transaction.commit();
      return outcome;
    });
  }

  /// What is put together from the record where it is not there: a choice needs it. Each that
  /// writes tells it what it wrote, or has it put together anew.
  evolution::population& population_of(const std::string& run, const evolution::strategy& by,
                                       v1::FitnessDirection direction);
  /// Where one is there.
  evolution::archive* known_archive(const std::string& run) {
    const auto known = populations.find(run);
    return known == populations.end() ? nullptr : &known->second->all();
  }

  /// Of the lineage's run: it is put together again at the next choice.
  void forget_archive(const lineage_id& of) {
    SQLite::Statement row(db, "SELECT run_id FROM lineages WHERE id=?");
    sql::bind_all(row, of.str());
    if (row.executeStep()) populations.erase(sql::text(row, 0));
  }

  /// Part of a transaction, which `measured` had a part in: the run's best is measured again,
  /// unless that is done or under way. In a replay it is `measured`, as often as was done then.
  result<bool> measure_elite(const std::string& run, const std::string& measured,
                             const item_id& item, std::int64_t now_ms);

  /// What the lineage did until its last iteration that ended; none where it has not begun.
  std::optional<evolution::tally> tally_of(const std::string& lineage);
  /// The ending of the item is recorded: what was made of it is true from now on.
  void keep_tally(const std::string& lineage, const std::string& item);

  /// Part of a transaction: writes down what the iteration changed, and what is like it. `born`:
  /// empty where nothing was.
  void note_change(const records::verdict& of, const std::string& lineage, const std::string& born);

  SQLite::Database db;
  std::map<std::string, std::unique_ptr<evolution::population>> populations;  // by run

  /// Of an ending that was judged and may be recorded next.
  struct judged_ending {
    std::string item;
    evolution::tally done;
    std::optional<records::like_change> like;
  };
  std::map<std::string, evolution::tally> tallies;  // by lineage, of runs with a policy
  std::map<std::string, judged_ending> judged;      // by lineage
};

}  // namespace germline
