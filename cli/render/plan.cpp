#include <algorithm>

#include "cli/render/render.hpp"
#include "cli/render/sheet.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

/// What one iteration may take, as far as the run says it.
std::string limits_words(const v1::IterationLimits& limits) {
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : ", ") + words; };
  if (limits.wall_time_ms() > 0) add(format_duration_ms(limits.wall_time_ms()));
  if (limits.memory_bytes() > 0) add(format_size_bytes(limits.memory_bytes()) + " of memory");
  if (limits.cpu_milli() > 0) {
    add(number_words(static_cast<double>(limits.cpu_milli()) / 1'000) + " CPUs");
  }
  if (limits.pids() > 0)
    add(std::to_string(limits.pids()) + (limits.pids() == 1 ? " process" : " processes"));
  if (limits.disk_bytes() > 0) add(format_size_bytes(limits.disk_bytes()) + " of disk");
  if (limits.max_requests() > 0) add(counted(limits.max_requests(), "request"));
  if (limits.max_output_tokens() > 0) {
    add(counted(limits.max_output_tokens(), "token") + " of output");
  }
  if (limits.budget_nanousd() > 0) add(format_usd(limits.budget_nanousd()));
  return text.empty() ? "the workers' defaults" : text + "; else the workers' defaults";
}

std::string iterations_words(const v1::RunPlan& plan) {
  if (plan.max_iterations() == 0) {
    return plan.max_cost_nanousd() > 0 ? "no end but the budget, a policy and the person"
                                       : "no end but a policy and the person";
  }
  return "at most " + std::to_string(plan.max_iterations());
}

std::string evaluations_words(const v1::RunPlan& plan) {
  if (plan.evaluations() == 0) return "none: the genome has no [fitness]";
  auto text = std::to_string(plan.evaluations()) + " of each generation";
  if (plan.elite_evaluations() > 0) {
    text += ", " + std::to_string(plan.elite_evaluations()) + " of each that becomes the best";
  }
  const auto& asked = plan.asked();
  const auto each =
      amount_words({asked.evaluation_budget_nanousd(), asked.evaluation_budget_tokens(),
                    asked.evaluation_budget_requests()});
  if (!each.empty()) text += ", each of at most " + each;
  if (plan.max_iterations() == 0) return text;
  if (plan.max_evaluations() == 0) return text + ", and what the strategy asks for";
  return text + ", at most " + std::to_string(plan.max_evaluations());
}

std::string workers_words(const v1::RunPlan& plan, const v1::CreateRunRequest& request) {
  const bool wants_tags = request.required_tags_size() > 0;
  const std::string tagged = wants_tags ? " with its tags" : "";
  if (plan.workers() == 0)
    return "none that has joined" + tagged + " can be leased it: it would wait";
  return counted(plan.workers(), "worker") + tagged + ", " + counted(plan.slots(), "slot");
}

std::string fleet_line(unit of, bool per_day, std::int64_t budget, std::int64_t gone) {
  const auto left = std::max<std::int64_t>(0, budget - gone);
  return "all runs together at most " + format_amount(of, budget) + (per_day ? " a day" : "") +
         ", of which " + format_amount(of, left) + (left == 1 ? " is left now" : " are left now");
}

/// What bounds the run besides its own budget.
std::vector<std::string> fleet_lines(const v1::Purse& fleet) {
  std::vector<std::string> lines;
  if (fleet.has_budget_nanousd()) {
    lines.push_back(fleet_line(unit::money, fleet.per_day(), fleet.budget_nanousd(),
                               fleet.spent_nanousd() + fleet.held_nanousd()));
  }
  const auto add = [&](unit of, const v1::CountedPurse& purse) {
    if (!purse.has_budget()) return;
    lines.push_back(fleet_line(of, purse.per_day(), purse.budget(), purse.spent() + purse.held()));
  };
  add(unit::tokens, fleet.tokens());
  add(unit::requests, fleet.requests());
  return lines;
}

}  // namespace

std::string render_plan(const v1::RunPlan& plan, const v1::CreateRunRequest& request,
                        const style& how, std::string_view deps) {
  sheet out(how);
  out.add_text("plan of", request.name() + ", of which nothing was started");
  out.add_text("genome", plan.genome());
  out.add_text("branch", plan.branch());
  out.add("seed", safe_line(plan.seed_commit()));
  if (!deps.empty()) out.add_text("deps", std::string(deps));
  const auto& asked = plan.asked();
  const auto own = amount_words({asked.lineage_budget_nanousd(), asked.lineage_budget_tokens(),
                                 asked.lineage_budget_requests()});
  out.add("lineages",
          std::to_string(plan.lineages()) + (own.empty() ? "" : ", each of at most " + own));
  out.add("iterations", iterations_words(plan));
  out.add("evaluations", evaluations_words(plan));
  if (plan.has_held_out()) out.add("held out", held_out_words(plan.held_out()));
  out.add_text("strategy", plan.strategy());
  if (request.inspirations() > 0) {
    out.add("inspirations", std::to_string(request.inspirations()) + " of each iteration");
  }
  if (plan.imports() > 0) {
    out.add("imports", std::to_string(plan.imports()) + ", each in an iteration's place");
  }
  for (const auto& rule : plan.policy()) out.add_text("policy", rule);
  out.add_text("an iteration", limits_words(request.limits()));
  v1::RunInfo run;
  run.set_model(request.model());
  *run.mutable_models() = request.models();
  run.set_model_choice(request.model_choice().empty() ? "ucb1" : request.model_choice());
  out.add_text(request.models().empty() ? "model" : "models",
               request.model().empty() ? "none" : model_words(run));
  if (!request.model().empty()) {
    out.add("cost", "at most " + format_usd(plan.max_cost_nanousd()) + ", of a budget of " +
                        format_usd(request.budget_nanousd()));
    if (request.budget_tokens() > 0) {
      out.add("tokens", "at most " + format_count(request.budget_tokens()));
    }
    if (request.budget_requests() > 0) {
      out.add("requests", "at most " + format_count(request.budget_requests()));
    }
    for (const auto& line : fleet_lines(plan.fleet())) out.add("fleet", line);
    out.add_text("not checked",
                 "whether the workers' gateways serve " +
                     std::string(request.models().empty() ? "the model" : "the models") +
                     ", with a key and a price: the first iteration tells, and says what to add");
  } else {
    out.add("cost", "nothing: there is no model");
  }
  if (request.required_tags_size() > 0) {
    out.add_text("requires",
                 join_tags({request.required_tags().begin(), request.required_tags().end()}));
  }
  run.set_priority(request.priority());
  run.set_weight(request.weight());
  out.add("share", share_words(run));
  out.add("workers", workers_words(plan, request));
  return out.take();
}

}  // namespace germline::cli
