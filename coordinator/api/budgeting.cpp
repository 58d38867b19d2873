// The part of `people` that tells and changes what may be spent.
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"

namespace germline {
namespace {

records::spending_limit limit_of(const v1::BudgetLimit& asked) {
  records::spending_limit limit;
  if (asked.has_most()) limit.most = asked.most();
  limit.per_day = asked.per_day();
  return limit;
}

result<void> check_has_budget(const resolved_target& target, const std::string& given) {
  const bool may =
      target.what == resolved_target::kind::run || target.what == resolved_target::kind::lineage;
  if (may) return {};
  return invalid("'" + given + "' is " + word(target.what) +
                 "; what has a budget is a run, a lineage, or all together (--fleet)");
}

}  // namespace

result<v1::Budgets> people::budgets(const std::string& target) {
  if (target.empty()) return reader_.budgets(std::nullopt, env_.time->utc_ms());
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(target));
  GERMLINE_TRY(check_has_budget(found, target));
  return reader_.budgets(found, env_.time->utc_ms());
}

result<v1::Budgets> people::set_budget(const v1::SetBudgetRequest& request) {
  records::budget_change change;
  change.now_ms = env_.time->utc_ms();
  if (!request.keeps_money()) {
    change.money.emplace();
    change.money->per_day = request.per_day();
    if (request.has_budget_nanousd()) change.money->most = request.budget_nanousd();
  }
  if (request.has_tokens()) change.tokens = limit_of(request.tokens());
  if (request.has_requests()) change.requests = limit_of(request.requests());
  for (const auto of : all_units) {
    const auto& limit = change.of(of);
    if (limit && limit->most.value_or(0) < 0) return invalid("a budget must not be negative");
    if (limit) GERMLINE_TRY(check_not_too_large(of, limit->most.value_or(0)));
  }
  if (!request.target().empty()) {
    GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.target()));
    GERMLINE_TRY(check_has_budget(found, request.target()));
    if (found.what == resolved_target::kind::run) {
      GERMLINE_TRY_ASSIGN(change.run, run_id::parse(found.id));
    } else {
      GERMLINE_TRY_ASSIGN(change.lineage, lineage_id::parse(found.id));
    }
  }
  GERMLINE_TRY(tell(system_, short_wait, actors_.dispatcher, change));
  return budgets(request.target());
}

}  // namespace germline
