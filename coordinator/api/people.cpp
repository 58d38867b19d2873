#include "coordinator/api/people.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "common/context/agent_context.hpp"
#include "common/manifest/genome_manifest.hpp"
#include "common/text/utf8.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/waiting.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/health.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {
namespace {

constexpr std::int64_t max_diff_bytes = 1 << 20;
constexpr int max_have = 64;
constexpr std::size_t max_overview_bytes = 2 * 1024;        // of one iteration's details, in a tree
constexpr auto kill_record_wait = std::chrono::seconds(8);  // beside the wait for a proof

std::string inside(const std::string& folder, const std::string& path) {
  return folder.empty() ? path : folder + "/" + path;
}

v1::KillProof to_wire(dispatch::proof how) {
  switch (how) {
    case dispatch::proof::nothing_ran:
      return v1::KILL_PROOF_NOTHING_RAN;
    case dispatch::proof::killed:
      return v1::KILL_PROOF_KILLED;
    case dispatch::proof::lease_expired:
      return v1::KILL_PROOF_LEASE_EXPIRED;
    case dispatch::proof::none:
      return v1::KILL_PROOF_NONE;
  }
  return v1::KILL_PROOF_UNSPECIFIED;
}

bool is_final(v1::LineageState state) {
  return state == v1::LINEAGE_STATE_KILLED || state == v1::LINEAGE_STATE_RETIRED;
}

void add_remaining(const kill_outcome& outcome, v1::KilledLineage& killed) {
  for (const auto& each : outcome.remaining) {
    auto* remaining = killed.add_remaining();
    remaining->set_attempt_id(each.attempt);
    remaining->set_worker_id(each.worker);
    remaining->set_connected(each.connected);
    remaining->set_last_named_ms(each.named_ms);
  }
}

}  // namespace

result<v1::ListRunsReply> people::list_runs() {
  GERMLINE_TRY_ASSIGN(auto runs, reader_.runs());
  v1::ListRunsReply reply;
  auto teller = waiting();
  for (auto& run : runs) {
    teller.tell(run);
    *reply.add_runs() = std::move(run);
  }
  const auto known = fleet();
  for (auto& trouble : troubles_of(known ? *known : fleet_status{}))
    reply.add_troubles(std::move(trouble));
  return reply;
}

result<v1::ListLineagesReply> people::list_lineages(const std::string& run) {
  std::string id;
  if (!run.empty()) {
    GERMLINE_TRY_ASSIGN(const auto target, reader_.resolve(run));
    id = target.run;
  }
  GERMLINE_TRY_ASSIGN(auto lineages, reader_.lineages(id));
  v1::ListLineagesReply reply;
  auto teller = waiting();
  for (auto& each : lineages) {
    teller.tell(each);
    *reply.add_lineages() = std::move(each);
  }
  return reply;
}

result<v1::GetTreeReply> people::tree(const v1::GetTreeRequest& request) {
  const auto& target = request.target();
  resolved_target found;
  if (target.empty()) {
    GERMLINE_TRY_ASSIGN(found.run, reader_.newest_run());
  } else {
    GERMLINE_TRY_ASSIGN(found, reader_.resolve(target));
  }
  const bool only_one = !target.empty() && found.what == resolved_target::kind::lineage;
  const auto belongs = [&](const std::string& lineage) {
    return !only_one || lineage.empty() || lineage == found.id;
  };
  v1::GetTreeReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_run(), reader_.run(found.run));
  auto teller = waiting();
  teller.tell(*reply.mutable_run());
  GERMLINE_TRY_ASSIGN(auto generations, reader_.generations(found.run));
  GERMLINE_TRY_ASSIGN(auto iterations, reader_.iterations(found.run));
  // What a fork starts from is another lineage's, and so may be what a strategy chose.
  std::set<std::string> origins;
  for (const auto& each : reply.run().lineages()) {
    if (belongs(each.lineage_id())) origins.insert(each.forked_from());
  }
  for (const auto& each : iterations) {
    if (belongs(each.lineage_id())) origins.insert(each.parent_generation());
  }
  for (auto& each : generations) {
    if (belongs(each.lineage_id()) || origins.contains(each.generation_id())) {
      *reply.add_generations() = std::move(each);
    }
  }
  for (auto& each : iterations) {
    if (!belongs(each.lineage_id())) continue;
    each.set_details(valid_utf8(each.details(), max_overview_bytes));
    teller.tell(reply.run(), each);
    *reply.add_iterations() = std::move(each);
  }
  std::vector<v1::IterationInfo> evaluations;
  if (request.with_evaluations()) {
    GERMLINE_TRY_ASSIGN(evaluations, reader_.evaluations(found.run));
  }
  for (auto& each : evaluations) {
    if (!belongs(each.lineage_id())) continue;
    each.set_details(valid_utf8(each.details(), max_overview_bytes));
    if (each.has_score()) {
      each.mutable_score()->clear_cases();
      each.clear_details();
    }
    teller.tell(reply.run(), each);
    *reply.add_evaluations() = std::move(each);
  }
  GERMLINE_TRY_ASSIGN(auto rollbacks, reader_.rollbacks(found.run));
  for (auto& each : rollbacks) {
    if (belongs(each.lineage_id())) *reply.add_rollbacks() = std::move(each);
  }
  return reply;
}

result<std::string> people::context_at(const std::string& run, const std::string& commit) {
  if (commit.empty()) return std::string();
  GERMLINE_TRY_ASSIGN(const auto genome, reader_.genome_of(run));
  GERMLINE_TRY_ASSIGN(const auto manifest, parse_genome_manifest(genome.genome_toml));
  auto text = repository_.read_file(commit, inside(genome.folder, manifest.context),
                                    context_limits{}.bytes + context_reserve_bytes);
  if (!text && text.error().code() == error_code::not_found) return std::string();
  return text;
}

result<v1::ShowReply> people::show(const std::string& target) {
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(target));
  v1::ShowReply reply;
  std::string commit;
  switch (found.what) {
    case resolved_target::kind::run: {
      GERMLINE_TRY_ASSIGN(*reply.mutable_run(), reader_.run(found.id));
      waiting().tell(*reply.mutable_run());
      commit = reply.run().seed_commit();
      break;
    }
    case resolved_target::kind::lineage: {
      GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(found.id));
      waiting().tell(*reply.mutable_lineage());
      GERMLINE_TRY_ASSIGN(auto history, reader_.history(found.id));
      for (auto& each : history) *reply.add_history() = std::move(each);
      commit = reply.lineage().head_commit();
      break;
    }
    case resolved_target::kind::generation: {
      GERMLINE_TRY_ASSIGN(*reply.mutable_generation(), reader_.generation(found.id));
      GERMLINE_TRY_ASSIGN(auto evaluations, reader_.evaluations_of(found.id));
      for (auto& each : evaluations) *reply.add_evaluations() = std::move(each);
      commit = reply.generation().commit();
      break;
    }
    case resolved_target::kind::item:
    case resolved_target::kind::attempt: {
      std::string item = found.id;
      if (found.what == resolved_target::kind::attempt) {
        GERMLINE_TRY_ASSIGN(item, reader_.item_of_attempt(found.id));
      }
      GERMLINE_TRY_ASSIGN(*reply.mutable_iteration(), reader_.iteration(item));
      if (is_unleased(reply.iteration())) {
        GERMLINE_TRY_ASSIGN(const auto run, reader_.run(found.run));
        waiting().tell(run, *reply.mutable_iteration());
      }
      commit = reply.iteration().commit();
      break;
    }
  }
  GERMLINE_TRY_ASSIGN(*reply.mutable_context_json(), context_at(found.run, commit));
  return reply;
}

result<v1::TestPolicyReply> people::test_policy(const v1::TestPolicyRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.target()));
  const bool judged =
      found.what == resolved_target::kind::run || found.what == resolved_target::kind::lineage;
  if (!judged) {
    return invalid("'" + request.target() + "' is " + word(found.what) +
                   "; what a policy judges is a run or a lineage");
  }
  GERMLINE_TRY_ASSIGN(
      auto reply, reader_.test_policy(found, {request.policy().begin(), request.policy().end()}));
  if (reply.policy().empty()) {
    return invalid(
        "the run has no policy: name rules to judge it by, such as "
        "'failure-streak 3 pause'");
  }
  return reply;
}

/// The agent's own commit of an iteration that ended without a birth; empty where none was kept.
result<std::string> people::raw_commit_of(const v1::IterationInfo& iteration) {
  if (iteration.ending() == v1::ENDING_EVOLVED) return std::string();
  for (const auto& each : iteration.attempts()) {
    GERMLINE_TRY_ASSIGN(const auto attempt, attempt_id::parse(each.attempt_id()));
    GERMLINE_TRY_ASSIGN(auto raw, repository_.raw_commit(attempt));
    if (!raw.empty()) return raw;
  }
  return std::string();
}

/// The commit that an id stands for, and its parent's where there is one. An iteration that was not
/// born stands for what its agent committed: its commit on the branch changes the context alone.
result<std::string> people::commit_of(const std::string& id, std::string* parent) {
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(id));
  std::string commit, parent_generation;
  switch (found.what) {
    case resolved_target::kind::generation: {
      GERMLINE_TRY_ASSIGN(const auto generation, reader_.generation(found.id));
      commit = generation.commit();
      parent_generation = generation.parent();
      break;
    }
    case resolved_target::kind::item:
    case resolved_target::kind::attempt: {
      std::string item = found.id;
      if (found.what == resolved_target::kind::attempt) {
        GERMLINE_TRY_ASSIGN(item, reader_.item_of_attempt(found.id));
      }
      GERMLINE_TRY_ASSIGN(const auto iteration, reader_.iteration(item));
      GERMLINE_TRY_ASSIGN(commit, raw_commit_of(iteration));
      if (commit.empty()) commit = iteration.commit();
      parent_generation = iteration.parent_generation();
      break;
    }
    case resolved_target::kind::lineage: {
      GERMLINE_TRY_ASSIGN(const auto lineage, reader_.lineage(found.id));
      commit = lineage.head_commit();
      GERMLINE_TRY_ASSIGN(const auto run, reader_.run(found.run));
      if (parent != nullptr) *parent = run.seed_commit();
      break;
    }
    case resolved_target::kind::run:
      return invalid("a diff is of generations, iterations or lineages, not of a run");
  }
  if (commit.empty()) return error(error_code::not_found, "'" + id + "' left no commit");
  if (parent != nullptr && !parent_generation.empty()) {
    GERMLINE_TRY_ASSIGN(const auto generation, reader_.generation(parent_generation));
    *parent = generation.commit();
  }
  return commit;
}

result<v1::DiffReply> people::diff(const v1::DiffRequest& request) {
  std::string from;
  GERMLINE_TRY_ASSIGN(const std::string to, commit_of(request.to(), &from));
  if (!request.from().empty()) {
    GERMLINE_TRY_ASSIGN(from, commit_of(request.from(), nullptr));
  }
  if (from.empty()) return invalid("'" + request.to() + "' has no parent: name what to compare to");
  v1::DiffReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_patch(), repository_.diff(from, to, max_diff_bytes));
  reply.set_truncated(static_cast<std::int64_t>(reply.patch().size()) >= max_diff_bytes);
  return reply;
}

result<std::string> people::fetch_generation(const v1::FetchGenerationRequest& request) {
  if (request.have_size() > max_have) return invalid("at most 64 commits may be named as there");
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.generation()));
  if (found.what != resolved_target::kind::generation) {
    return invalid("'" + request.generation() + "' is " + word(found.what) +
                   "; what is fetched is a generation (gen_...)");
  }
  GERMLINE_TRY_ASSIGN(const auto generation, reader_.generation(found.id));
  const std::vector<std::string> have(request.have().begin(), request.have().end());
  if (std::find(have.begin(), have.end(), generation.commit()) != have.end()) return std::string();
  return repository_.make_pack({generation.commit()}, have);
}

/// While a run's seed is being founded or measured, its code runs for all lineages of the run: with
/// the last of them the seed is killed too.
result<void> people::add_seed_of(const lineage_id& lineage, kill_target& target) {
  GERMLINE_TRY_ASSIGN(const auto info, reader_.lineage(lineage.str()));
  GERMLINE_TRY_ASSIGN(const auto others, reader_.lineages(info.run_id()));
  for (const auto& other : others) {
    const bool wants_it =
        other.state() == v1::LINEAGE_STATE_ACTIVE || other.state() == v1::LINEAGE_STATE_PAUSED;
    if (wants_it && other.lineage_id() != lineage.str()) return {};
  }
  GERMLINE_TRY_ASSIGN(const auto run, run_id::parse(info.run_id()));
  target.runs.push_back(run);
  return {};
}

result<kill_target> people::target_of(const v1::KillRequest& request) {
  GERMLINE_TRY(check_why(request.why()));
  kill_target target;
  target.why = request.why().empty() ? "killed by a person" : request.why();
  std::vector<std::string> runs;
  if (request.target() == "all") {
    GERMLINE_TRY_ASSIGN(const auto all, reader_.runs());
    for (const auto& run : all) runs.push_back(run.run_id());
  } else {
    GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.target()));
    if (found.what == resolved_target::kind::run) {
      runs.push_back(found.id);
    } else if (found.what == resolved_target::kind::lineage) {
      GERMLINE_TRY_ASSIGN(const auto id, lineage_id::parse(found.id));
      target.lineages.push_back(id);
      GERMLINE_TRY(add_seed_of(id, target));
      if (request.clade()) target.clade = records::clade{{}, id};
    } else if (found.what == resolved_target::kind::generation) {
      GERMLINE_TRY_ASSIGN(const auto id, generation_id::parse(found.id));
      target.clade = records::clade{id, {}};
      GERMLINE_TRY_ASSIGN(const auto generation, reader_.generation(found.id));
      if (generation.lineage_id().empty()) {  // the seed's, whose evaluations are the run's
        GERMLINE_TRY_ASSIGN(const auto run, run_id::parse(found.run));
        target.runs.push_back(run);
      }
    } else {
      return invalid("'" + request.target() + "' is " + word(found.what) +
                     "; what is killed is a lineage, a run, all that descends from a generation, "
                     "or all with --all");
    }
  }
  if (request.clade() && !target.clade) {
    return invalid("--clade is for a lineage: of a run, and of all, nothing is left out anyway");
  }
  for (const auto& run : runs) {
    GERMLINE_TRY_ASSIGN(const auto id, run_id::parse(run));
    target.runs.push_back(id);
    GERMLINE_TRY_ASSIGN(const auto lineages, reader_.lineages(run));
    GERMLINE_TRY_ASSIGN(const auto evaluations, reader_.evaluations(run));
    std::set<std::string> measured;  // lineages of which something is measured
    for (const auto& each : evaluations) {
      if (each.ending() == v1::ENDING_UNSPECIFIED) measured.insert(each.lineage_id());
    }
    for (const auto& each : lineages) {
      const bool done = each.pause_reason() == v1::PAUSE_REASON_DONE;
      if (done && request.target() == "all" && !measured.contains(each.lineage_id())) {
        continue;  // nothing of it is left to kill
      }
      GERMLINE_TRY_ASSIGN(const auto lineage, lineage_id::parse(each.lineage_id()));
      target.lineages.push_back(lineage);
    }
  }
  return target;
}

/// The runs of which no lineage goes on any more, while their seed is still measured.
result<kill_target> people::seeds_left_by(const kill_outcomes& outcomes, const kill_target& by) {
  kill_target seeds;
  seeds.why = by.why;
  std::set<std::string> runs;
  for (const auto& outcome : outcomes) {
    if (!outcome.scope.starts_with("lin_")) continue;
    GERMLINE_TRY_ASSIGN(const auto lineage, reader_.lineage(outcome.scope));
    runs.insert(lineage.run_id());
  }
  for (const auto& run : runs) {
    GERMLINE_TRY_ASSIGN(const auto lineages, reader_.lineages(run));
    GERMLINE_TRY_ASSIGN(const auto evaluations, reader_.evaluations(run));
    const bool goes_on =
        std::ranges::any_of(lineages, [](const auto& each) { return !is_final(each.state()); });
    const bool measured = std::ranges::any_of(evaluations, [](const auto& each) {
      return each.lineage_id().empty() && each.ending() == v1::ENDING_UNSPECIFIED;
    });
    if (goes_on || !measured) continue;
    GERMLINE_TRY_ASSIGN(const auto id, run_id::parse(run));
    seeds.runs.push_back(id);
  }
  return seeds;
}

result<v1::KillReply> people::kill(const v1::KillRequest& request) {
  stop_adding();
  GERMLINE_TRY_ASSIGN(const auto target, target_of(request));
  return carry_out(target, request.target() == "all");
}

/// Once it is done, no lineage that was asked for before is still on its way to the record; but for
/// one that the record cannot take now, for which a kill does not wait.
void people::stop_adding() {
  constexpr auto longest = std::chrono::seconds(2);
  ++kills_;
  if (adding_.try_lock_for(longest)) adding_.unlock();
}

/// `all`: what was over before is left out.
result<v1::KillReply> people::carry_out(const kill_target& target, bool all) {
  std::map<std::string, v1::LineageInfo> before;
  for (const auto& each : target.lineages) {
    GERMLINE_TRY_ASSIGN(before[each.str()], reader_.lineage(each.str()));
  }
  const auto wait = std::chrono::milliseconds(kill_wait_ms_) + kill_record_wait;
  GERMLINE_TRY_ASSIGN(auto outcomes,
                      ask<kill_outcomes>(system_, wait, actors_.runs, kill_atom_v, target));
  // Whoever killed the last of a run's lineages, maybe with others at the same time, sees it now.
  GERMLINE_TRY_ASSIGN(const auto seeds, seeds_left_by(outcomes, target));
  if (!seeds.runs.empty()) {
    GERMLINE_TRY_ASSIGN(const auto more,
                        ask<kill_outcomes>(system_, wait, actors_.runs, kill_atom_v, seeds));
    outcomes.insert(outcomes.end(), more.begin(), more.end());
  }
  v1::KillReply reply;
  for (const auto& outcome : outcomes) {
    const bool is_evaluation = outcome.scope.starts_with("itm_");
    if (!outcome.scope.starts_with("lin_") && !is_evaluation) continue;
    v1::KilledLineage killed;
    killed.set_lineage_id(outcome.scope);
    add_remaining(outcome, killed);
    if (is_evaluation) {
      killed.set_proof(to_wire(outcome.how));
      killed.set_took_ms(outcome.took_ms);
      *reply.add_lineages() = std::move(killed);
      continue;
    }
    dispatch::proof how = outcome.how;
    std::int64_t took_ms = outcome.took_ms;
    if (!before.contains(outcome.scope)) {  // found by its descent
      GERMLINE_TRY_ASSIGN(before[outcome.scope], reader_.lineage(outcome.scope));
    }
    const auto& info = before.at(outcome.scope);
    // The seed of a run belongs to all of its lineages: its proof is theirs.
    for (const auto& seed : outcomes) {
      if (seed.scope != info.run_id()) continue;
      how = std::max(how, seed.how);
      took_ms = std::max(took_ms, seed.took_ms);
      add_remaining(seed, killed);
    }
    // "All" are those that there still was something to kill of, not all that ever were.
    const bool was_over = is_final(info.state()) && how == dispatch::proof::nothing_ran;
    if (was_over && all) continue;
    killed.set_proof(to_wire(how));
    killed.set_took_ms(took_ms);
    *reply.add_lineages() = std::move(killed);
  }
  return reply;
}

}  // namespace germline
