#include <algorithm>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"

namespace germline::cli {
namespace {

std::vector<std::string> row_of(const v1::Purse& purse, std::string name) {
  const auto a_day = purse.per_day() ? "/day" : "";
  std::string budget = "-", left = "-";
  if (purse.has_budget_nanousd()) {
    budget = format_usd(purse.budget_nanousd()) + a_day;
    left = format_usd(std::max<std::int64_t>(
        0, purse.budget_nanousd() - purse.spent_nanousd() - purse.held_nanousd()));
  }
  return {std::move(name), budget, format_usd(purse.spent_nanousd()),
          format_usd(purse.held_nanousd()), left};
}

std::string name_of(const v1::Purse& run) {
  return safe_line(run.id()) + (run.name().empty() ? "" : " " + summary({}, run.name(), 24));
}

}  // namespace

std::string render_budgets(const v1::Budgets& budgets, const style& how) {
  const auto& fleet = budgets.fleet();
  std::vector<std::vector<std::string>> rows{
      row_of(fleet, fleet.per_day() ? "fleet, today (UTC)" : "fleet")};
  for (const auto& run : budgets.runs()) rows.push_back(row_of(run, name_of(run)));
  for (const auto& lineage : budgets.lineages()) {
    rows.push_back(row_of(lineage, "  " + safe_line(lineage.id())));
  }
  auto text = table(how, {"WHOSE", "BUDGET", "SPENT", "HELD", "LEFT"}, rows);
  if (fleet.per_day()) {
    text += "in all days the fleet has spent " + format_usd(fleet.spent_in_all_nanousd()) + "\n";
  }
  if (fleet.unreconciled_nanousd() > 0) {
    text += format_usd(fleet.unreconciled_nanousd()) +
            " of what is spent are whole slices of attempts whose workers went away; a worker that "
            "comes back tells what they really cost\n";
  }
  return text;
}

}  // namespace germline::cli
