#include "worker/node/gateway_words.hpp"

#include <string_view>

namespace germline::worker {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

v1::BudgetUnit refused_unit(const model_obstacle& obstacle) {
  if (obstacle.kind != obstacle_kind::budget) return v1::BUDGET_UNIT_UNSPECIFIED;
  std::string_view why = obstacle.why;
  constexpr std::string_view of_budget = "the attempt's budget of ";
  if (has(why, " requests is used up")) return v1::BUDGET_UNIT_REQUESTS;
  if (has(why, "the attempt's limit on ")) return v1::BUDGET_UNIT_NONE;
  if (!why.starts_with(of_budget)) return v1::BUDGET_UNIT_UNSPECIFIED;
  why.remove_prefix(of_budget.size());
  return why.starts_with('$') ? v1::BUDGET_UNIT_MONEY : v1::BUDGET_UNIT_TOKENS;
}

std::optional<std::string> replay_difference(const std::string& problem) {
  constexpr std::string_view refused = "HTTP 400: ";
  if (!problem.starts_with(refused)) return std::nullopt;
  const auto told = problem.substr(refused.size());
  if (told.starts_with("of the attempt that is done again no request was recorded")) return told;
  if (!told.starts_with("the replay ")) return std::nullopt;
  for (const std::string_view part : {" ends: ", " is over: ", " has no answer: "}) {
    const auto at = told.find(part);
    if (at != std::string::npos) return told.substr(at + part.size());
  }
  return std::nullopt;
}

std::string with_remedy(const std::string& why) {
  if (has(why, "has no price in")) {
    return why + "; add a row for it to that file, and start the worker again";
  }
  if (has(why, "no upstream of the gateway's configuration serves")) {
    return why + "; add it to an upstream there, and start the worker again";
  }
  return why;
}

}  // namespace germline::worker
