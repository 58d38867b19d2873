// render: replies of the coordinator as text for people. Text that came out of a sandbox (details,
// actions, logs, context) is neutralised here. For programs there is to_json.
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/render/style.hpp"
#include "common/result.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// Whether `ps` lists a lineage: all that is not over, and for a day what is.
bool is_listed(const v1::RunInfo& run, const v1::LineageInfo& lineage, std::int64_t now_ms);
/// Puts what is over behind what is not: of each run's lineages, and runs of which all are over.
void put_over_last(v1::ListRunsReply& reply);
/// One row a lineage that is listed; with `all` one for each.
std::string render_runs(const v1::ListRunsReply& reply, bool all, std::int64_t now_ms,
                        const style& how);
std::string render_status(const v1::GetStatusReply& reply, std::int64_t now_ms, const style& how);
/// The workers: a row each.
std::string render_workers(const v1::GetStatusReply& reply, std::int64_t now_ms, const style& how);
std::string render_worker_line(const v1::WorkerInfo& worker);
/// What of the runs waits for something that does not come by itself, a line for each such thing;
/// empty where nothing does.
std::string render_waiting(const v1::ListRunsReply& reply);
/// A run's lineages with their generations, iterations, endings, and why.
std::string render_tree(const v1::GetTreeReply& reply, const style& how);
std::string render_show(const v1::ShowReply& reply, const style& how);
/// What the request would start, were it no dry run. `deps`: what is fetched for it, and whence;
/// empty: nothing.
std::string render_plan(const v1::RunPlan& plan, const v1::CreateRunRequest& request,
                        const style& how, std::string_view deps = {});
/// What a policy would have done, a line for each finding.
std::string render_policy_test(const v1::TestPolicyReply& reply, const style& how);
/// For a terminal coloured and neutralised; else the patch as it is, so that it can be applied.
std::string render_diff(const v1::DiffReply& reply, const style& how);
/// With its line end. One line; on a terminal a reason that does not fit goes on in a few more. The
/// lineage is named where `names_lineage`. Of an iteration that begins `parent`, safe, says from
/// what; empty: that goes without saying.
std::string render_event(const v1::WatchEvent& event, const style& how, bool names_lineage = true,
                         const std::string& parent = {});
/// The events of one target as text. Where all are of one lineage it is not named in each line; of
/// an iteration whose parent was chosen, and is not where its lineage stood, the parent is.
class event_story {
 public:
  event_story(const style& how, bool of_several) : how_(how), names_lineages_(of_several) {}
  std::string tell(const v1::WatchEvent& event);

 private:
  /// "generation 3 gen_..." where it is to be told; else empty.
  std::string parent_words(const v1::IterationInfo& iteration) const;
  /// Where the event leaves its lineage.
  void note(const v1::WatchEvent& event);

  style how_;
  bool names_lineages_;
  std::string lineage_;  // the first that was told of
  // By lineage: the generation that was last told to be its head; by "" the seed.
  std::map<std::string, std::string> heads_;
  std::map<std::string, std::int64_t> births_;  // the numbers of those whose births were told
};
std::string render_killed(const v1::KillReply& reply, const style& how);
/// What was added, what leaves, and the proofs for what was killed; empty where nothing changed.
/// A table of what may be spent, is spent and held, the whole coordinator first.
std::string render_budgets(const v1::Budgets& budgets, const style& how);
std::string render_scaled(const v1::ScaleReply& reply, const style& how);
bool is_proved(const v1::KilledLineage& killed);
/// Of the lineages without proof: who says that what still runs, what that means, and what to do.
/// Empty where all is proved.
std::string render_unproved(const v1::KillReply& reply, std::int64_t now_ms);
/// The reply, with the `errors` of the targets that could not be killed; of one alone, that error.
std::string killed_json(const v1::KillReply& reply, const std::vector<error>& failures);
std::string render_rolled_back(const v1::RollbackReply& reply, const style& how);
std::string render_lineage_line(const v1::LineageInfo& lineage, const style& how);

/// proto3's JSON with the proto's field names and every field written; int64 are strings, as
/// that mapping has it. With its line end; on one line where `one_line`.
std::string to_json(const google::protobuf::Message& message, bool one_line = false);

/// `text` as a JSON string, quotes included; bytes that are no UTF-8 are replaced.
std::string json_string(std::string_view text);

}  // namespace germline::cli
