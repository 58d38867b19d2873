#include "coordinator/dispatch/fair_shares.hpp"

#include <algorithm>

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

void fair_shares::learn(const std::string& run, const run_share& share) {
  if (!accounts_.contains(run)) accounts_[run].share = share;
}

void fair_shares::set(const std::string& run, const run_share& share) {
  auto& its = accounts_[run];
  // What it had at another priority was not taken from those of this one.
  if (its.share.priority != share.priority) {
    its.virtual_ms = now_at_[share.priority];
    its.rate = its.since_ms = its.charged_ms = 0;
    ++its.number;
  }
  its.share = share;
}

run_share fair_shares::of(const std::string& run) const {
  const auto found = accounts_.find(run);
  return found == accounts_.end() ? run_share{} : found->second.share;
}

void fair_shares::arrive(const std::string& run) {
  auto& its = accounts_[run];
  if (its.items++ > 0) return;
  its.virtual_ms = std::max(its.virtual_ms, now_at_[its.share.priority]);
}

void fair_shares::leave(const std::string& run) {
  --accounts_[run].items;
}

slot_use fair_shares::charge(const std::string& run, bool is_evaluation, std::int64_t now_ms) {
  auto& its = accounts_[run];
  auto& newest = now_at_[its.share.priority];
  newest = std::max(newest, its.received_ms(now_ms));
  const double length_ms = is_evaluation ? its.evaluations.ms : its.iterations.ms;
  const slot_use use{now_ms, length_ms, its.share.weight, its.number};
  its.virtual_ms += length_ms / its.share.weight;
  its.add(use, 1);
  return use;
}

slot_use fair_shares::take_over(const std::string& run, std::int64_t now_ms) {
  auto& its = accounts_[run];
  const slot_use use{now_ms, 0, its.share.weight, its.number};
  its.add(use, 1);
  return use;
}

void fair_shares::settle(const std::string& run, bool is_evaluation, const slot_use& use,
                         std::int64_t now_ms) {
  auto& its = accounts_[run];
  const double length_ms = taken_ms(use, now_ms);
  if (use.account == its.number) {
    its.add(use, -1);
    its.virtual_ms += (length_ms - use.charged_ms) / use.weight;
  }
  auto& mean = is_evaluation ? its.evaluations : its.iterations;
  mean.ms += newest_counts * (length_ms - mean.ms);
}

fair_shares::turn fair_shares::turn_of(const std::string& run, double overdue) const {
  const auto found = accounts_.find(run);
  if (found == accounts_.end()) return {};
  return {found->second.share.priority, found->second.virtual_ms + overdue};
}

double overdue_ms(const slot_use& use, std::int64_t now_ms) {
  return std::max(0.0, taken_ms(use, now_ms) - use.charged_ms) / use.weight;
}

}  // namespace germline::dispatch
