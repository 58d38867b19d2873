// The part of `people` that changes how many lineages a run has, and its share of the slots.
#include <algorithm>

#include "common/config/run_file.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"

namespace germline {
namespace {

bool goes_on(const v1::LineageInfo& lineage) {
  return lineage.state() == v1::LINEAGE_STATE_ACTIVE || lineage.state() == v1::LINEAGE_STATE_PAUSED;
}

/// That has work before it, or may have once a person resumes it.
bool counts(const v1::LineageInfo& lineage) {
  return goes_on(lineage) && !lineage.draining() && lineage.pause_reason() != v1::PAUSE_REASON_DONE;
}

/// Those to go first: what a person or a policy stopped, then the newest. By a kill those go, too,
/// that are to go with the end of their iteration.
std::vector<std::string> surplus(const v1::RunInfo& run, std::size_t wanted, bool by_kill) {
  std::vector<const v1::LineageInfo*> all;
  for (const auto& each : run.lineages()) {
    if (counts(each)) all.push_back(&each);
  }
  std::ranges::reverse(all);
  std::ranges::stable_partition(
      all, [](const auto* each) { return each->state() == v1::LINEAGE_STATE_PAUSED; });
  std::vector<std::string> names;
  for (std::size_t i = 0; i + wanted < all.size(); ++i) names.push_back(all[i]->lineage_id());
  for (const auto& each : run.lineages()) {
    if (by_kill && goes_on(each) && each.draining()) names.push_back(each.lineage_id());
  }
  return names;
}

}  // namespace

result<v1::ScaleReply> people::scale(const v1::ScaleRequest& request) {
  GERMLINE_TRY(check_why(request.why()));
  if (request.lineages() < 0 || request.lineages() > lineages_max) {
    return invalid("a run is scaled to 0 to " + std::to_string(lineages_max) + " lineages");
  }
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.run()));
  if (found.what != resolved_target::kind::run) {
    return invalid("'" + request.run() + "' is " + word(found.what) + "; what is scaled is a run");
  }
  const std::lock_guard lock(scaling_);
  GERMLINE_TRY_ASSIGN(const auto run, reader_.run(found.id));
  if (run.found_state() != "founded") {
    return error(error_code::failed_precondition,
                 run.found_state() == "pending"
                     ? "the run's seed is being founded: scale it once it is, or kill the run"
                     : "the run's seed was refused: it has no lineages, and can have none");
  }
  const auto there = std::ranges::count_if(run.lineages(), counts);
  const auto wanted = request.lineages();
  const auto why = (request.why().empty() ? std::string() : request.why() + ": ") + "scaled from " +
                   std::to_string(there) + " to " + std::to_string(wanted) +
                   (wanted == 1 ? " lineage" : " lineages");
  v1::ScaleReply reply;
  if (wanted > there) {
    GERMLINE_TRY(add_lineages(run, static_cast<int>(wanted - there), why, reply));
  } else {
    const auto names = surplus(run, static_cast<std::size_t>(wanted), request.kill());
    GERMLINE_TRY(request.kill() ? kill_all(names, why, reply) : drain_all(names, why, reply));
  }
  return reply;
}

result<v1::SetShareReply> people::set_share(const v1::SetShareRequest& request) {
  records::share_change change;
  if (request.has_priority()) change.priority = request.priority();
  if (request.has_weight()) change.weight = request.weight();
  if (!change.priority && !change.weight) {
    return invalid("nothing to set: give a priority, a weight or both");
  }
  GERMLINE_TRY(check_share(change.priority.value_or(0), change.weight.value_or(1)));
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.run()));
  if (found.what != resolved_target::kind::run) {
    return invalid("'" + request.run() + "' is " + word(found.what) +
                   "; what has a share is a run");
  }
  GERMLINE_TRY_ASSIGN(change.run, run_id::parse(found.id));
  GERMLINE_TRY(tell(system_, short_wait, actors_.dispatcher, change));
  v1::SetShareReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_run(), reader_.run(found.id));
  return reply;
}

/// As the run's first lineages began: from the seed, and with as many iterations before them.
result<void> people::add_lineages(const v1::RunInfo& run, int count, const std::string& why,
                                  v1::ScaleReply& reply) {
  GERMLINE_TRY_ASSIGN(const auto seed, reader_.seed_of(run.run_id()));
  GERMLINE_TRY_ASSIGN(const auto from, generation_id::parse(seed));
  const auto kills = kills_.load();
  for (int i = 0; i < count; ++i) {
    const std::lock_guard lock(adding_);
    if (kills_ != kills) {
      return error(error_code::cancelled, "a kill was asked for when " + std::to_string(i) +
                                              " of " + std::to_string(count) +
                                              " lineages had been added: no more are");
    }
    const records::new_fork fresh{lineage_id::make(*env_.time, *env_.random), from, std::nullopt,
                                  env_.time->utc_ms(), why};
    GERMLINE_TRY(tell(system_, short_wait, actors_.runs, fresh));
    GERMLINE_TRY_ASSIGN(*reply.add_added(), reader_.lineage(fresh.id.str()));
  }
  return {};
}

/// All at once: none goes on while another is being killed.
result<void> people::kill_all(const std::vector<std::string>& lineages, const std::string& why,
                              v1::ScaleReply& reply) {
  if (lineages.empty()) return {};
  kill_target target;
  target.why = why;
  for (const auto& each : lineages) {
    GERMLINE_TRY_ASSIGN(const auto id, lineage_id::parse(each));
    target.lineages.push_back(id);
  }
  GERMLINE_TRY_ASSIGN(const auto killed, carry_out(target, false));
  *reply.mutable_killed() = killed.lineages();
  return {};
}

/// Whatever keeps one of them from it, the others are asked.
result<void> people::drain_all(const std::vector<std::string>& lineages, const std::string& why,
                               v1::ScaleReply& reply) {
  result<void> outcome;
  for (const auto& each : lineages) {
    GERMLINE_TRY_ASSIGN(const auto id, lineage_id::parse(each));
    const auto drained = tell(system_, short_wait, actors_.runs, drain_atom_v, id, why);
    if (!drained) outcome = drained.error().within("draining " + each);
    GERMLINE_TRY_ASSIGN(*reply.add_leaving(), reader_.lineage(each));
  }
  return outcome;
}

}  // namespace germline
