// reader: the record as people see it, in the shapes of control.proto. It only reads, over a
// connection of its own beside the store's (WAL lets both go on).
// Owns that connection, guarded by a mutex: any thread may call.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "coordinator/store/records.hpp"
#include "germline/v1/control.pb.h"

namespace germline {

/// What a person's abbreviation stands for.
struct resolved_target {
  enum class kind { run, lineage, generation, item, attempt };
  kind what = kind::run;
  std::string id;
  std::string run;  // that it belongs to
};

/// The genome that a run was founded with.
struct genome_place {
  std::string folder;
  std::string genome_toml;
};

struct stored_event {
  std::int64_t seq = 0;
  std::string lineage;
  std::string item;
  v1::ProgressEvent event;
};

/// A lineage came into a state, or was rolled back: with its place among the events and iterations.
struct stored_change {
  std::int64_t seq = 0;
  std::int64_t at_ms = 0;
  std::string lineage;
  v1::LineageChange change;
  std::string item;  // the newest of the lineage then
  bool item_ended = false;
  std::int64_t after_event = 0;  // the newest then; grows with seq
};

/// What a run's items need of the worker that is leased them.
struct worker_needs {
  std::string base_digest;                 // that the run began with; empty: any
  std::vector<std::string> required_tags;  // sorted
  int priority = 0;
};

/// All that a watcher is told from, as the record has it at one moment.
struct watched_part {
  worker_needs needs;                          // of the run's iterations
  std::vector<v1::LineageInfo> lineages;       // of the whole run
  std::vector<v1::IterationInfo> iterations;   // of the whole run, in the order of their starts; or
                                               // the evaluation alone that is the target
  std::vector<v1::IterationInfo> evaluations;  // of the whole run, where none is the target
  std::vector<stored_change> changes;          // of the target, newer than asked
  std::vector<stored_event> events;            // of the target, newer than asked, bounded
};

class record_reader {
 public:
  static result<std::unique_ptr<record_reader>> open(const std::string& path);
  ~record_reader();
  record_reader(const record_reader&) = delete;
  record_reader& operator=(const record_reader&) = delete;

  /// Finds the one thing whose id begins with `text`, or whose run is named so. not_found, or
  /// invalid_argument when several fit.
  result<resolved_target> resolve(const std::string& text);
  /// The newest run's id; not_found when there is none.
  result<std::string> newest_run();

  result<std::vector<v1::RunInfo>> runs();
  result<v1::RunInfo> run(const std::string& id);
  /// Of one run; empty: of all.
  result<std::vector<v1::LineageInfo>> lineages(const std::string& run);
  result<v1::LineageInfo> lineage(const std::string& id);
  result<std::vector<v1::GenerationInfo>> generations(const std::string& run);
  result<v1::GenerationInfo> generation(const std::string& id);
  result<std::vector<v1::IterationInfo>> iterations(const std::string& run);
  /// Or a founding or an evaluation.
  result<v1::IterationInfo> iteration(const std::string& id);
  /// Of one run's generations, or of one generation; in the order of their births.
  result<std::vector<v1::IterationInfo>> evaluations(const std::string& run);
  result<std::vector<v1::IterationInfo>> evaluations_of(const std::string& generation);
  /// All of a run, in the order in which they happened.
  result<std::vector<v1::RollbackInfo>> rollbacks(const std::string& run);
  /// What happened to a lineage, the newest 50, the eldest first.
  result<std::vector<v1::WatchEvent>> history(const std::string& lineage);
  /// Judges all endings of a run, or of one lineage, by the rules; of none, by the run's own.
  result<v1::TestPolicyReply> test_policy(const resolved_target& target,
                                          const std::vector<std::string>& policy);
  /// The artefacts of all generations and what runs hold out, some maybe twice.
  result<std::vector<std::string>> artefacts();
  /// What may be spent and is gone: see Budgets. No target: the whole coordinator and all runs.
  result<v1::Budgets> budgets(const std::optional<resolved_target>& target, std::int64_t now_ms);
  /// A founded run's generation 0.
  result<std::string> seed_of(const std::string& run);
  result<worker_needs> needs_of(const std::string& run);
  result<genome_place> genome_of(const std::string& run);
  /// What a run that does it again is to be; without what is new of that one: its ids, its time and
  /// how models answer. failed_precondition: it was not founded, or something of it is under way.
  result<records::new_run> run_again(const std::string& id);
  result<std::string> item_of_attempt(const std::string& attempt);
  /// Another number whenever the record was written since the last call. Cheap: nothing is read.
  result<std::int64_t> version();
  /// What came after the event and the change named, with at most `limit` events; all of one
  /// moment, so that whatever an event or a change speaks of is there too.
  result<watched_part> watched(const resolved_target& target, std::int64_t last_event,
                               std::int64_t last_change, int limit);
  /// Whether a result of this attempt may still be accepted.
  result<bool> is_leased(const std::string& attempt);
  /// Whether the worker may have an artefact: what a run holds out is for who has an evaluation of
  /// that run leased; all else for any.
  result<bool> may_fetch(const std::string& artefact, const std::string& worker);
  /// Whether an attempt holds this fence; for bulk transfers.
  result<bool> holds_fence(const std::string& attempt, std::int64_t fence,
                           const std::string& worker);

 private:
  struct impl;
  explicit record_reader(std::unique_ptr<impl> opened);
  std::unique_ptr<impl> impl_;
};

}  // namespace germline
