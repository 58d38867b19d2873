// The part of `people` that founds runs: what is asked for is checked against the seed before a
// worker has it, and recorded, or told as a plan.
#include <algorithm>
#include <array>

#include "common/amount.hpp"
#include "common/config/run_file.hpp"
#include "common/context/agent_context.hpp"
#include "common/hash.hpp"
#include "common/manifest/genome_manifest.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"
#include "common/unit_words.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/evolution/arms.hpp"
#include "coordinator/evolution/inspirations.hpp"
#include "coordinator/evolution/run_policy.hpp"
#include "coordinator/evolution/strategy.hpp"

namespace germline {
namespace {

amount budget_of(const v1::CreateRunRequest& request) {
  return {request.budget_nanousd(), request.budget_tokens(), request.budget_requests()};
}
amount lineage_budget_of(const v1::CreateRunRequest& request) {
  return {request.lineage_budget_nanousd(), request.lineage_budget_tokens(),
          request.lineage_budget_requests()};
}
amount evaluation_budget_of(const v1::CreateRunRequest& request) {
  return {request.evaluation_budget_nanousd(), request.evaluation_budget_tokens(),
          request.evaluation_budget_requests()};
}

result<void> check_request(const v1::CreateRunRequest& request) {
  if (request.repository().empty()) return invalid("a run needs a repository: give its path");
  if (request.seed_id().empty() && request.repository().front() != '/') {
    return invalid("the repository's path must be absolute: '" + request.repository() + "'");
  }
  if (request.lineages() < 0 || request.lineages() > lineages_max) {
    return invalid("lineages must be 1 to " + std::to_string(lineages_max) + ": not " +
                   std::to_string(request.lineages()));
  }
  if (request.max_iterations() < 0) return invalid("iterations must not be negative");
  for (const auto of : all_units) {
    if (budget_of(request)[of] < 0) return invalid("a budget must not be negative");
    if (evaluation_budget_of(request)[of] < 0) {
      return invalid("what an evaluation may cost must not be negative");
    }
    if (lineage_budget_of(request)[of] < 0) {
      return invalid("what a lineage may spend must not be negative");
    }
    GERMLINE_TRY(check_not_too_large(of, budget_of(request)[of]));
    GERMLINE_TRY(check_not_too_large(of, lineage_budget_of(request)[of]));
    const auto most = records::most_of_an_attempt[of];
    if (evaluation_budget_of(request)[of] > most) {
      return invalid("an evaluation has at most " + format_amount(of, most) + ": not " +
                     format_amount(of, evaluation_budget_of(request)[of]));
    }
  }
  GERMLINE_TRY(check_run_texts({request.name(), request.branch(), request.folder(), request.model(),
                                request.goal(), request.strategy()}));
  const std::vector<std::string> models(request.models().begin(), request.models().end());
  GERMLINE_TRY(check_models(request.model(), models));
  if (!request.model_choice().empty() && models.empty()) {
    return invalid("how a model is chosen needs several models");
  }
  GERMLINE_TRY(evolution::parse_arm_rule(request.model_choice()));
  if (!request.model().empty() && request.budget_nanousd() == 0) {
    return invalid("a model needs a budget above $0: give --budget");
  }
  if (request.inspirations() < 0 || request.inspirations() > evolution::inspirations_max) {
    return invalid("inspirations must be 0 to " + std::to_string(evolution::inspirations_max));
  }
  if (request.imports_size() > imports_max) {
    return invalid("at most " + std::to_string(imports_max) + " generations can be imported");
  }
  for (const auto& each : request.imports()) {
    const bool is_commit = each.commit().size() == 40 &&
                           each.commit().find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_commit || !generation_id::parse(each.generation_id())) {
      return invalid("what is imported needs the id of a generation and its commit, 40 hex digits");
    }
  }
  GERMLINE_TRY(check_share(request.priority(), request.weight() == 0 ? 1 : request.weight()));
  const auto& l = request.limits();
  if (l.wall_time_ms() < 0 || l.memory_bytes() < 0 || l.cpu_milli() < 0 || l.pids() < 0 ||
      l.disk_bytes() < 0 || l.max_requests() < 0 || l.max_output_tokens() < 0 ||
      l.max_requests_per_minute() < 0 || l.budget_nanousd() < 0 || l.max_tokens() < 0) {
    return invalid("limits must not be negative");
  }
  if (l.max_tokens() > 0) {
    return invalid(
        "limits say how many tokens of output (max_output_tokens), not of all: of those "
        "an attempt gets a slice of its budgets");
  }
  return {};
}

std::string inside(const std::string& folder, const std::string& path) {
  return folder.empty() ? path : folder + "/" + path;
}

std::string without_slashes(std::string folder) {
  while (!folder.empty() && folder.back() == '/') folder.pop_back();
  return folder;
}

/// Whether `path` is a program in the seed's tree. `named_by`: "`tests` in [protect]".
result<void> check_program(refs::git_refs& repository, const std::string& commit,
                           const std::string& path, const std::string& named_by) {
  GERMLINE_TRY_ASSIGN(const auto kind, repository.kind_at(commit, path));
  const std::string what = path + ", which " + named_by + " of genome.toml names, ";
  switch (kind) {
    case git::path_kind::executable:
      return {};
    case git::path_kind::none:
      return invalid(what + "is not in the commit; is it committed?");
    case git::path_kind::file:
      return invalid(what + "is not executable; make it so with `git update-index --chmod=+x " +
                     path + "`, then commit it");
    case git::path_kind::folder:
    case git::path_kind::other:
      break;
  }
  return invalid(what + "is not a regular file");
}

/// Whether the seed's tree has what the manifest says that it has, and room for the context. What
/// is wrong here would cost each attempt to found the run, or each evaluation.
result<void> check_places(refs::git_refs& repository, const std::string& commit,
                          const std::string& folder, const genome_manifest& genome) {
  const std::string context = inside(folder, genome.context);
  for (auto slash = context.find('/'); slash != std::string::npos;
       slash = context.find('/', slash + 1)) {
    const std::string above = context.substr(0, slash);
    GERMLINE_TRY_ASSIGN(const auto kind, repository.kind_at(commit, above));
    if (kind == git::path_kind::none) break;
    if (kind != git::path_kind::folder) {
      return invalid(context + ", the context, cannot be written: " + above + " is no folder");
    }
  }
  if (!genome.protected_tests.empty()) {
    GERMLINE_TRY(check_program(repository, commit, inside(folder, genome.protected_tests),
                               "`tests` in [protect]"));
  }
  // A word without a folder, or an absolute one, is a program of the base.
  auto evaluator = genome.fitness.command.substr(0, genome.fitness.command.find(' '));
  if (evaluator.starts_with("./")) evaluator.erase(0, 2);
  if (evaluator.find('/') == std::string::npos || evaluator.front() == '/') return {};
  return check_program(repository, commit, inside(folder, evaluator), "`command` in [fitness]");
}

/// The rules, as they are written in full.
result<std::vector<std::string>> policy_of(const v1::CreateRunRequest& request,
                                           const evolution::policed_run& run) {
  GERMLINE_TRY_ASSIGN(const auto policy,
                      evolution::parse_policy({request.policy().begin(), request.policy().end()}));
  GERMLINE_TRY(evolution::check_policy(policy, run));
  std::vector<std::string> texts;
  for (const auto& rule : policy) texts.push_back(rule.text);
  return texts;
}

v1::HeldOut to_proto(const artefact::held_out& kept) {
  v1::HeldOut told;
  told.set_held_out_id(kept.id);
  told.set_files(static_cast<std::int32_t>(kept.files));
  told.set_bytes(kept.bytes);
  return told;
}

std::vector<std::string> commits_of(
    const google::protobuf::RepeatedPtrField<v1::ImportedGeneration>& imports) {
  std::vector<std::string> commits;
  for (const auto& each : imports) commits.push_back(each.commit());
  return commits;
}

/// Leaves nothing of a seed whose run is not recorded.
class kept_seed {
 public:
  kept_seed(refs::git_refs& repository, const run_id& run) : repository_(repository), run_(run) {}
  ~kept_seed() {
    if (!wanted_) repository_.forget_seed(run_);
  }
  kept_seed(const kept_seed&) = delete;
  kept_seed& operator=(const kept_seed&) = delete;
  void keep() { wanted_ = true; }

 private:
  refs::git_refs& repository_;
  const run_id& run_;
  bool wanted_ = false;
};

/// No more than the run's budget; less where the iterations and evaluations that there may be, 0
/// where they have no end, cannot spend it.
std::int64_t largest_cost(const records::new_run& run, std::int64_t iterations,
                          std::int64_t evaluations) {
  const auto budget = run.budget.money;
  const auto most = [budget](std::int64_t items, std::int64_t each) {
    constexpr std::int64_t attempts = 3;  // of one item, of which those before were lost
    if (each == 0 || items == 0 || items > budget / each / attempts) return budget;
    return items * attempts * each;
  };
  const auto iterating = run.agents_ask ? most(iterations, run.limits.budget_nanousd()) : 0;
  const auto each = run.evaluation_budget.money;
  const auto measuring = each > 0 ? most(evaluations, each) : 0;
  return iterating > budget - measuring ? budget : iterating + measuring;
}

/// A lineage's own budget: of what a model takes, and enough for an evaluation.
result<void> check_lineage_budget(const v1::CreateRunRequest& request, unit of) {
  const auto own = lineage_budget_of(request)[of];
  if (own == 0) return {};
  const auto given = budget_flag("lineage", of);
  if (request.model().empty()) {
    return invalid("a lineage's budget needs a model: leave " + given + " out");
  }
  const auto of_run = budget_of(request)[of];
  const auto each = evaluation_budget_of(request)[of];
  if ((of_run == 0 || own <= of_run) && own >= each) return {};
  return invalid("a lineage's budget is no more than the run's" +
                 (of_run > 0 ? ", " + format_amount(of, of_run) : "") +
                 ", and no less than what an evaluation may " + std::string(words_of(of).take) +
                 ", " + format_amount(of, each) + ": not " + format_amount(of, own) +
                 (of == unit::money ? "" : " (" + given + ")"));
}

/// What evaluations may take of it: said where candidates have a model, and the seed's own fit.
result<void> check_evaluation_budget(const v1::CreateRunRequest& request, unit of,
                                     const fitness_request& fitness) {
  const auto given = budget_flag("evaluation", of);
  const auto each = evaluation_budget_of(request)[of];
  const auto budget = budget_of(request)[of];
  if (fitness.model == model_kind::none) {
    if (each == 0) return {};
    return invalid("this genome's evaluations ask no model: leave " + given +
                   " out, or declare `model` in its [fitness]");
  }
  const bool is_bounded = of == unit::money || budget > 0 || lineage_budget_of(request)[of] > 0;
  if (each == 0 && is_bounded) {
    const auto& words = words_of(of);
    return invalid("this genome's candidates have a model ([fitness] model = \"" +
                   std::string(to_string(fitness.model)) + "\"): say " +
                   std::string(words.of_evaluations) + " with " + given + ", for example " + given +
                   " " + std::string(words.example));
  }
  const auto count = fitness.evaluations;
  if (each == 0 || (of != unit::money && budget == 0) || each <= budget / count) return {};
  return invalid("the " + std::string(budget_word(of)) + ", " + format_amount(of, budget) +
                 ", does not cover the seed's own " + std::to_string(count) +
                 (count == 1 ? " evaluation" : " evaluations") + " at " + format_amount(of, each) +
                 " each: give a larger " + budget_flag("", of) + ", or a smaller " + given);
}

/// What the genome's models need of the request, and what they have no use for.
result<void> check_budgets(const v1::CreateRunRequest& request, const genome_manifest& genome) {
  const bool measures = genome.fitness.model != model_kind::none;
  const bool asks = measures || genome.model != model_kind::none;
  if (!asks && !request.model().empty()) {
    return invalid("this genome declares model = \"none\": it takes no model");
  }
  if (asks && request.model().empty()) {
    return invalid("this genome needs a model: give --model and --budget");
  }
  for (const auto of : all_units) {
    if (!asks && of != unit::money && budget_of(request)[of] > 0) {
      return invalid("a " + std::string(budget_word(of)) + " needs a model: leave " +
                     budget_flag("", of) + " out");
    }
    GERMLINE_TRY(check_evaluation_budget(request, of, genome.fitness));
    GERMLINE_TRY(check_lineage_budget(request, of));
  }
  return {};
}

/// 0: no end.
std::int64_t most_evaluations(const records::new_run& run, std::int64_t iterations) {
  const auto strategy = evolution::parse_strategy(run.measured.strategy);
  if (iterations == 0 || !strategy || strategy->measures) return 0;
  return std::max(run.measured.evaluations, run.measured.elite_evaluations) * (iterations + 1);
}

}  // namespace

result<v1::PutSeedReply> people::put_seed(const std::string& pack) {
  v1::PutSeedReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_seed_id(), repository_.keep_seed(pack));
  return reply;
}

result<v1::HeldOut> people::put_held_out(const std::string& tar) {
  GERMLINE_TRY_ASSIGN(const auto kept, repository_.keep_held_out(tar));
  return to_proto(kept);
}

/// All of the run but its lineages.
result<records::new_run> people::prepare_run(const v1::CreateRunRequest& request,
                                             const run_id& id) {
  records::new_run run;
  run.id = id;
  run.folder = without_slashes(request.folder());
  GERMLINE_TRY_ASSIGN(
      auto seed, repository_.import_seed({request.repository(), request.branch(), request.seed_id(),
                                          request.seed_commit(), commits_of(request.imports())},
                                         run.folder, run.id));
  const std::string place = inside(run.folder, std::string(genome_manifest_path));
  GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(seed.genome_toml, place));
  GERMLINE_TRY(check_budgets(request, genome));
  GERMLINE_TRY(check_places(repository_, seed.commit, run.folder, genome));
  const std::string context_path = inside(run.folder, genome.context);
  const context_limits limits;
  const auto context =
      repository_.read_file(seed.commit, context_path, limits.bytes + context_reserve_bytes);
  if (context) {
    const auto sound = check_context(*context, limits);
    if (!sound) return invalid(context_path + ": " + sound.error().message());
  } else if (context.error().code() != error_code::not_found) {
    return invalid(context_path + ": " + context.error().message());
  }
  run.name = request.name().empty() ? genome.name : request.name();
  run.repository = request.repository();
  run.branch = seed.branch;
  run.seed_commit = seed.commit;
  run.genome_toml = seed.genome_toml;
  run.model = request.model();
  run.models = {request.models().begin(), request.models().end()};
  if (!run.models.empty()) {
    GERMLINE_TRY_ASSIGN(const auto rule, evolution::parse_arm_rule(request.model_choice()));
    run.model_choice = evolution::to_string(rule);
  }
  run.goal = request.goal();
  run.budget = budget_of(request);
  run.evaluation_budget = evaluation_budget_of(request);
  run.lineage_budget = lineage_budget_of(request);
  run.agents_ask = genome.model != model_kind::none;
  // SQLite's integers are signed.
  run.random_seed = request.random_seed() & random_seed_max;
  if (run.random_seed == 0) run.random_seed = 1 + env_.random->below(random_seed_max);
  run.max_iterations = request.max_iterations();
  run.limits = request.limits();
  run.share = {request.priority(), std::max(1, request.weight())};
  run.now_ms = env_.time->utc_ms();
  run.found_item = item_id::make(*env_.time, *env_.random);
  auto strategy = evolution::parse_strategy(request.strategy());
  if (!strategy) return strategy.error();
  if (strategy->make && genome.fitness.command.empty()) {
    return invalid("strategy " + strategy->text + " chooses parents by their fitness, and " +
                   place + " has no [fitness]: give it one, or take the strategy chain");
  }
  run.measured.strategy = strategy->text;
  if (request.inspirations() > 0 && !strategy->make) {
    return invalid(
        "inspirations are taken from what a strategy chooses among, and chain chooses nothing: "
        "take "
        "another, such as best or archive-sampling");
  }
  run.measured.inspirations = request.inspirations();
  if (request.imports_size() > 0 && !strategy->make) {
    return invalid(
        "what is imported is put beside the seed for a strategy to choose among, and chain chooses "
        "nothing: take another, such as best or archive-sampling");
  }
  const auto iterations = request.max_iterations() * std::max(1, request.lineages());
  if (iterations > 0 && iterations < request.imports_size()) {
    return invalid("each import needs an iteration, and the run has " + std::to_string(iterations) +
                   " for " + std::to_string(request.imports_size()) +
                   " imports: give it more iterations, or import fewer");
  }
  for (const auto& each : request.imports()) {
    run.imports.push_back({*generation_id::parse(each.generation_id()), each.commit()});
  }
  GERMLINE_TRY_ASSIGN(const auto sizes, repository_.sizes_at({seed.commit, run.folder}));
  run.seed_sizes = {sizes.source_bytes, sizes.context_bytes};
  GERMLINE_TRY_ASSIGN(
      run.measured.policy,
      policy_of(request, {static_cast<bool>(strategy->make), !genome.fitness.command.empty(),
                          run.agents_ask, sizes.source_bytes, sizes.context_bytes}));
  if (!genome.fitness.command.empty()) {
    const bool maximizes = genome.fitness.direction == fitness_direction::maximize;
    run.measured.direction =
        maximizes ? v1::FITNESS_DIRECTION_MAXIMIZE : v1::FITNESS_DIRECTION_MINIMIZE;
    run.measured.evaluations = genome.fitness.evaluations;
    run.measured.elite_evaluations = genome.fitness.elite_evaluations;
    std::array<std::uint8_t, 16> key{};
    env_.random->fill(key);
    run.measured.key = to_hex(key);
  }
  if (!request.held_out_id().empty()) {
    if (genome.fitness.command.empty()) {
      return invalid("held-out files are for evaluators, and " + place +
                     " has no [fitness]: give it one, or leave --held-out out");
    }
    GERMLINE_TRY_ASSIGN(run.held_out, repository_.find_held_out(request.held_out_id()));
  }
  GERMLINE_TRY_ASSIGN(run.required_tags, checked_tags({request.required_tags().begin(),
                                                       request.required_tags().end()}));
  return run;
}

result<v1::CreateRunReply> people::create_run(const v1::CreateRunRequest& request) {
  GERMLINE_TRY(check_request(request));
  const auto id = run_id::make(*env_.time, *env_.random);
  kept_seed seed(repository_, id);
  GERMLINE_TRY_ASSIGN(auto run, prepare_run(request, id));
  const int lineages = std::max(1, request.lineages());
  v1::CreateRunReply reply;
  if (request.only_plan()) {
    GERMLINE_TRY_ASSIGN(*reply.mutable_plan(), plan_of(run, lineages));
    *reply.mutable_plan()->mutable_asked() = request;
    return reply;
  }
  reply.set_run_id(run.id.str());
  for (int i = 0; i < lineages; ++i) {
    run.lineages.push_back(lineage_id::make(*env_.time, *env_.random));
    reply.add_lineage_ids(run.lineages.back().str());
  }
  seed.keep();  // also where nobody knows whether it was recorded
  GERMLINE_TRY(tell(system_, short_wait, actors_.runs, run));
  return reply;
}

result<v1::RunPlan> people::plan_of(const records::new_run& run, int lineages) {
  v1::RunPlan plan;
  GERMLINE_TRY_ASSIGN(const auto genome, parse_genome_manifest(run.genome_toml));
  plan.set_genome(genome.name);
  plan.set_seed_commit(run.seed_commit);
  plan.set_branch(run.branch);
  plan.set_strategy(run.measured.strategy);
  *plan.mutable_policy() = {run.measured.policy.begin(), run.measured.policy.end()};
  plan.set_lineages(lineages);
  plan.set_imports(static_cast<std::int32_t>(run.imports.size()));
  plan.set_max_iterations(run.max_iterations * lineages);
  plan.set_evaluations(run.measured.evaluations);
  plan.set_elite_evaluations(run.measured.elite_evaluations);
  plan.set_max_evaluations(most_evaluations(run, plan.max_iterations()));
  if (!run.held_out.id.empty()) *plan.mutable_held_out() = to_proto(run.held_out);
  const auto most = largest_cost(run, plan.max_iterations(), plan.max_evaluations());
  const auto own = run.lineage_budget.money;
  plan.set_max_cost_nanousd(own > 0 && own < most / lineages ? own * lineages : most);
  GERMLINE_TRY_ASSIGN(const auto budgets, reader_.budgets(std::nullopt, env_.time->utc_ms()));
  *plan.mutable_fleet() = budgets.fleet();
  GERMLINE_TRY_ASSIGN(const auto known, fleet());
  for (const auto& worker : known.workers) {
    if (!worker.connected || worker.cordoned || !has_tags(worker.tags, run.required_tags)) continue;
    plan.set_workers(plan.workers() + 1);
    plan.set_slots(plan.slots() + worker.slots);
  }
  return plan;
}

}  // namespace germline
