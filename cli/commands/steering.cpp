#include <iostream>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"

namespace germline::cli {
namespace {

exit_code print_lineage(const session& with, const result<v1::LineageReply>& reply) {
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : render_lineage_line(reply->lineage(), with.how));
  return exit_code::done;
}

/// What was killed without proof is told to people; then the code says so too.
exit_code tell_unproved(const session& with, const v1::KillReply& reply, exit_code code) {
  const auto unproved = render_unproved(reply, with.time->utc_ms());
  if (unproved.empty()) return code;
  with.message("germline: " + unproved.substr(0, unproved.size() - 1));
  return exit_code::unproved;
}

/// As one word of a shell's.
std::string quoted(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char letter : text) word += letter == '\'' ? "'\\''" : std::string(1, letter);
  return word + "'";
}

/// `germline run` of the branch that `promote` makes of the lineage's newest generation, with what
/// is known of the run that it comes from.
std::string run_of(const v1::RunInfo& run, const v1::LineageInfo& from) {
  auto command = "germline run " + quoted(run.repository()) + " --branch " +
                 quoted("germline/" + from.head_generation());
  if (from.max_iterations() > 0) {
    command += " --iterations " + std::to_string(from.max_iterations());
  }
  if (!run.folder().empty()) command += " --folder " + quoted(run.folder());
  if (!run.model().empty()) {
    auto models = run.models();
    if (models.empty()) *models.Add() = run.model();
    for (const auto& model : models) command += " --model " + quoted(model);
    if (!run.model_choice().empty()) command += " --choose-model " + quoted(run.model_choice());
    command += " --budget " + quoted(format_usd(run.budget_nanousd()));
    if (run.evaluation_budget_nanousd() > 0) {
      command += " --evaluation-budget " + quoted(format_usd(run.evaluation_budget_nanousd()));
    }
    const auto add = [&](const char* flag, std::int64_t budget) {
      if (budget > 0) command += flag + format_count(budget);
    };
    add(" --token-budget ", run.budget_tokens());
    add(" --request-budget ", run.budget_requests());
    add(" --evaluation-token-budget ", run.evaluation_budget_tokens());
    add(" --evaluation-request-budget ", run.evaluation_budget_requests());
    add(" --lineage-token-budget ", run.lineage_budget_tokens());
    add(" --lineage-request-budget ", run.lineage_budget_requests());
  }
  if (!run.model().empty() && run.lineage_budget_nanousd() > 0) {
    command += " --lineage-budget " + quoted(format_usd(run.lineage_budget_nanousd()));
  }
  if (run.has_held_out()) command += " --held-out FOLDER";
  if (moves_lineages(run)) command += " --strategy " + quoted(run.strategy());
  if (run.inspirations() > 0) command += " --inspirations " + std::to_string(run.inspirations());
  if (run.priority() != 0) command += " --priority " + std::to_string(run.priority());
  if (run.weight() > 1) command += " --weight " + std::to_string(run.weight());
  for (const auto& rule : run.policy()) command += " --policy " + quoted(rule);
  for (const auto& tag : run.required_tags()) command += " --require " + quoted(tag);
  return command;
}

/// Of a lineage that has made all its iterations: how one goes on from where it ended. Empty where
/// it is none.
std::vector<std::string> ways_on(control_client& client, const std::string& target) {
  v1::ShowRequest request;
  request.set_target(target);
  const auto shown = client.show(request);
  if (!shown) return {};
  const auto& named = shown->run();
  const auto& lineage = named.lineages_size() == 1 ? named.lineages(0) : shown->lineage();
  // Whatever else it was paused for.
  const bool done =
      lineage.max_iterations() > 0 && lineage.iterations_done() >= lineage.max_iterations();
  if (!done || lineage.head_generation().empty()) return {};
  v1::GetTreeRequest whole;
  whole.set_target(lineage.lineage_id());
  const auto tree = client.get_tree(whole);
  if (!tree) return {};
  const auto& head = lineage.head_generation();
  return {"germline fork " + quoted(head),
          "germline promote " + quoted(head) + " && " + run_of(tree->run(), lineage)};
}

}  // namespace

exit_code run_kill(const session& with, const std::vector<std::string>& targets,
                   const std::string& why, bool clade) {
  control_client client(with.settings, *with.time);
  v1::KillReply all;
  std::vector<error> failures;
  auto code = exit_code::done;
  for (const auto& target : targets) {
    v1::KillRequest request;
    request.set_target(target);
    request.set_why(why);
    request.set_clade(clade);
    const auto reply = client.kill(request);
    if (!reply) {
      failures.push_back(reply.error());
      code = with.tell(reply.error());
      continue;
    }
    for (const auto& killed : reply->lineages()) *all.add_lineages() = killed;
  }
  if (with.json) {
    with.data(killed_json(all, failures));
  } else if (!all.lineages().empty()) {
    with.data(render_killed(all, with.how));
  } else if (failures.empty()) {
    with.message("germline: nothing was running");
  }
  return tell_unproved(with, all, code);
}

exit_code run_pause(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  return print_lineage(with, client.pause(request));
}

exit_code run_resume(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  const auto reply = client.resume(request);
  if (reply || reply.error().code() != error_code::failed_precondition) {
    return print_lineage(with, reply);
  }
  const auto ways = ways_on(client, lineage);
  if (ways.empty()) return with.fail(reply.error());
  const auto commands = "\n  " + ways[0] + "\nor, as a run of its own:\n  " + ways[1];
  const auto words = reply.error().message() + ". To go on from its newest generation:";
  if (with.json) return with.fail({reply.error().code(), words + commands});
  with.message("germline: " + words);
  // To be copied: their lines are not broken.
  std::cerr << indented({}, commands.substr(1), 0) << std::flush;
  return exit_code_of(reply.error().code());
}

exit_code run_rollback(const session& with, const std::string& lineage, const std::string& to,
                       const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::RollbackRequest request;
  request.set_lineage(lineage);
  request.set_to(to);
  request.set_why(why);
  const auto reply = client.rollback(request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : render_rolled_back(*reply, with.how));
  return exit_code::done;
}

exit_code run_fork(const session& with, const std::string& generation,
                   std::optional<std::int64_t> iterations) {
  control_client client(with.settings, *with.time);
  v1::ForkRequest request;
  request.set_generation(generation);
  if (iterations) request.set_max_iterations(*iterations);
  const auto reply = client.fork(request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply) : safe_line(reply->lineage().lineage_id()) + "\n");
  return exit_code::done;
}

exit_code run_retire(const session& with, const std::string& lineage, const std::string& why) {
  control_client client(with.settings, *with.time);
  v1::LineageRequest request;
  request.set_lineage(lineage);
  request.set_why(why);
  return print_lineage(with, client.retire(request));
}

exit_code run_scale(const session& with, const scale_options& options) {
  control_client client(with.settings, *with.time);
  v1::ScaleRequest request;
  request.set_run(options.run);
  request.set_lineages(static_cast<std::int32_t>(options.lineages.value_or(0)));
  request.set_kill(options.kill);
  request.set_why(options.why);
  const auto reply = client.scale(request);
  if (!reply) return with.fail(reply.error());
  const auto text = render_scaled(*reply, with.how);
  if (with.json) {
    with.data(to_json(*reply));
  } else if (!text.empty()) {
    with.data(text);
  } else {
    with.message("germline: the run has as many lineages already");
  }
  v1::KillReply killed;
  *killed.mutable_lineages() = reply->killed();
  return tell_unproved(with, killed, exit_code::done);
}

exit_code run_share(const session& with, const share_options& options) {
  if (!options.priority && !options.weight) {
    return with.fail(
        {error_code::invalid_argument, "nothing to set: give --weight, --priority or both"});
  }
  control_client client(with.settings, *with.time);
  v1::SetShareRequest request;
  request.set_run(options.run);
  if (options.priority) request.set_priority(static_cast<std::int32_t>(*options.priority));
  if (options.weight) request.set_weight(static_cast<std::int32_t>(*options.weight));
  const auto reply = client.set_share(request);
  if (!reply) return with.fail(reply.error());
  with.data(with.json ? to_json(*reply)
                      : safe_line(reply->run().run_id()) + " " + share_words(reply->run()) + "\n");
  return exit_code::done;
}

}  // namespace germline::cli
