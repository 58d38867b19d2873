#include "coordinator/dispatch/fair_shares.hpp"

#include <algorithm>

#include "common/assert.hpp"

namespace germline::dispatch {
namespace {

constexpr double newest_counts = 0.25;  // of a mean length

double taken_ms(const slot_use& use, std::int64_t now_ms) {
  return static_cast<double>(std::max<std::int64_t>(0, now_ms - use.since_ms));
}

}  // namespace

void fair_shares::account::add(const slot_use& use, double sign) {
  rate += sign / use.weight;
  since_ms += sign * static_cast<double>(use.since_ms) / use.weight;
  charged_ms += sign * use.charged_ms / use.weight;
}

double fair_shares::account::received_ms(std::int64_t now_ms) const {
  return virtual_ms - charged_ms + rate * static_cast<double>(now_ms) - since_ms;
}

double fair_shares::now_at(int priority, const std::string& worker) const {
  const auto its = now_at_.find(worker);
  if (its == now_at_.end()) return 0;
  const auto at = its->second.find(priority);
  return at == its->second.end() ? 0 : at->second;
}

double fair_shares::slack_ms(int priority, const std::string& worker) const {
  constexpr double leases = 2;  // that may be under way at once, or longer than their mean
  double longest_ms = 0;
  for (const auto& [run, its] : runs_) {
    const auto on = its.accounts.find(worker);
    const bool competes = its.share.priority == priority && on != its.accounts.end() &&
                          (its.waiting > 0 || on->second.rate > 0);
    if (!competes) continue;
    const double length_ms = std::max(its.iterations.ms, its.evaluations.ms);
    longest_ms = std::max(longest_ms, length_ms / its.share.weight);
  }
  return leases * longest_ms;
}

fair_shares::account& fair_shares::account_of(entry& its, const std::string& worker) {
  const auto [at, is_new] = its.accounts.try_emplace(worker);
  if (is_new) at->second.virtual_ms = now_at(its.share.priority, worker);
  return at->second;
}

void fair_shares::learn(const std::string& run, const run_share& share) {
  if (!runs_.contains(run)) runs_[run].share = share;
}

void fair_shares::set(const std::string& run, const run_share& share) {
  auto& its = runs_[run];
  if (its.share.priority != share.priority) {
    its.accounts.clear();
    ++its.number;
  }
  its.share = share;
}

run_share fair_shares::of(const std::string& run) const {
  const auto found = runs_.find(run);
  return found == runs_.end() ? run_share{} : found->second.share;
}

void fair_shares::enqueue(const std::string& run) {
  auto& its = runs_[run];
  if (its.waiting++ > 0) return;
  for (auto& [worker, kept] : its.accounts) {
    const auto least_ms = now_at(its.share.priority, worker) - slack_ms(its.share.priority, worker);
    kept.virtual_ms = std::max(kept.virtual_ms, least_ms);
  }
}

void fair_shares::dequeue(const std::string& run) {
  auto& its = runs_[run];
  GERMLINE_ASSERT(its.waiting > 0);
  --its.waiting;
}

slot_use fair_shares::charge(const std::string& run, const std::string& worker, bool is_evaluation,
                             std::int64_t now_ms) {
  dequeue(run);
  auto& its = runs_[run];
  auto& on = account_of(its, worker);
  auto& newest = now_at_[worker][its.share.priority];
  newest = std::max(newest, on.received_ms(now_ms));
  const double length_ms = (is_evaluation ? its.evaluations : its.iterations).ms;
  const slot_use use{now_ms, length_ms, its.share.weight, its.number, true};
  on.virtual_ms += length_ms / use.weight;
  on.add(use, 1);
  return use;
}

slot_use fair_shares::take_over(const std::string& run, const std::string& worker,
                                std::int64_t now_ms) {
  auto& its = runs_[run];
  const slot_use use{now_ms, 0, its.share.weight, its.number, false};
  account_of(its, worker).add(use, 1);
  return use;
}

void fair_shares::renew(const std::string& run, const std::string& worker, slot_use& use,
                        std::int64_t now_ms) {
  auto& its = runs_[run];
  const double more_ms = taken_ms(use, now_ms) - use.charged_ms;
  if (use.number != its.number || more_ms <= 0) return;
  auto& on = account_of(its, worker);
  on.add(use, -1);
  use.charged_ms += more_ms;
  on.virtual_ms += more_ms / use.weight;
  on.add(use, 1);
}

void fair_shares::settle(const std::string& run, const std::string& worker, const slot_use& use,
                         std::int64_t now_ms) {
  auto& its = runs_[run];
  if (use.number != its.number) return;
  auto& on = account_of(its, worker);
  on.add(use, -1);
  on.virtual_ms += (taken_ms(use, now_ms) - use.charged_ms) / use.weight;
}

void fair_shares::learn_length(const std::string& run, bool is_evaluation, const slot_use& use,
                               std::int64_t now_ms) {
  if (!use.whole) return;
  auto& its = runs_[run];
  auto& mean = is_evaluation ? its.evaluations : its.iterations;
  const double part = mean.is_known ? newest_counts : 1;
  mean.ms += part * (taken_ms(use, now_ms) - mean.ms);
  mean.is_known = true;
}

fair_shares::turn fair_shares::turn_of(const std::string& run, const std::string& worker) const {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return {0, now_at(0, worker)};
  const auto& its = found->second;
  const auto on = its.accounts.find(worker);
  return {its.share.priority,
          on == its.accounts.end() ? now_at(its.share.priority, worker) : on->second.virtual_ms};
}

}  // namespace germline::dispatch
