#include "worker/gateway/budget.hpp"

#include <algorithm>

#include "common/amount.hpp"
#include "common/assert.hpp"
#include "common/money.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t minute_ms = 60'000;

// A limit counts what is settled, what is reserved, and what is asked for. Without the reserved
// part it is spent for good; with it, waiting may help. Subtractions, since sums could overflow.
enum class fit { yes, later, never };
fit fits(std::int64_t limit, std::int64_t settled, std::int64_t reserved, std::int64_t asked) {
  const std::int64_t left = limit - settled;
  if (asked > left) return fit::never;
  return asked > left - reserved ? fit::later : fit::yes;
}

std::int64_t all_input(const gateway_usage& usage) {
  return usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens;
}

budget_effect reserve(budget_state& state, const reserve_event& event) {
  GERMLINE_ASSERT(!state.open.contains(event.id));
  const auto& limits = state.limits;
  const auto& bound = event.bound;
  if (state.settled.requests >= limits.max_requests) {
    return spent_effect{
        "the attempt's limit of " + std::to_string(limits.max_requests) + " requests is used up",
        spent_limit::requests};
  }
  request_bound reserved;
  for (const auto& [id, other] : state.open) {
    reserved.input_tokens += other.input_tokens;
    reserved.output_tokens += other.output_tokens;
    reserved.cost_nanousd += other.cost_nanousd;
  }
  const auto plain = [](std::int64_t count) { return std::to_string(count); };
  const struct {
    const char* what;
    std::int64_t limit, settled, reserved, asked;
    std::string (*text)(std::int64_t);
    spent_limit what_is_spent = spent_limit::own;
    const char* are_left = " is";
  } checks[] = {
      {"budget", limits.budget_nanousd, state.settled.cost_nanousd, reserved.cost_nanousd,
       bound.cost_nanousd, format_usd, spent_limit::money},
      {"budget", limits.max_tokens, all_input(state.settled) + state.settled.output_tokens,
       reserved.input_tokens + reserved.output_tokens, bound.input_tokens + bound.output_tokens,
       [](std::int64_t count) { return format_amount(unit::tokens, count); }, spent_limit::tokens,
       " are"},
      {"limit on input tokens", limits.max_input_tokens, all_input(state.settled),
       reserved.input_tokens, bound.input_tokens, plain},
      {"limit on output tokens", limits.max_output_tokens, state.settled.output_tokens,
       reserved.output_tokens, bound.output_tokens, plain}};
  for (const auto& of : checks) {
    if (fits(of.limit, of.settled, of.reserved, of.asked) != fit::never) continue;
    const auto left = std::max<std::int64_t>(0, of.limit - of.settled);
    return spent_effect{std::string("the attempt's ") + of.what + " of " + of.text(of.limit) +
                            " does not cover what this request could cost: " + of.text(left) +
                            (left == 1 ? " is" : of.are_left) +
                            " left of it, and the request could take " + of.text(of.asked),
                        of.what_is_spent};
  }
  for (const auto& of : checks) {
    if (fits(of.limit, of.settled, of.reserved, of.asked) == fit::later) {
      return wait_effect{std::string("the attempt's ") + of.what + " of " + of.text(of.limit) +
                             " is reserved by requests under way",
                         1000};
    }
  }
  auto& started = state.started_ms;
  while (!started.empty() && started.front() <= event.now_ms - minute_ms) started.pop_front();
  if (static_cast<std::int64_t>(started.size()) >= limits.max_requests_per_minute) {
    return wait_effect{"the attempt's limit of " + std::to_string(limits.max_requests_per_minute) +
                           " requests a minute is reached",
                       started.front() + minute_ms - event.now_ms};
  }
  started.push_back(event.now_ms);
  state.open.emplace(event.id, bound);
  ++state.settled.requests;
  return granted_effect{};
}

request_bound take(budget_state& state, std::uint64_t id) {
  const auto found = state.open.find(id);
  GERMLINE_ASSERT(found != state.open.end());
  const request_bound bound = found->second;
  state.open.erase(found);
  return bound;
}

void charge(gateway_usage& settled, const token_counts& tokens, std::int64_t cost_nanousd) {
  settled.input_tokens += tokens.input;
  settled.output_tokens += tokens.output;
  settled.cache_write_tokens += tokens.cache_write;
  settled.cache_read_tokens += tokens.cache_read;
  settled.cost_nanousd += cost_nanousd;
}

budget_effect settle(budget_state& state, const settle_event& event) {
  const request_bound bound = take(state, event.id);
  const auto& tokens = event.tokens;
  charge(state.settled, tokens, event.cost_nanousd);
  return accounted_effect{
      event.cost_nanousd > bound.cost_nanousd || tokens.output > bound.output_tokens ||
      tokens.input + tokens.cache_write + tokens.cache_read > bound.input_tokens};
}

budget_effect forfeit(budget_state& state, const forfeit_event& event) {
  const request_bound bound = take(state, event.id);
  state.settled.input_tokens += bound.input_tokens;
  state.settled.output_tokens += bound.output_tokens;
  state.settled.cost_nanousd += bound.cost_nanousd;
  ++state.settled.charged_by_bound;
  return accounted_effect{};
}

}  // namespace

budget_effect step(budget_state& state, const budget_event& event) {
  if (const auto* asked = std::get_if<reserve_event>(&event)) return reserve(state, *asked);
  if (const auto* ended = std::get_if<settle_event>(&event)) return settle(state, *ended);
  if (const auto* died = std::get_if<forfeit_event>(&event)) return forfeit(state, *died);
  if (const auto* more = std::get_if<more_event>(&event)) {
    charge(state.settled, more->tokens, more->cost_nanousd);
    return accounted_effect{};
  }
  take(state, std::get<release_event>(event).id);
  return accounted_effect{};
}

}  // namespace germline::worker
