#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands/budgets.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/follow.hpp"
#include "cli/commands/held_out.hpp"
#include "cli/commands/imports.hpp"
#include "cli/render/render.hpp"
#include "common/config/run_file.hpp"
#include "common/config/toml_values.hpp"
#include "common/git/repository.hpp"
#include "common/manifest/genome_manifest.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"
#include "common/text/utf8.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

template <class T, class U>
void lay_over(T& field, const std::optional<U>& said) {
  if (said) field = *said;
}

void lay_over(std::string& field, const std::string& said) {
  if (!said.empty()) field = said;
}

/// Budgets of tokens and requests.
result<void> lay_over_counts(run_file& run, const run_options& options) {
  const auto lay = [](std::int64_t& field, const std::string& said,
                      const char* flag) -> result<void> {
    if (said.empty()) return {};
    const auto parsed = parse_count(said);
    if (!parsed) return parsed.error().within(flag);
    field = *parsed;
    return {};
  };
  GERMLINE_TRY(lay(run.budget_tokens, options.token_budget, "--token-budget"));
  GERMLINE_TRY(lay(run.budget_requests, options.request_budget, "--request-budget"));
  GERMLINE_TRY(
      lay(run.lineage_budget_tokens, options.lineage_token_budget, "--lineage-token-budget"));
  GERMLINE_TRY(
      lay(run.lineage_budget_requests, options.lineage_request_budget, "--lineage-request-budget"));
  GERMLINE_TRY(lay(run.evaluation_budget_tokens, options.evaluation_token_budget,
                   "--evaluation-token-budget"));
  return lay(run.evaluation_budget_requests, options.evaluation_request_budget,
             "--evaluation-request-budget");
}

/// The file, where there is one, with the flags laid over it; checked.
result<run_file> read_run(const run_options& options) {
  run_file run;
  if (!options.file.empty()) {
    GERMLINE_TRY_ASSIGN(const auto text, read_small_file(options.file));
    GERMLINE_TRY_ASSIGN(run, parse_run_file(text, options.file));
    // Folders in the file are relative to the file.
    for (auto* folder : {&run.repository, &run.held_out}) {
      if (folder->empty()) continue;
      *folder = (fs::path(options.file).parent_path() / *folder).string();
    }
  }
  lay_over(run.repository, options.repository);
  lay_over(run.held_out, options.held_out);
  lay_over(run.name, options.name);
  lay_over(run.branch, options.branch);
  lay_over(run.folder, options.folder);
  lay_over(run.strategy, options.strategy);
  if (!options.models.empty()) {
    take_models(run, options.models);
    run.model_choice.clear();  // the file's is of its own models
  }
  lay_over(run.model_choice, options.model_choice);
  lay_over(run.goal, options.goal);
  lay_over(run.lineages, options.lineages);
  lay_over(run.iterations, options.iterations);
  lay_over(run.random_seed, options.random_seed);
  lay_over(run.priority, options.priority);
  lay_over(run.weight, options.weight);
  lay_over(run.inspirations, options.inspirations);
  if (!options.require.empty()) {
    GERMLINE_TRY_ASSIGN(run.required_tags, checked_tags(options.require));
  }
  if (!options.policy.empty()) run.policy = options.policy;
  if (!options.budget.empty()) {
    const auto budget = parse_usd(options.budget);
    if (!budget) return budget.error().within("--budget");
    run.budget_nanousd = *budget;
  }
  if (!options.evaluation_budget.empty()) {
    const auto each = parse_usd(options.evaluation_budget);
    if (!each) return each.error().within("--evaluation-budget");
    run.evaluation_budget_nanousd = *each;
  }
  if (!options.lineage_budget.empty()) {
    const auto own = parse_usd(options.lineage_budget);
    if (!own) return own.error().within("--lineage-budget");
    run.lineage_budget_nanousd = *own;
  }
  GERMLINE_TRY(lay_over_counts(run, options));
  GERMLINE_TRY(check_run(run));

  std::error_code failed;
  const auto repository = fs::canonical(run.repository.empty() ? "." : run.repository, failed);
  if (failed) {
    return error(error_code::not_found,
                 "no repository at '" + run.repository + "': " + failed.message());
  }
  run.repository = repository.string();
  if (run.name.empty()) run.name = repository.filename().string();
  return run;
}

v1::CreateRunRequest request_of(const run_file& run) {
  v1::CreateRunRequest request;
  // Names of folders and branches may be any bytes; these are for the record only.
  request.set_name(valid_utf8(run.name, name_bytes_max));
  request.set_repository(valid_utf8(run.repository));
  request.set_branch(run.branch);
  request.set_folder(run.folder);
  request.set_lineages(static_cast<std::int32_t>(run.lineages));
  request.set_max_iterations(run.iterations);
  request.set_strategy(run.strategy);
  request.set_priority(static_cast<std::int32_t>(run.priority));
  request.set_weight(static_cast<std::int32_t>(run.weight));
  request.set_inspirations(static_cast<std::int32_t>(run.inspirations));
  request.set_model(run.model);
  for (const auto& model : run.models) request.add_models(model);
  request.set_model_choice(run.model_choice);
  request.set_budget_nanousd(run.budget_nanousd > 0 ? run.budget_nanousd : 0);
  if (run.evaluation_budget_nanousd > 0) {
    request.set_evaluation_budget_nanousd(run.evaluation_budget_nanousd);
  }
  if (run.lineage_budget_nanousd > 0)
    request.set_lineage_budget_nanousd(run.lineage_budget_nanousd);
  const auto or_none = [](std::int64_t said) { return std::max<std::int64_t>(0, said); };
  request.set_budget_tokens(or_none(run.budget_tokens));
  request.set_budget_requests(or_none(run.budget_requests));
  request.set_evaluation_budget_tokens(or_none(run.evaluation_budget_tokens));
  request.set_evaluation_budget_requests(or_none(run.evaluation_budget_requests));
  request.set_lineage_budget_tokens(or_none(run.lineage_budget_tokens));
  request.set_lineage_budget_requests(or_none(run.lineage_budget_requests));
  request.set_goal(run.goal);
  request.set_random_seed(run.random_seed);
  for (const auto& tag : run.required_tags) request.add_required_tags(tag);
  for (const auto& rule : run.policy) request.add_policy(rule);
  auto& limits = *request.mutable_limits();
  limits.set_memory_bytes(run.memory_bytes);
  limits.set_cpu_milli(static_cast<std::int32_t>(run.cpu_milli));
  limits.set_wall_time_ms(run.wall_time_ms);
  limits.set_pids(static_cast<std::int32_t>(run.pids));
  limits.set_disk_bytes(run.disk_bytes);
  limits.set_max_requests(run.max_requests);
  limits.set_max_requests_per_minute(run.max_requests_per_minute);
  limits.set_max_output_tokens(run.max_output_tokens);
  limits.set_budget_nanousd(run.iteration_budget_nanousd);
  return request;
}

/// Whether it asks for a budget of tokens or requests.
bool counts(const v1::CreateRunRequest& request) {
  return request.budget_tokens() > 0 || request.budget_requests() > 0 ||
         request.lineage_budget_tokens() > 0 || request.lineage_budget_requests() > 0 ||
         request.evaluation_budget_tokens() > 0 || request.evaluation_budget_requests() > 0;
}

/// The settings of who calls; where that is root, as `up` demands on many machines, of the
/// repository's owner.
git::repository::user_settings settings_for(const std::string& repository) {
  struct stat info {};
  if (::geteuid() == 0 && ::stat(repository.c_str(), &info) == 0 && info.st_uid != 0) {
    const auto* owner = ::getpwuid(info.st_uid);  // NOLINT(concurrency-mt-unsafe)
    if (owner == nullptr) return {};
    const std::string home = owner->pw_dir;
    return {home, home + "/.config/git"};
  }
  const auto home = environment_variable("HOME").value_or("");
  const auto xdg = environment_variable("XDG_CONFIG_HOME").value_or("");
  if (!xdg.empty()) return {home, xdg + "/git"};
  return {home, home.empty() ? "" : home + "/.config/git"};
}

/// Says what lies in the working tree and not on the branch, since it is the branch that is run.
void tell_uncommitted(const session& with, const run_file& run, const std::string& branch) {
  const auto files = git::repository::uncommitted(run.repository, branch, run.folder,
                                                  settings_for(run.repository));
  if (!files || files->empty()) return;
  constexpr std::size_t most = 3;
  std::string names;
  for (std::size_t i = 0; i < files->size() && i < most; ++i) {
    names += (i == 0 ? "" : ", ") + safe_line((*files)[i]);
  }
  if (files->size() > most) names += " and " + std::to_string(files->size() - most) + " more";
  with.message("germline: not committed, and so no part of the run: " + names);
}

/// Reads the branch as the person who calls, who may read what the coordinator's account may not,
/// and on whose machine it may be.
result<git::repository::seed> read_seed(const run_file& run, const v1::CreateRunRequest& request) {
  constexpr std::int64_t max_pack_bytes = 256 << 20;
  std::vector<std::string> commits;
  for (const auto& each : request.imports()) commits.push_back(each.commit());
  auto seed = git::repository::export_seed(run.repository, run.branch, max_pack_bytes, commits);
  if (!seed && seed.error().code() == error_code::not_found) {
    return error(error_code::invalid_argument, seed.error().message());  // the input is wrong
  }
  if (!seed && !commits.empty()) return seed.error().within("the seed and imports");
  return seed;
}

/// What is committed in the repository is in every agent's clone.
result<void> check_not_committed(const run_file& run, const std::string& commit) {
  std::error_code failed;
  const auto folder = fs::canonical(run.held_out, failed);
  if (failed) return {};  // who reads it says so
  const auto place = folder.lexically_relative(run.repository).string();
  if (place.empty() || place == ".." || place.starts_with("../")) return {};
  if (place != ".") {
    GERMLINE_TRY_ASSIGN(const auto repository, git::repository::open(run.repository));
    GERMLINE_TRY_ASSIGN(const auto kind, repository.kind_at(commit, place));
    if (kind == git::path_kind::none) return {};
  }
  return error(error_code::invalid_argument,
               "--held-out: '" + run.held_out +
                   "' is committed in the repository, where agents read it, its history too: "
                   "keep the files in a folder outside of it, or run a repository whose history "
                   "never had them");
}

/// Brings the seed, and what evaluators alone are to see. Nothing where one of them is refused.
result<void> send_files(const session& with, control_client& client, const run_file& run,
                        v1::CreateRunRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto seed, read_seed(run, request));
  std::string held_out;
  if (!run.held_out.empty()) {
    GERMLINE_TRY(check_not_committed(run, seed.commit));
    GERMLINE_TRY_ASSIGN(held_out, read_held_out(run.held_out, seed.pack));
  }
  GERMLINE_TRY_ASSIGN(*request.mutable_seed_id(), client.put_seed(seed.pack));
  tell_uncommitted(with, run, seed.branch);
  request.set_seed_commit(seed.commit);
  request.set_branch(valid_utf8(seed.branch));
  if (held_out.empty()) return {};
  GERMLINE_TRY_ASSIGN(const auto kept, client.put_held_out(held_out));
  request.set_held_out_id(kept.held_out_id());
  return {};
}

/// The seed's [deps]; none: there are none, or the coordinator says what is wrong with them.
std::optional<deps_request> deps_of(const run_file& run, const std::string& commit) {
  constexpr std::size_t manifest_bytes_max = 1 << 20;
  const auto repository = git::repository::open(run.repository);
  if (!repository) return {};
  const auto path = (fs::path(run.folder) / genome_manifest_path).lexically_normal().string();
  const auto text = repository->read_file_at(commit, path, manifest_bytes_max);
  if (!text) return {};
  const auto genome = parse_genome_manifest(*text);
  if (!genome || genome->deps.files.empty()) return {};
  return genome->deps;
}

std::string deps_words(const deps_request& deps) {
  std::string from;
  for (const auto& name : deps.mirrors) from += (from.empty() ? "" : ", ") + name;
  return "`" + deps.command + "`, from the mirror" + (deps.mirrors.size() == 1 ? " " : "s ") +
         from + ", once on each worker that has " + (deps.mirrors.size() == 1 ? "it" : "them");
}

std::string plan_json(const v1::RunPlan& plan, const std::optional<deps_request>& deps) {
  if (!deps) return to_json(plan);
  auto out = nlohmann::ordered_json::parse(to_json(plan));
  out["deps"] = {{"files", deps->files}, {"command", deps->command}, {"mirrors", deps->mirrors}};
  return out.dump(1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

/// A run that only waits looks like one that goes on. `--follow` says what it waits for, in time.
void tell_missing_tags(const session& with, control_client& client, const run_file& run) {
  if (run.required_tags.empty()) return;
  const auto status = client.status({});
  if (!status) return;
  const auto& workers = status->workers();
  const bool there = std::any_of(workers.begin(), workers.end(), [&](const auto& each) {
    return each.connected() &&
           has_tags({each.tags().begin(), each.tags().end()}, run.required_tags);
  });
  if (there) return;
  const bool one = run.required_tags.size() == 1;
  with.message("germline: the run waits for a worker with the tag" + std::string(one ? " " : "s ") +
               join_tags(run.required_tags) + "; none that has joined has " +
               (one ? "it" : "all of them") + " (see `germline workers`)");
}

}  // namespace

exit_code run_run(const session& with, const run_options& options) {
  const auto run = read_run(options);
  if (!run) return with.fail(run.error());
  control_client client(with.settings, *with.time);
  auto request = request_of(*run);
  if (counts(request)) {
    if (const auto known = check_knows_counts(client); !known) return with.fail(known.error());
  }
  if (!options.imports.empty()) {
    constexpr std::int64_t usual_imports = 8;
    const auto found =
        find_imports(client, options.imports,
                     static_cast<std::size_t>(options.import_count.value_or(usual_imports)));
    if (!found) return with.fail(found.error());
    for (const auto& each : *found) *request.add_imports() = each;
  }
  if (const auto sent = send_files(with, client, *run, request); !sent) {
    return with.fail(sent.error());
  }
  request.set_only_plan(options.dry_run);
  const auto created = client.create_run(request);
  if (!created) return with.fail(created.error());
  if (options.dry_run) {
    const auto deps = deps_of(*run, request.seed_commit());
    with.data(with.json
                  ? plan_json(created->plan(), deps)
                  : render_plan(created->plan(), request, with.how, deps ? deps_words(*deps) : ""));
    return exit_code::done;
  }
  if (with.json) {
    with.data(to_json(*created, options.follow));
  } else {
    with.data(safe_line(created->run_id()) + "\n");
    for (const auto& lineage : created->lineage_ids()) {
      with.message("lineage " + safe_line(lineage));
    }
  }
  if (options.follow) return follow_run(with, client, *created);
  tell_missing_tags(with, client, *run);
  return exit_code::done;
}

}  // namespace germline::cli
