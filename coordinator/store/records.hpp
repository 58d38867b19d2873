// records: the rows that go into and out of the coordinator's record, as plain values. They are not
// the wire and not actors. Messages hold them by value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/amount.hpp"
#include "common/artefact/held_out.hpp"
#include "common/ids.hpp"
#include "coordinator/dispatch/dispatch_state.hpp"
#include "coordinator/lineage/lineage_state.hpp"
#include "germline/v1/control.pb.h"
#include "germline/v1/fleet.pb.h"
#include "germline/v1/types.pb.h"

namespace germline::records {

/// How the generations of a run are measured, and what is made of it.
struct measuring {
  v1::FitnessDirection direction = v1::FITNESS_DIRECTION_UNSPECIFIED;  // unspecified: not at all
  int evaluations = 0;                                                 // of each generation
  std::string key;  // what their random seeds are made from; known to nobody but the record
  std::string strategy = "chain";        // as evolution/strategy.hpp reads it
  std::vector<std::string> policy = {};  // rules, as evolution/run_policy.hpp reads them
  int elite_evaluations = 0;             // of the best; see fitness_request
  int inspirations = 0;                  // of each iteration
  bool replays = false;                  // the run does again what another did
};

/// Bytes of files at a commit; 0: not known.
struct tree_sizes {
  std::int64_t source = 0;   // all but the context
  std::int64_t context = 0;  // the context file
};

/// A generation of another archive.
struct foreign_generation {
  generation_id origin;  // there
  std::string commit;
};

/// What a lineage of a replay does again, and the number of what it bears first, less one.
struct replayed_lineage {
  std::int64_t iterations = 0;
  std::int64_t last_number = 0;
};

/// What may be spent of a unit.
struct spending_limit {
  std::optional<std::int64_t> most;  // none: there is no limit
  bool per_day = false;              // of each day, UTC; of the whole coordinator alone
};

/// A person changes what may be spent from the next lease on: by a run, a lineage, or, where both
/// are empty, by the whole coordinator.
struct budget_change {
  run_id run;
  lineage_id lineage;
  std::optional<spending_limit> money = std::nullopt;  // none: it stays as it is
  std::int64_t now_ms = 0;
  std::optional<spending_limit> tokens = std::nullopt, requests = std::nullopt;

  const std::optional<spending_limit>& of(unit what) const {
    return what == unit::money ? money : what == unit::tokens ? tokens : requests;
  }
};

/// No attempt costs a million dollars: what says so is wrong, and sums must not overflow.
inline const amount most_of_an_attempt{1'000'000'000'000'000, 1'000'000'000'000, 1'000'000'000};

/// What an attempt took, as its worker tells it.
inline amount cost_of(const v1::Usage& used) {
  const auto sane = [](std::int64_t count) {
    return std::clamp<std::int64_t>(count, 0, most_of_an_attempt.tokens);
  };
  return {used.cost_nanousd(),
          sane(used.input_tokens()) + sane(used.output_tokens()) + sane(used.cache_read_tokens()) +
              sane(used.cache_write_tokens()),
          used.requests()};
}

/// What the journals of a worker's gateway say that attempts came to.
struct late_accounts {
  struct account {
    std::string attempt;
    amount cost;
  };
  std::string worker;
  std::vector<account> accounts;
  std::int64_t now_ms = 0;
};
/// Of them, those of which nothing more need be said.
struct late_accounts_taken {
  std::vector<std::string> attempts;
  amount given_back;  // by what was charged too much
};

struct new_run {
  run_id id;
  std::string name, repository, branch, folder, seed_commit, genome_toml, model, goal;
  amount budget;  // 0 of tokens and requests: no bound
  std::uint64_t random_seed = 0;
  std::int64_t max_iterations = 0;
  v1::IterationLimits limits;
  std::int64_t now_ms = 0;
  item_id found_item;
  std::vector<lineage_id> lineages;
  std::vector<std::string> required_tags;  // sorted
  measuring measured;
  tree_sizes seed_sizes;
  dispatch::run_share share;
  std::vector<std::string> models;  // where there are several; `model` is the first
  std::string model_choice;         // as evolution/arms.hpp reads it; empty where there is one
  amount evaluation_budget;         // of each, where candidates have a model; else 0
  bool agents_ask = true;           // iterations have the model
  artefact::held_out held_out;      // for evaluators alone
  std::vector<foreign_generation> imports;  // the first that is tried first
  run_id replay_of = {};                    // empty: it is no replay
  v1::ReplayAnswers replay_answers = v1::REPLAY_ANSWERS_UNSPECIFIED;
  std::vector<replayed_lineage> replayed = {};  // of a replay, as many as lineages
  amount lineage_budget;                        // of each lineage; 0: none of its own
};

/// What is not said stays as it is.
struct share_change {
  run_id run;
  std::optional<int> priority, weight;
};

/// A worker that is here or was; what it said of itself when it joined last.
struct known_worker {
  std::string id;
  std::int64_t seen_ms = 0;
  std::string base_digest;
  int slots = 0;
  std::string version;
  std::vector<std::string> tags;  // sorted
  bool cordoned = false;
  std::string cordon_why;
  std::string place;  // where it joined from
};

/// A person's word about a worker.
struct cordon {
  std::string worker;
  bool cordoned = false;
  std::string why;
  std::int64_t now_ms = 0;
};

struct grant_request {
  item_id item;
  attempt_id attempt;
  std::int64_t fence = 0;
  std::string worker;
  std::int64_t now_ms = 0;
};

/// What an accepted result says, reduced to what the record keeps.
struct verdict {
  item_id item;
  attempt_id attempt;  // empty: nobody's result (the item was given up)
  std::int64_t fence = 0;
  lineage::ending how = lineage::ending::failed;
  std::string reason, details, action, commit;
  v1::Usage usage;
  std::vector<v1::TestOutcome> tests;
  std::int64_t now_ms = 0;
  std::string change_sketch = {};  // as change_sketch::bytes, as its worker says; may be empty
};

/// Of the generations that were born of the same parent, the one whose change is most alike.
struct like_change {
  double likeness = 0;     // Jaccard's index of the two changes; 0: none is alike
  std::string generation;  // empty: none
};

/// An attempt that ended without an accepted result.
struct attempt_loss {
  attempt_id attempt;
  std::string why;
  std::optional<amount> cost;  // not known: the whole reservation is spent
  bool excused = false;        // it is no try of the item's
};

struct birth {
  generation_id id;
  generation_id parent;  // empty for the seed
  std::int64_t depth = 0;
  std::int64_t number = 0;
  std::string commit, source_id, build_id, artefact_id;
  std::vector<item_id> evaluations = {};  // that it is to be measured by
  std::vector<std::string> merged =
      {};  // generations; those that were no inspirations are left out
};

/// How one evaluation ended.
struct evaluation_end {
  verdict judged;  // without a commit
  std::optional<v1::Score> score;
  item_id again = {};  // of another evaluation, if the run's best is to be measured more often
};

/// Asks what the run's policy says of an ending, before it is recorded.
struct policy_request {
  verdict judged;
  generation_id born;  // empty: none
  tree_sizes sizes;    // of the commit that it ends with
};
/// A rule of the run's policy that an ending brought about.
struct finding {
  std::string rule;
  lineage::policy_action action = lineage::policy_action::warn;
  std::string words;     // "3 iterations in a row failed"
  bool is_done = false;  // it is this one whose action is taken: it says so by itself
};
using findings = std::vector<finding>;

struct iteration_end {
  verdict judged;
  lineage::state next;        // of the lineage, written whole
  std::optional<birth> born;  // evolved only
  tree_sizes sizes = {};
  findings found = {};
};

struct seed_end {
  run_id run;
  verdict judged;
  std::optional<birth> born;  // founded; else the run is refused with judged.details
  std::vector<std::string> protected_tests;
  std::string base_digest;
};

/// Which generation the next iteration of a lineage is to start from.
struct parent_request {
  lineage_id lineage;
  item_id evaluation = {};  // where a candidate is to be measured before there is a choice
  std::int64_t now_ms = 0;
};
/// How a parent was chosen; see ParentChoice in control.proto.
struct chosen {
  int among = 0;
  double probability = 0;  // 0: not known
  int unmeasured = 0;
};
/// What an iteration is shown beside its parent.
struct inspiration {
  generation_id generation;
  std::string source;  // its commit
  std::string base;    // the commit of what it and the parent both come from
  std::int64_t born_ms = 0;
  int samples = 0;
  double mean = 0;          // as it was reported
  std::string commit = {};  // what is made of them; see refs::graft_request
};
/// What takes an agent's place in an iteration.
struct given_source {
  int position = 0;  // of the run's imports
  foreign_generation what;
  std::string commit = {};  // what is made of it; see refs::graft_request
};
struct parent {
  // What the lineage bore last, or what its choice depends on, is being measured: nothing is chosen
  // yet.
  bool waits = false;
  generation_id generation;  // empty: there is none that could be
  std::string commit;        // its own, or of the newest context that was added to it
  std::int64_t depth = 0;
  std::optional<chosen> how;  // none: it is the head, without a choice
  bool measures = false;      // the evaluation that was given with the request was made
  std::vector<inspiration> inspirations = {};        // without what is made of them
  std::optional<given_source> given = std::nullopt;  // without what is made of it
  item_id replays = {};                              // the iteration that is done again
  bool rolls_back = false;  // to the generation, before one begins: as was done then
  // None begins: there is nothing left to do again, or what is to be done again cannot be.
  std::optional<lineage::pause_requested> pauses = std::nullopt;
};

struct new_iteration {
  item_id item;
  lineage::state next;
  std::int64_t now_ms = 0;
  std::optional<chosen> how = std::nullopt;  // its parent was chosen
  std::vector<inspiration> inspirations = {};
  std::optional<given_source> given = std::nullopt;
  item_id replays = {};
};

/// Which generation is meant by a rollback.
struct ancestor_request {
  generation_id of;
  generation_id wanted;  // must be an ancestor of `of` by primary; empty: the parent
};
struct ancestor {
  generation_id id;
  std::string commit;
  std::int64_t depth = 0;
  std::int64_t number = 0;
  std::int64_t of_number = 0;  // of the generation that was asked about
};

struct rollback {
  lineage::state next;  // its head is the ancestor
  std::string why;
  std::int64_t now_ms = 0;
};

struct new_fork {
  lineage_id id;
  generation_id from;
  std::optional<std::int64_t> max_iterations;  // none: as the run has it
  std::int64_t now_ms = 0;
  std::string why = {};  // for people; empty: that it was forked, and from what
};

struct forked {
  lineage::state state;
  std::string folder;  // of the genome in its repository
  measuring measured;
};

/// A generation or a lineage with all that descends from it.
struct clade {
  generation_id generation;  // lineages whose head is it or descends from it by primary
  lineage_id lineage;        // where no generation is given: it, and forks of its generations
};
struct bar_request {
  std::vector<lineage_id> of;
};
struct clade_kill {
  clade what;
  std::string why;
  std::int64_t now_ms = 0;
};
struct clade_lineages {
  std::vector<lineage_id> of;        // those that are not over, or of which something may still run
  std::vector<item_id> evaluations;  // of the clade's generations, in other lineages; ended by it
};

/// A live iteration that waits, is not leased, and is to be ended, since its lineage goes
/// elsewhere or ends.
struct dropped_iteration {
  lineage::state next;
  std::string why;
  std::int64_t now_ms = 0;
};

/// One live item, as the dispatcher takes it up again at start.
struct open_item {
  dispatch::item_offer offer;
  run_id run;
  std::string lineage;  // empty: it is the run's, a founding or an evaluation of the seed
  v1::WorkKind kind = v1::WORK_KIND_UNSPECIFIED;
  attempt_id attempt;  // not empty: leased, or killed and not known to be gone
  std::string worker;
  bool killing = false;
};

struct loaded_lineage {
  lineage::state state;
  run_id run;
  std::string branch_commit;  // last projected
};

struct loaded_run {
  run_id run;
  std::string found_state, found_details, seed_commit, base_digest, folder;
  generation_id generation_0;
  measuring measured;
};

struct loaded {
  std::vector<loaded_run> runs;
  std::vector<loaded_lineage> lineages;
  std::vector<open_item> items;
  std::vector<known_worker> workers;
};

}  // namespace germline::records
