#include "cli/commands/budgets.hpp"

#include <algorithm>
#include <set>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/amount.hpp"

namespace germline::cli {
namespace {

/// Of all runs those that are not over, as `ps` lists them. How many others there are.
int leave_out_ended(control_client& client, v1::Budgets& budgets) {
  const auto runs = client.list_runs({});
  if (!runs) return 0;
  std::set<std::string> ended;
  for (const auto& run : runs->runs()) {
    const bool is_ended = std::ranges::all_of(
        run.lineages(), [](const v1::LineageInfo& each) { return is_over(each); });
    if (is_ended && run.lineages_size() > 0) ended.insert(run.run_id());
  }
  v1::Budgets kept;
  for (const auto& run : budgets.runs()) {
    if (!ended.contains(run.id())) *kept.add_runs() = run;
  }
  const int left_out = budgets.runs_size() - kept.runs_size();
  budgets.mutable_runs()->Swap(kept.mutable_runs());
  return left_out;
}

/// Which of the paused lineages that were asked about would go on now, and what keeps the others.
void hint_at_resume(const session& with, const v1::Budgets& budgets) {
  constexpr int most_told = 3;
  std::string ready;
  int told = 0;
  int kept = 0;
  for (const auto& each : budgets.paused()) {
    const auto id = safe_line(each.lineage_id());
    if (each.still().empty()) {
      ready += " " + id;
    } else if (++kept; told < most_told) {
      ++told;
      with.message("germline: " + id +
                   (each.waits() ? " is paused, and resumed would wait for "
                                 : " is paused, and would be again: ") +
                   summary({}, each.still(), 2'000));
    }
  }
  if (kept > told) {
    with.message("germline: and " + counted(kept - told, "paused lineage") +
                 " more would not go on at once");
  }
  if (ready.empty()) return;
  with.message("germline: paused for want of a budget, and gone on with by `germline resume`:" +
               ready);
}

/// That nothing with a model will run, or nothing more for now.
void warn_of_fleet(const session& with, const v1::Purse& fleet, const budget_options& options) {
  const auto warn = [&](unit of, const auto& purse, bool is_given, std::int64_t budget,
                        std::int64_t gone) {
    if (options.amount[of].empty() || !is_given) return;
    const auto is = "germline: the fleet's " + std::string(budget_word(of)) + " is " +
                    format_amount(of, budget) + (purse.per_day() ? " a day" : "");
    if (budget == 0) {
      with.message(is + ": nothing that asks a model will run");
    } else if (budget < gone) {
      with.message(is + ", less than is spent and held, " + format_amount(of, gone) +
                   ": what is under way may take what it holds, and nothing more begins that asks "
                   "a model");
    }
  };
  warn(unit::money, fleet, fleet.has_budget_nanousd(), fleet.budget_nanousd(),
       fleet.spent_nanousd() + fleet.held_nanousd());
  const auto warn_counted = [&](unit of, const v1::CountedPurse& purse) {
    warn(of, purse, purse.has_budget(), purse.budget(), purse.spent() + purse.held());
  };
  warn_counted(unit::tokens, fleet.tokens());
  warn_counted(unit::requests, fleet.requests());
}

result<v1::SetBudgetRequest> request_of(const budget_options& options) {
  v1::SetBudgetRequest request;
  request.set_target(options.target);
  request.set_keeps_money(options.amount.money.empty());
  if (!options.amount.money.empty()) {
    GERMLINE_TRY_ASSIGN(const auto limit, parse_spending_limit(unit::money, options.amount.money));
    request.set_per_day(limit.per_day);
    if (!limit.is_none) request.set_budget_nanousd(limit.most);
  }
  const auto read = [&](unit of, v1::BudgetLimit& out) -> result<void> {
    GERMLINE_TRY_ASSIGN(const auto limit, parse_spending_limit(of, options.amount[of]));
    out.set_per_day(limit.per_day);
    if (!limit.is_none) out.set_most(limit.most);
    return {};
  };
  if (!options.amount.tokens.empty()) GERMLINE_TRY(read(unit::tokens, *request.mutable_tokens()));
  if (!options.amount.requests.empty()) {
    GERMLINE_TRY(read(unit::requests, *request.mutable_requests()));
  }
  return request;
}

}  // namespace

result<void> check_knows_counts(control_client& client) {
  GERMLINE_TRY_ASSIGN(const auto known, client.budgets({}));
  if (known.fleet().has_tokens()) return {};
  return error(error_code::failed_precondition,
               "the coordinator is of an older version, which knows no budgets of tokens and "
               "requests: upgrade it, or leave them out");
}

exit_code run_budget(const session& with, const budget_options& options) {
  control_client client(with.settings, *with.time);
  result<v1::Budgets> reply = v1::Budgets();
  if (!options.sets()) {
    v1::GetBudgetsRequest request;
    request.set_target(options.target);
    reply = client.budgets(request);
  } else {
    const auto request = request_of(options);
    if (!request) return with.fail(request.error());
    if (request->has_tokens() || request->has_requests()) {
      if (const auto known = check_knows_counts(client); !known) return with.fail(known.error());
    }
    reply = client.set_budget(*request);
  }
  if (!reply) {
    const bool is_unknown = reply.error().code() == error_code::not_found;
    return with.fail(is_unknown ? error(error_code::not_found,
                                        reply.error().message() +
                                            ": a budget is a run's or a lineage's, by id or a "
                                            "run's name; `germline budget` lists the runs")
                                : reply.error());
  }
  if (options.fleet) {
    reply->clear_runs();
    reply->clear_lineages();
  }
  const bool is_list = !options.fleet && options.target.empty() && !options.all && !with.json;
  const int left_out = is_list ? leave_out_ended(client, *reply) : 0;
  with.data(with.json ? to_json(*reply) : render_budgets(*reply, with.how));
  if (left_out > 0) {
    with.message("germline: " + counted(left_out, "run") +
                 (left_out == 1 ? " that is" : " that are") + " over: germline budget --all");
  }
  if (options.fleet) warn_of_fleet(with, reply->fleet(), options);
  if (options.sets()) hint_at_resume(with, *reply);
  return exit_code::done;
}

}  // namespace germline::cli
