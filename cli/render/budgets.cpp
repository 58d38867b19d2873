#include <algorithm>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"
#include "common/unit_words.hpp"

namespace germline::cli {
namespace {

using table_rows = std::vector<std::vector<std::string>>;

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

/// Of tokens or requests, where there is a budget of them or attempts hold some.
void add_counted(table_rows& rows, const v1::CountedPurse& purse, std::string name) {
  if (!purse.has_budget() && purse.held() == 0) return;
  if (purse.per_day()) name += ", today (UTC)";
  std::string budget = "-", left = "-";
  // All of them in digits, so that they can be compared.
  const auto digits = [](std::int64_t count) { return std::to_string(count); };
  if (purse.has_budget()) {
    budget = digits(purse.budget()) + (purse.per_day() ? "/day" : "");
    left = digits(std::max<std::int64_t>(0, purse.budget() - purse.spent() - purse.held()));
  }
  rows.push_back({std::move(name), budget, digits(purse.spent()), digits(purse.held()), left});
}

void add_purse(table_rows& rows, const v1::Purse& purse, const std::string& name,
               const std::string& indent) {
  rows.push_back(row_of(purse, indent + name));
  add_counted(rows, purse.tokens(), indent + "  tokens");
  add_counted(rows, purse.requests(), indent + "  requests");
}

std::string name_of(const v1::Purse& run) {
  return safe_line(run.id()) + (run.name().empty() ? "" : " " + summary({}, run.name(), 24));
}

std::string in_digits(unit of, std::int64_t value) {
  return of == unit::money ? format_usd(value) : counted(value, std::string(words_of(of).one));
}

/// What the table has no room for, of the fleet.
std::string notes_of(unit of, bool per_day, std::int64_t in_all, std::int64_t unreconciled) {
  std::string text;
  if (per_day) {
    text += "in all days the fleet has " + std::string(words_of(of).taken) + " " +
            in_digits(of, in_all) + "\n";
  }
  if (unreconciled > 0) {
    text += in_digits(of, unreconciled) +
            " of what is spent are whole slices of attempts whose workers went away; a worker that "
            "comes back tells what they really cost\n";
  }
  return text;
}

/// Of what began before there was a budget of it, or repeats what did.
std::string unbounded_note(unit of, const v1::CountedPurse& purse, const std::string& whose) {
  if (!purse.has_budget() || purse.unbounded_attempts() == 0) return {};
  const bool is_one = purse.unbounded_attempts() == 1;
  return counted(purse.unbounded_attempts(), "attempt") + " of " + whose +
         (is_one ? ", which is" : ", which are") + " under way, " + (is_one ? "holds" : "hold") +
         " nothing of its " + std::string(budget_word(of)) + ": what " +
         (is_one ? "it takes counts when it ends\n" : "they take counts when they end\n");
}

std::string unbounded_notes(const v1::Purse& purse, const std::string& whose) {
  return unbounded_note(unit::tokens, purse.tokens(), whose) +
         unbounded_note(unit::requests, purse.requests(), whose);
}

std::string counted_notes(unit of, const v1::CountedPurse& purse) {
  return notes_of(of, purse.per_day(), purse.spent_in_all(), purse.unreconciled());
}

}  // namespace

std::string render_budgets(const v1::Budgets& budgets, const style& how) {
  const auto& fleet = budgets.fleet();
  table_rows rows;
  add_purse(rows, fleet, fleet.per_day() ? "fleet, today (UTC)" : "fleet", "");
  for (const auto& run : budgets.runs()) add_purse(rows, run, name_of(run), "");
  for (const auto& lineage : budgets.lineages()) {
    add_purse(rows, lineage, safe_line(lineage.id()), "  ");
  }
  auto unbounded = unbounded_notes(fleet, "the fleet");
  for (const auto& run : budgets.runs()) unbounded += unbounded_notes(run, safe_line(run.id()));
  return table(how, {"WHOSE", "BUDGET", "SPENT", "HELD", "LEFT"}, rows) +
         notes_of(unit::money, fleet.per_day(), fleet.spent_in_all_nanousd(),
                  fleet.unreconciled_nanousd()) +
         counted_notes(unit::tokens, fleet.tokens()) +
         counted_notes(unit::requests, fleet.requests()) + unbounded;
}

}  // namespace germline::cli
