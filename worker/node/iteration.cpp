#include "worker/node/iteration.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/random.hpp"
#include "sandbox/run.hpp"
#include "worker/node/commands_of.hpp"
#include "worker/node/evaluating.hpp"
#include "worker/node/importing.hpp"
#include "worker/node/iteration_sources.hpp"
#include "worker/node/judging.hpp"
#include "worker/node/model_session.hpp"
#include "worker/node/near_duplicate.hpp"
#include "worker/node/sandbox_git.hpp"
#include "worker/node/task_file.hpp"
#include "worker/node/transfers.hpp"
#include "worker/node/wire_texts.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_output_bytes = 64 * 1024;
constexpr std::size_t max_details_bytes = 16'000;

v1::Score to_proto(const evaluation_score& from) {
  v1::Score score;
  score.set_score(from.score);
  const auto put = [](const named_numbers& numbers, auto* into) {
    for (const auto& [name, value] : numbers) {
      auto* one = into->Add();
      one->set_name(name);
      one->set_value(value);
    }
  };
  put(from.metrics, score.mutable_metrics());
  put(from.descriptors, score.mutable_descriptors());
  put(from.cases, score.mutable_cases());
  return score;
}

/// What an agent's run left behind.
struct agent_run {
  process_outcome outcome;
  std::string output;
  pushed_objects pushed;
  model_obstacle obstacle;
  std::string unreadable;  // not empty: what it left cannot be taken, and why
  bool late = false;       // since the sandbox's time was up
};

/// How an attempt ends, before it is written as a result.
struct conclusion {
  v1::Ending ending = v1::ENDING_FAILED;
  refusal why;
};

class iteration final : public running_attempt {
 public:
  iteration(iteration_context context, v1::Lease lease, std::int64_t lease_until_boot_ms,
            progress_sink progress)
      : context_(std::move(context)),
        lease_(std::move(lease)),
        progress_(std::move(progress)),
        sandboxes_(*context_.backend, *context_.time, lease_until_boot_ms),
        deps_(context_.deps, sandboxes_, lease_until_boot_ms),
        model_(context_.models, *context_.time, lease_.attempt_id(), lease_until_boot_ms),
        moves_(*context_.bulk, *context_.time, random_),
        sources_(context_, lease_, sandboxes_, moves_) {}

  attempt_end run() override;
  void cancel(const std::string& why) override;
  void renew(std::int64_t lease_until_boot_ms) override;

 private:
  result<void> work();
  result<void> found();
  result<void> iterate();
  result<void> measure();
  result<void> prepare();
  result<void> prepare_deps();
  result<std::string> open_model(live_sandbox& box);
  result<model_obstacle> close_model();
  result<agent_run> run_agent();
  result<agent_run> take_given();
  result<import_answer> import(agent_run& agent, const std::optional<refusal>& failure);
  result<judgement> judge(const std::string& commit, const std::string* canonical_pack,
                          bool founding);
  result<void> conclude(conclusion how, agent_run& agent);
  result<void> deliver(const std::string& pack, judgement* verdict);

  std::string probation_task() const;
  sandbox_policy_spec policy() const { return policy_of(lease_, commands_); }
  void phase(v1::IterationPhase phase, const std::string& step, const std::string& status,
             const std::string& detail);
  void begin(v1::IterationPhase next, const std::string& step) { phase(next, step, "started", ""); }

  iteration_context context_;
  v1::Lease lease_;
  progress_sink progress_;
  sandbox_set sandboxes_;
  deps_fetch deps_;
  model_session model_;
  system_random random_;
  transfers moves_;
  iteration_sources sources_;
  genome_commands commands_;
  genome_commands seed_commands_;
  layer_pin deps_layer_;                 // of the genome's [deps], if it has some
  std::optional<refusal> deps_refused_;  // why they cannot be had, by the genome's fault
  spool parent_pack_;
  spool seed_pack_;
  v1::AttemptResult result_;
  bool usage_known_ = true;
  bool refused_for_good_ = false;  // no attempt on this machine does better as it stands
  bool by_gateway_ = false;        // and it is the gateway that refuses
  bool no_provider_ = false;       // an evaluation failed by it, or a mirror by itself
};

void iteration::phase(v1::IterationPhase phase, const std::string& step, const std::string& status,
                      const std::string& detail) {
  v1::AttemptProgress update;
  auto* event = update.mutable_event();
  event->set_attempt_id(lease_.attempt_id());
  event->set_time_ms(context_.time->utc_ms());
  event->set_phase(phase);
  event->set_step(step);
  event->set_status(status);
  event->set_detail(detail.substr(0, 4'096));
  progress_(std::move(update));
}

/// Where it is read the clone has nothing but the lineage.
std::string iteration::probation_task() const {
  auto alone = lease_;
  alone.clear_inspirations();
  return task_json_of(alone, commands_, *context_.time);
}

attempt_end iteration::run() {
  const auto started_ms = context_.time->boot_ms();
  result_.set_attempt_id(lease_.attempt_id());
  result_.set_fence(lease_.fence());
  const auto worked = work();
  result_.mutable_usage()->set_wall_ms(context_.time->boot_ms() - started_ms);
  result_.mutable_usage()->set_fetched_bytes(moves_.fetched_bytes());
  result_.mutable_usage()->set_put_bytes(moves_.put_bytes());
  if (worked && make_sendable(result_)) return result_;
  // The worker's own failure is no verdict on the agent.
  v1::AttemptCleaned gone;
  gone.set_attempt_id(lease_.attempt_id());
  const auto why = sandboxes_.cancelled() ? sandboxes_.why_cancelled()
                   : worked               ? "its result is too large to be sent"
                                          : worked.error().message();
  log_warning("attempt {} ends without a verdict: {}", lease_.attempt_id(), why);
  gone.set_why(printable(why.substr(0, 8'192)));
  if (usage_known_) *gone.mutable_usage() = result_.usage();
  gone.set_lasting(refused_for_good_);
  gone.set_by_gateway(by_gateway_);
  gone.set_no_provider(no_provider_);
  if (!worked && !sandboxes_.cancelled()) {
    constexpr std::size_t max_trouble_bytes = 512;
    const auto trouble = context_.disk->trouble_behind(worked.error());
    gone.set_trouble(printable(trouble.substr(0, max_trouble_bytes)));
  }
  return gone;
}

void iteration::cancel(const std::string& why) {
  // The agent's sandbox dies by this; its thread then ends the model session before it returns.
  sandboxes_.cancel(why);
  moves_.cancel();
}

void iteration::renew(std::int64_t lease_until_boot_ms) {
  sandboxes_.renew(lease_until_boot_ms);
  deps_.renew(lease_until_boot_ms);
  model_.renew(lease_until_boot_ms);
}

result<void> iteration::work() {
  GERMLINE_TRY(prepare());
  GERMLINE_TRY(prepare_deps());
  switch (lease_.kind()) {
    case v1::WORK_KIND_FOUND:
      return found();
    case v1::WORK_KIND_ITERATE:
      return iterate();
    case v1::WORK_KIND_EVALUATE:
      return measure();
    default:
      return error(error_code::invalid_argument,
                   "this worker's version does not know what the coordinator leased to it");
  }
}

result<void> iteration::prepare() {
  begin(v1::ITERATION_PHASE_PREPARING, "prepare");
  GERMLINE_TRY_ASSIGN(commands_, commands_of(lease_.genome_toml(), lease_.folder()));
  seed_commands_ = commands_;
  if (lease_.kind() == v1::WORK_KIND_EVALUATE) {  // what is measured is built already
    GERMLINE_TRY_ASSIGN(seed_pack_, sources_.objects_of(lease_.seed_commit()));
    return {};
  }
  GERMLINE_TRY_ASSIGN(parent_pack_, sources_.objects_of(lease_.parent_commit()));
  if (lease_.kind() == v1::WORK_KIND_FOUND) return {};
  GERMLINE_TRY_ASSIGN(seed_pack_, sources_.objects_of(lease_.seed_commit()));
  return {};
}

/// What [deps] came to, from the seed's files whatever is iterated: no generation changes them.
result<void> iteration::prepare_deps() {
  if (commands_.deps.files.empty()) return {};
  const bool founding = lease_.kind() == v1::WORK_KIND_FOUND;
  deps_wish wish;
  wish.commands = &commands_;
  GERMLINE_TRY_ASSIGN(wish.pack, (founding ? parent_pack_ : seed_pack_).view());
  wish.commit = founding ? lease_.parent_commit() : lease_.seed_commit();
  wish.base_digest = context_.base_digest;
  wish.attempt_id = lease_.attempt_id();
  wish.is_resumed = lease_.kind() == v1::WORK_KIND_ITERATE;
  wish.policy = policy_of(lease_, genome_commands());
  auto got = deps_.get(wish, [this](const std::string& status, const std::string& detail) {
    phase(v1::ITERATION_PHASE_PREPARING, "fetch_deps", status, detail);
  });
  if (!got) {
    refused_for_good_ = got.error().code() == error_code::failed_precondition;
    no_provider_ = got.error().code() == error_code::unavailable;
    return got.error();
  }
  deps_refused_ = std::move(got->refused);
  if (deps_refused_) return {};
  deps_layer_ = std::move(got->layer);
  commands_.deps_dir = deps_layer_.tree_path();
  seed_commands_.deps_dir = commands_.deps_dir;
  return {};
}

result<judgement> iteration::judge(const std::string& commit, const std::string* canonical_pack,
                                   bool founding) {
  judge_request request;
  GERMLINE_TRY_ASSIGN(const auto parent, parent_pack_.view());
  GERMLINE_TRY_ASSIGN(const auto seed, seed_pack_.view());
  request.packs = {parent};
  if (canonical_pack != nullptr) request.packs.push_back(*canonical_pack);
  request.commit = commit;
  request.seed_packs = {founding ? parent : seed};
  request.seed_commit = founding ? lease_.parent_commit() : lease_.seed_commit();
  request.commands = commands_;
  request.seed_commands = seed_commands_;
  request.expected_tests.assign(lease_.protected_tests().begin(), lease_.protected_tests().end());
  request.founding = founding;
  request.task_json = probation_task();
  request.model_name = lease_.model();
  request.policy = policy();
  return context_.judge->judge(
      sandboxes_, request,
      [this](v1::IterationPhase next, const std::string& step) { begin(next, step); });
}

result<void> iteration::deliver(const std::string& pack, judgement* verdict) {
  begin(v1::ITERATION_PHASE_REPORTING, "result");
  const put_ticket ticket{context_.worker_id, lease_.attempt_id(), lease_.fence()};
  if (!pack.empty()) {
    GERMLINE_TRY(moves_.put(ticket, content_kind::pack, pack));
  }
  if (verdict == nullptr) return {};
  GERMLINE_TRY_ASSIGN(const auto tar, verdict->artefact_tar.view());
  GERMLINE_TRY_ASSIGN(const auto id, moves_.put(ticket, content_kind::artefact, tar));
  if (id != verdict->artefact_id) {
    return error(error_code::data_loss, "the coordinator sealed the artefact as " + id +
                                            ", this worker as " + verdict->artefact_id);
  }
  result_.set_artefact_id(id);
  return {};
}

result<void> iteration::found() {
  if (deps_refused_) {
    result_.set_commit(lease_.parent_commit());
    result_.set_ending(v1::ENDING_REJECTED);
    result_.set_reason(deps_refused_->reason);
    result_.set_details(deps_refused_->details.substr(0, max_details_bytes));
    return {};
  }
  GERMLINE_TRY_ASSIGN(auto verdict, judge(lease_.parent_commit(), nullptr, true));
  for (const auto& test : verdict.tests) *result_.add_tests() = test;
  result_.set_commit(lease_.parent_commit());
  if (verdict.refused) {
    result_.set_ending(v1::ENDING_REJECTED);
    result_.set_reason(verdict.refused->reason);
    result_.set_details(verdict.refused->details);
    return {};
  }
  GERMLINE_TRY(deliver("", &verdict));
  verdict.artefact.keep();
  result_.set_ending(v1::ENDING_EVOLVED);
  for (const auto& name : verdict.protected_tests) result_.add_protected_tests(name);
  return {};
}

result<void> iteration::measure() {
  if (deps_refused_) {
    result_.set_ending(v1::ENDING_FAILED);
    result_.set_reason(deps_refused_->reason);
    result_.set_details(deps_refused_->details.substr(0, max_details_bytes));
    return {};
  }
  GERMLINE_TRY_ASSIGN(const auto parent, sources_.artefact_of(lease_.parent_artefact_id()));
  GERMLINE_TRY_ASSIGN(const auto artefact_dir, parent.tree_path());
  evaluation_request request;
  artefact_pin held_out;
  if (!lease_.held_out_id().empty()) {
    GERMLINE_TRY_ASSIGN(held_out, sources_.artefact_of(lease_.held_out_id()));
    GERMLINE_TRY_ASSIGN(request.held_out_dir, held_out.tree_path());
  }
  begin(v1::ITERATION_PHASE_RUNNING, "evaluation");
  GERMLINE_TRY_ASSIGN(const auto seed, seed_pack_.view());
  request.seed_packs = {seed};
  request.seed_commit = lease_.seed_commit();
  request.artefact_dir = artefact_dir;
  request.commands = commands_;
  request.policy = policy();
  request.random_seed = lease_.random_seed();
  if (commands_.fitness.model != model_kind::none) {
    request.open_model = [this](live_sandbox& box) -> result<std::vector<std::string>> {
      GERMLINE_TRY_ASSIGN(const auto token, open_model(box));
      auto env = model_environment(gateway_port, token);
      env.push_back("GERMLINE_MODEL=" + lease_.model());
      return env;
    };
  }
  auto evaluated = evaluate(sandboxes_, request);
  GERMLINE_TRY_ASSIGN(const auto obstacle, close_model());
  GERMLINE_TRY_ASSIGN(auto measured, std::move(evaluated));
  if (sandboxes_.cancelled()) return error(error_code::cancelled, sandboxes_.why_cancelled());
  result_.mutable_usage()->set_cpu_ms(measured.cpu_ms);
  result_.mutable_usage()->set_peak_memory_bytes(measured.peak_memory_bytes);
  // What was measured while the model was away says nothing of the candidate. Where it had answers,
  // a score stays though the newest request failed.
  const bool was_away = !measured.score || result_.usage().output_tokens() == 0;
  if (obstacle.kind == obstacle_kind::upstream && was_away) {
    no_provider_ = true;
    return error(error_code::unavailable, explain_obstacle(obstacle));
  }
  // That its bound is spent, or which dialect it speaks, is the candidate's own affair, and its
  // evaluator's to judge.
  if (obstacle.kind == obstacle_kind::budget || obstacle.kind == obstacle_kind::dialect ||
      obstacle.kind == obstacle_kind::difference) {
    measured.details = explain_obstacle(obstacle) + "\n" + measured.details;
  }
  if (measured.score) {
    result_.set_ending(v1::ENDING_SCORED);
    result_.set_details(measured.details.substr(0, max_details_bytes));
    *result_.mutable_score() = to_proto(*measured.score);
    return {};
  }
  result_.set_ending(v1::ENDING_FAILED);
  result_.set_reason(measured.why.reason);
  auto details = measured.why.details;
  if (!measured.details.empty()) details += "\n" + measured.details;
  result_.set_details(details.substr(0, max_details_bytes));
  return {};
}

/// Gives who is in the sandbox a model. The token that is asked for, of this attempt alone.
result<std::string> iteration::open_model(live_sandbox& box) {
  const auto token = "germline-" + make_uuid7_hex(*context_.time, random_) +
                     make_uuid7_hex(*context_.time, random_);
  model_grant grant;
  grant.token = token;
  grant.model = lease_.model();
  grant.limits = lease_.limits();
  const auto answers = lease_.replay_answers();
  if (answers == v1::REPLAY_ANSWERS_LENIENT || answers == v1::REPLAY_ANSWERS_STRICT) {
    grant.replay = {lease_.replay_of(), answers == v1::REPLAY_ANSWERS_STRICT};
  }
  const auto opened =
      model_.open(std::move(grant), box.get().take_gateway_listener(), box.wall_until_boot_ms());
  if (opened) return token;
  refused_for_good_ = opened.error().code() == error_code::failed_precondition;
  by_gateway_ = refused_for_good_;
  return opened.error();
}

/// Takes it away, and notes what was used. What stood in the way of the newest request.
result<model_obstacle> iteration::close_model() {
  auto account = model_.close();
  if (!account) {
    usage_known_ = false;
    return account.error().within("what the attempt used is not known");
  }
  *result_.mutable_usage() = account->usage;
  return std::move(account->obstacle);
}

result<agent_run> iteration::run_agent() {
  GERMLINE_TRY_ASSIGN(const auto parent, sources_.artefact_of(lease_.parent_artefact_id()));
  GERMLINE_TRY_ASSIGN(const auto artefact_dir, parent.tree_path());
  GERMLINE_TRY_ASSIGN(const auto history, parent_pack_.view());
  GERMLINE_TRY_ASSIGN(auto box, sources_.open_workspace(commands_, history, artefact_dir));
  const bool with_model = commands_.model != "none";
  std::string token;
  if (with_model) {
    GERMLINE_TRY_ASSIGN(token, open_model(*box));
  }
  begin(v1::ITERATION_PHASE_RUNNING, "agent");
  process_spec process;
  process.argv = {
      "/bin/sh", "-c",
      "exec " + place_run_command(commands_.run, commands_.artefact, "/germline/artefact")};
  process.cwd = genome_root(commands_, "/workspace");
  process.env = agent_environment(commands_, gateway_port, token);
  capture_limits limits;
  limits.stdout_bytes_max = max_output_bytes;
  limits.merge_stderr = true;
  limits.wall_ms = std::max<std::int64_t>(1, box->wall_until_boot_ms() - context_.time->boot_ms());
  auto ran = run_captured(box->get(), std::move(process), "", limits);
  GERMLINE_TRY_ASSIGN(auto obstacle, close_model());
  if (!ran) return ran.error().within("running the agent");
  if (const auto usage = box->get().read_usage()) {
    result_.mutable_usage()->set_cpu_ms(usage->cpu_ms);
    result_.mutable_usage()->set_peak_memory_bytes(usage->peak_memory_bytes);
  }
  agent_run agent;
  agent.outcome = ran->outcome;
  agent.output = ran->out.text();
  agent.obstacle = std::move(obstacle);
  begin(v1::ITERATION_PHASE_IMPORTING, "import");
  // The sandbox of an agent that failed may be dead, as may one whose time has run out: then
  // nothing of it is read. One that went by itself under an agent that did well says nothing about
  // the agent.
  constexpr std::int64_t early_ms = 250;  // the supervisor's clock is read at another moment
  const auto is_late = [&] {
    return context_.time->boot_ms() + early_ms >= box->wall_until_boot_ms();
  };
  const auto went_by_itself = [&](const error& why) {
    return why.code() == error_code::unavailable && agent.outcome.succeeded() && !is_late();
  };
  const auto cannot_take = [&](const std::string& what, const error& why) {
    agent.late = why.code() == error_code::unavailable && is_late();
    agent.unreadable = what + ": " + why.message();
  };
  if (agent.outcome.succeeded() && !commands_.result_is_push) {
    if (const auto committed = commit_worktree(box->get(), "Changes of the work tree");
        !committed) {
      if (went_by_itself(committed.error())) return committed.error();
      cannot_take("the work tree cannot be committed", committed.error());
    }
  }
  if (auto pushed = read_pushed(box->get(), lease_.parent_commit(), max_pushed_bytes)) {
    agent.pushed = std::move(*pushed);
  } else {
    if (went_by_itself(pushed.error())) {
      return pushed.error().within("reading what the agent pushed");
    }
    log_warning("attempt {}: {}", lease_.attempt_id(), pushed.error().message());
    if (!agent.late) cannot_take("what was pushed cannot be taken", pushed.error());
  }
  GERMLINE_TRY(box->destroy());
  return agent;
}

/// What was born elsewhere, as if an agent had pushed it.
result<agent_run> iteration::take_given() {
  auto came = sources_.given();
  begin(v1::ITERATION_PHASE_IMPORTING, "import");
  GERMLINE_TRY_ASSIGN(auto objects, std::move(came));
  agent_run given;
  given.unreadable = std::move(objects.unreadable);
  if (given.unreadable.empty()) given.pushed = {lease_.given_commit(), std::move(objects.pack)};
  return given;
}

result<import_answer> iteration::import(agent_run& agent, const std::optional<refusal>& failure) {
  import_request request;
  GERMLINE_TRY_ASSIGN(request.parent_pack, parent_pack_.view());
  request.parent_commit = lease_.parent_commit();
  request.candidate_pack = agent.pushed.pack;
  request.candidate_commit = agent.pushed.commit;
  for (const auto& each : lease_.inspirations()) request.inspirations.push_back(each.commit());
  request.protected_globs = commands_.protected_globs;
  request.context_path = commands_.context;
  request.folder = commands_.folder;
  request.workspace_bytes = policy().workspace_bytes;
  request.context_only = failure.has_value();
  const bool is_given = !lease_.given_commit().empty();
  request.write_entry = !commands_.result_is_push || is_given;
  const auto number = std::to_string(lease_.number());
  if (failure) {
    request.entry_action = "iteration " + number + ": " + failure->reason;
    request.entry_details = failure->details;
  } else if (is_given) {
    request.entry_action = "iteration " + number + ": imported";
    request.entry_details = "the source of " + lease_.given_origin() + " of another archive";
  } else {
    request.entry_action = "iteration " + number + ": changed the work tree";
    request.entry_details = "recorded by Germline for an agent that does not commit by itself";
  }
  request.run_id = lease_.run_id();
  request.lineage_id = lease_.lineage_id();
  request.attempt_id = lease_.attempt_id();
  request.fence = lease_.fence();
  request.number = lease_.number();
  request.utc_ms = context_.time->utc_ms();
  GERMLINE_TRY_ASSIGN(auto input, context_.artefacts->make_spool());
  return import_candidate_in_sandbox(sandboxes_, context_.programs_dir, request, std::move(input));
}

/// Writes the ending, and the commit of the context alone that the next generation reads.
result<void> iteration::conclude(conclusion how, agent_run& agent) {
  result_.set_ending(how.ending);
  result_.set_reason(how.why.reason);
  result_.set_details(how.why.details.substr(0, max_details_bytes));
  GERMLINE_TRY_ASSIGN(auto answer, import(agent, how.why));
  if (answer.refused && !agent.pushed.commit.empty()) {
    // The candidate's objects cannot even be read for their context: keep the parent's.
    agent.pushed = {};
    GERMLINE_TRY_ASSIGN(answer, import(agent, how.why));
  }
  if (answer.refused) {
    return error(error_code::internal, "no context commit: " + answer.refused->details);
  }
  GERMLINE_TRY(deliver(answer.pack, nullptr));
  result_.set_commit(answer.commit);
  result_.set_raw_commit(answer.raw_commit);
  if (result_.action().empty()) result_.set_action(answer.action);
  return {};
}

result<void> iteration::iterate() {
  if (deps_refused_) {
    agent_run none;
    return conclude({v1::ENDING_FAILED, *deps_refused_}, none);
  }
  GERMLINE_TRY_ASSIGN(auto agent, lease_.given_commit().empty() ? run_agent() : take_given());
  if (sandboxes_.cancelled()) return error(error_code::cancelled, sandboxes_.why_cancelled());
  if (!agent.outcome.succeeded()) {
    return conclude({v1::ENDING_FAILED, explain_agent(agent.outcome, agent.obstacle, agent.output)},
                    agent);
  }
  if (agent.late) {
    const auto seconds = std::to_string(policy().wall_ms / 1'000);
    return conclude({v1::ENDING_FAILED,
                     {"time", "the wall time of " + seconds +
                                  " s was up before what the agent left could be taken"}},
                    agent);
  }
  if (!agent.unreadable.empty()) {
    return conclude({v1::ENDING_REJECTED, {"objects", agent.unreadable}}, agent);
  }
  if (agent.pushed.commit.empty()) {
    const auto* what = commands_.result_is_push ? "the agent pushed nothing"
                                                : "the agent changed nothing in the work tree";
    return conclude({v1::ENDING_STALLED, {"no_change", what}}, agent);
  }
  GERMLINE_TRY_ASSIGN(auto answer, import(agent, std::nullopt));
  result_.set_raw_commit(answer.raw_commit);
  result_.set_action(answer.action);
  if (answer.refused) return conclude({v1::ENDING_REJECTED, *answer.refused}, agent);
  if (answer.stalled) {
    const auto* what = lease_.given_commit().empty() ? "the agent changed nothing but its context"
                                                     : "what is imported is what it starts from";
    return conclude({v1::ENDING_STALLED, {"no_change", what}}, agent);
  }
  if (const auto again = why_near_duplicate(lease_, answer.change_sketch)) {
    result_.set_change_sketch(answer.change_sketch);
    return conclude({v1::ENDING_REJECTED, *again}, agent);
  }
  GERMLINE_TRY_ASSIGN(auto verdict, judge(answer.commit, &answer.pack, false));
  for (const auto& test : verdict.tests) *result_.add_tests() = test;
  if (verdict.refused) return conclude({v1::ENDING_REJECTED, *verdict.refused}, agent);
  GERMLINE_TRY(deliver(answer.pack, &verdict));
  verdict.artefact.keep();
  result_.set_ending(v1::ENDING_EVOLVED);
  result_.set_commit(answer.commit);
  result_.set_source_id(answer.source_id);
  result_.set_change_sketch(answer.change_sketch);
  for (const auto& each : lease_.inspirations()) {
    if (std::ranges::find(answer.merged, each.commit()) != answer.merged.end()) {
      result_.add_merged(each.generation_id());
    }
  }
  result_.set_build_id(build_id_of(answer.source_id, context_.base_digest, commands_));
  return {};
}

}  // namespace

std::shared_ptr<running_attempt> make_iteration(const iteration_context& context,
                                                const v1::Lease& lease,
                                                std::int64_t lease_until_boot_ms,
                                                progress_sink progress) {
  return std::make_shared<iteration>(context, lease, lease_until_boot_ms, std::move(progress));
}

}  // namespace germline::worker
