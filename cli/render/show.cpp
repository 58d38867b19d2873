#include <algorithm>
#include <cmath>

#include "cli/render/render.hpp"
#include "cli/render/sheet.hpp"
#include "cli/render/words.hpp"
#include "common/clock.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

void add_usage(sheet& out, const v1::Usage& usage) {
  if (usage.requests() > 0) {
    out.add("requests", std::to_string(usage.requests()));
    out.add_text("tokens", std::to_string(usage.input_tokens()) + " in, " +
                               std::to_string(usage.output_tokens()) + " out, " +
                               std::to_string(usage.cache_read_tokens()) + " from cache, " +
                               std::to_string(usage.cache_write_tokens()) + " to cache");
    out.add("cost", format_usd(usage.cost_nanousd()));
  }
  if (usage.wall_ms() > 0) out.add("wall", duration(usage.wall_ms()));
  if (usage.cpu_ms() > 0) out.add("cpu", duration(usage.cpu_ms()));
  if (usage.peak_memory_bytes() > 0) {
    constexpr std::int64_t mib = 1024 * 1024;
    out.add("peak memory", std::to_string(usage.peak_memory_bytes() / mib) + " MiB");
  }
  if (usage.fetched_bytes() > 0 || usage.put_bytes() > 0) {
    out.add("moved", rough_size(usage.fetched_bytes()) + " fetched, " +
                         rough_size(usage.put_bytes()) + " put");
  }
}

std::string run_sheet(const v1::RunInfo& run, const style& how) {
  sheet out(how);
  out.add("run", safe_line(run.run_id()));
  out.add_text("name", run.name());
  if (!run.replay_of().empty()) out.add("replay of", replay_words(run));
  out.add_text("repository", run.repository());
  out.add_text("branch", run.branch());
  out.add_text("folder", run.folder());
  out.add("seed", safe_line(run.seed_commit()));
  out.add("founding", safe_line(found_words(run)));
  out.add("share", share_words(run));
  out.add_text("strategy", run.strategy());
  if (run.inspirations() > 0) out.add("inspirations", std::to_string(run.inspirations()));
  for (const auto& rule : run.policy()) out.add_text("policy", rule);
  if (run.models().empty()) {
    out.add("model", run.model().empty() ? "none" : summary(how, run.model(), 60));
  } else {
    for (const auto& model : run.models()) out.add("model", summary(how, model, 60));
    out.add("chosen by", summary(how, run.model_choice(), 60));
  }
  if (!run.model().empty()) {
    const auto counted = counted_words(spent_of(run), budget_of(run));
    out.add("spent", format_usd(run.spent_nanousd()) + " of " + format_usd(run.budget_nanousd()) +
                         (counted.empty() ? "" : ", " + counted));
  }
  const auto evaluation =
      amount_words({run.evaluation_budget_nanousd(), run.evaluation_budget_tokens(),
                    run.evaluation_budget_requests()});
  if (!evaluation.empty()) out.add("evaluations", "at most " + evaluation + " each");
  const auto lineage_budget = amount_words(
      {run.lineage_budget_nanousd(), run.lineage_budget_tokens(), run.lineage_budget_requests()});
  if (!lineage_budget.empty()) out.add("lineages", "at most " + lineage_budget + " each");
  if (run.has_held_out()) {
    out.add("held out", held_out_words(run.held_out()));
    out.add_more(run.held_out().held_out_id());
  }
  if (run.required_tags_size() > 0) {
    out.add_text("requires", join_tags({run.required_tags().begin(), run.required_tags().end()}));
  }
  if (run.random_seed() > 0) out.add("random seed", std::to_string(run.random_seed()));
  out.add_time("created", run.created_ms());
  for (const auto& lineage : run.lineages()) {
    out.add("lineage", safe_line(lineage.lineage_id()) + " " + state_words(lineage));
  }
  out.add_block("details", refusal_details(run));
  return out.take();
}

/// What happened to a lineage, a line each; the reasons are cut.
std::string history_lines(const v1::ShowReply& reply, const style& how) {
  std::string text;
  for (const auto& each : reply.history()) {
    const auto& change = each.lineage();
    text += to_iso8601(each.time_ms()).substr(0, 19) + "Z " + change_words(change);
    if (!change.why().empty()) text += ": " + summary(how, change.why(), 400);
    text += "\n";
  }
  return text;
}

std::string lineage_sheet(const v1::ShowReply& reply, const style& how) {
  const auto& lineage = reply.lineage();
  sheet out(how);
  out.add("lineage", safe_line(lineage.lineage_id()));
  out.add("run", safe_line(lineage.run_id()));
  out.add("state",
          painted(how, colour_of(lineage.state(), lineage.pause_reason()), state_words(lineage)));
  out.add_time("created", lineage.created_ms());
  out.add_time("since", lineage.changed_ms());
  out.add_text("why", lineage.pause_details());
  out.add("forked from", safe_line(lineage.forked_from()));
  out.add("head", safe_line(lineage.head_generation()));
  out.add("commit", safe_line(lineage.head_commit()));
  out.add("depth", std::to_string(lineage.depth()));
  auto iterations = std::to_string(lineage.iterations_done());
  if (lineage.max_iterations() > 0) iterations += " of " + std::to_string(lineage.max_iterations());
  out.add("iterations", iterations);
  const auto counted = counted_words(spent_of(lineage), budget_of(lineage));
  out.add("spent", format_usd(lineage.spent_nanousd()) + (counted.empty() ? "" : ", " + counted));
  if (lineage.has_live()) {
    out.add("live", safe_line(lineage.live().item_id()) + " " + live_words(lineage.live()));
    out.add_text("waits for", lineage.live().waits_for());
  }
  out.add_text("waits for", idle_words(lineage));
  out.add_block("history", history_lines(reply, how));
  return out.take();
}

void add_numbers(sheet& out, std::string_view key,
                 const google::protobuf::RepeatedPtrField<v1::NamedNumber>& numbers) {
  std::string text;
  for (const auto& each : numbers) {
    text += (text.empty() ? "" : ", ") + each.name() + " " + number_words(each.value());
  }
  out.add_text(key, text);
}

std::string generation_sheet(const v1::ShowReply& reply, const style& how) {
  const auto& generation = reply.generation();
  sheet out(how);
  out.add("generation", safe_line(generation.generation_id()));
  out.add("lineage", safe_line(generation.lineage_id()));
  out.add("parent",
          generation.parent().empty() ? "none: the seed" : safe_line(generation.parent()));
  for (const auto& merged : generation.merged()) out.add("merged", safe_line(merged));
  out.add("number", std::to_string(generation.number()));
  out.add("depth", std::to_string(generation.depth()));
  out.add("commit", safe_line(generation.commit()));
  out.add("source_id", safe_line(generation.source_id()));
  out.add("artefact", safe_line(generation.artefact_id()));
  if (generation.source_bytes() > 0) {
    out.add("size", rough_size(generation.source_bytes()) + " of source, " +
                        rough_size(generation.context_bytes()) + " of context");
  }
  out.add("born of", safe_line(generation.born_of_iteration()));
  out.add_time("born", generation.born_ms());
  if (generation.barred()) out.add("killed", "it can be no parent any more");
  if (!generation.same_as().empty()) {
    out.add("same as", safe_line(generation.same_as()) + ", which had its source: measured there");
  }
  if (!generation.imported().empty()) {
    out.add("imported", "the source of " + safe_line(generation.imported()));
  }
  if (generation.likeness() > 0) {
    out.add("change", "like that of " + safe_line(generation.like_generation()) + " by " +
                          number_words(generation.likeness()));
  }
  if (generation.cost_nanousd() > 0) out.add("cost", format_usd(generation.cost_nanousd()));
  const auto words = fitness_words(generation, how);
  out.add("fitness", words.starts_with("fitness ") ? words.substr(8) : words);
  const auto& fitness = generation.fitness();
  if (fitness.samples() > 1) {
    out.add("interval", number_words(fitness.low()) + " to " + number_words(fitness.high()) +
                            ", of the mean at 95 %");
  }
  for (const auto& each : reply.evaluations()) {
    const auto scored = each.ending() == v1::ENDING_SCORED;
    out.add("evaluation",
            short_id(each.item_id()) + " " +
                (scored ? number_words(each.score().score())
                        : painted(how, colour_of(each.ending()), word(each.ending()))) +
                (each.usage().requests() > 0 ? ", " + format_usd(each.usage().cost_nanousd())
                                             : std::string()));
    if (scored) continue;
    out.add_more(reason_of(each));
    out.add_more(each.details().substr(0, each.details().find('\n')));
  }
  return out.take();
}

/// Whole, also where the parent was the lineage's own head.
void add_choice(sheet& out, const v1::IterationInfo& iteration) {
  if (!iteration.has_choice()) return;
  const auto& choice = iteration.choice();
  out.add("chosen among", std::to_string(choice.among()) + ", with probability " +
                              number_words(choice.probability()));
  out.add("unmeasured", std::to_string(choice.unmeasured()) + " at the choice");
  out.add("measured",
          std::to_string(choice.measured_since()) +
              (iteration.ended_ms() > 0 ? " between the choice and the end" : " since the choice"));
}

std::string iteration_sheet(const v1::IterationInfo& iteration, const style& how) {
  sheet out(how);
  const bool measures = iteration.kind() == v1::WORK_KIND_EVALUATE;
  out.add(measures ? "evaluation" : "iteration", safe_line(iteration.item_id()));
  out.add("lineage", safe_line(iteration.lineage_id()));
  out.add(measures ? "of" : "parent", safe_line(iteration.parent_generation()));
  if (!iteration.replay_of().empty()) out.add("replay of", safe_line(iteration.replay_of()));
  if (iteration.imported().empty()) {
    add_choice(out, iteration);
  } else {
    out.add("imported", "the source of " + safe_line(iteration.imported()) + "; no agent ran");
  }
  if (!iteration.model().empty()) out.add("model", summary(how, iteration.model(), 60));
  for (const auto& each : iteration.arms()) {
    out.add("arm", summary(how, each.model(), 60) + ", mean " + number_words(each.mean()) + " of " +
                       counted(each.pulls(), "pull") +
                       (std::isfinite(each.index()) ? ", index " + number_words(each.index())
                                                    : ", not tried yet"));
  }
  for (const auto& each : iteration.inspirations()) {
    out.add("inspiration",
            safe_line(each.generation_id()) + ", fitness " + number_words(each.mean()));
  }
  out.add("ending", painted(how, colour_of(iteration.ending()), word(iteration.ending())));
  if (iteration.ending() == v1::ENDING_UNSPECIFIED) out.add("phase", live_words(iteration));
  out.add_text("waits for", iteration.waits_for());
  out.add_text("reason", reason_of(iteration));
  out.add("commit", safe_line(iteration.commit()));
  out.add("generation", safe_line(iteration.generation_id()));
  // Only births have numbers: one that was not born leaves its own to the next.
  if (iteration.ending() == v1::ENDING_EVOLVED) {
    out.add("number", std::to_string(iteration.number()));
  }
  out.add_time("queued", iteration.started_ms());
  if (iteration.attempts_size() > 0) out.add_time("began", iteration.attempts(0).leased_ms());
  out.add_time("ended", iteration.ended_ms());
  if (iteration.ended_ms() > 0) {
    const auto spent = time_of(iteration);
    if (iteration.attempts_size() > 0) out.add("ran", duration(spent.ran_ms));
    if (spent.waited_ms >= long_wait_ms) out.add("waited", duration(spent.waited_ms));
  }
  for (const auto& attempt : iteration.attempts()) {
    out.add("attempt", safe_line(attempt.attempt_id()) + " " + word(attempt.state()));
    out.add_more("fence " + std::to_string(attempt.fence()) + ", worker " + attempt.worker_id());
    out.add_more(attempt.details());
  }
  add_usage(out, iteration.usage());
  if (iteration.has_score()) {
    const auto& score = iteration.score();
    out.add("score", number_words(score.score()));
    add_numbers(out, "metrics", score.metrics());
    add_numbers(out, "descriptors", score.descriptors());
    add_numbers(out, "cases", score.cases());
  }
  out.add_block("action", iteration.action());
  out.add_block("details", iteration.details());
  return out.take();
}

}  // namespace

std::string render_show(const v1::ShowReply& reply, const style& how) {
  std::string text;
  switch (reply.kind_case()) {
    case v1::ShowReply::kRun:
      text = run_sheet(reply.run(), how);
      break;
    case v1::ShowReply::kLineage:
      text = lineage_sheet(reply, how);
      break;
    case v1::ShowReply::kGeneration:
      text = generation_sheet(reply, how);
      break;
    case v1::ShowReply::kIteration:
      text = iteration_sheet(reply.iteration(), how);
      break;
    case v1::ShowReply::KIND_NOT_SET:
      return "the coordinator showed a kind of thing that this version does not know\n";
  }
  sheet context(how);
  context.add_verbatim("context", reply.context_json());
  return text + context.take();
}

}  // namespace germline::cli
