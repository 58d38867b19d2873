#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"

namespace germline::cli {
namespace {

/// Whether some of the lineages that were asked about wait for money, as far as is told.
void hint_at_resume(const session& with, control_client& client, const std::string& target) {
  const auto runs = client.list_runs({});
  if (!runs) return;
  std::string paused;
  for (const auto& run : runs->runs()) {
    for (const auto& each : run.lineages()) {
      const bool is_meant = target.empty() || run.run_id().starts_with(target) ||
                            run.name() == target || each.lineage_id().starts_with(target);
      const bool waits = each.state() == v1::LINEAGE_STATE_PAUSED &&
                         each.pause_reason() == v1::PAUSE_REASON_BUDGET;
      if (is_meant && waits) paused += " " + safe_line(each.lineage_id());
    }
  }
  if (paused.empty()) return;
  with.message("germline: paused for want of money, and gone on with by `germline resume`:" +
               paused);
}

}  // namespace

exit_code run_budget(const session& with, const budget_options& options) {
  control_client client(with.settings, *with.time);
  result<v1::Budgets> reply = v1::Budgets();
  if (options.amount.empty()) {
    v1::GetBudgetsRequest request;
    request.set_target(options.target);
    reply = client.budgets(request);
  } else {
    const auto limit = parse_spending_limit(options.amount);
    if (!limit) return with.fail(limit.error());
    v1::SetBudgetRequest request;
    request.set_target(options.target);
    request.set_per_day(limit->per_day);
    if (!limit->is_none) request.set_budget_nanousd(limit->nanousd);
    reply = client.set_budget(request);
  }
  if (!reply) return with.fail(reply.error());
  if (options.fleet) {
    reply->clear_runs();
    reply->clear_lineages();
  }
  with.data(with.json ? to_json(*reply) : render_budgets(*reply, with.how));
  const auto& fleet = reply->fleet();
  if (options.fleet && !options.amount.empty() && fleet.has_budget_nanousd() &&
      fleet.budget_nanousd() < fleet.spent_nanousd() + fleet.held_nanousd()) {
    with.message(
        "germline: that is less than is spent and held: what is under way may spend what it holds, "
        "and nothing more begins that asks a model");
  }
  if (!options.amount.empty()) hint_at_resume(with, client, options.target);
  return exit_code::done;
}

}  // namespace germline::cli
