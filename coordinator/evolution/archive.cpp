#include "coordinator/evolution/archive.hpp"

#include <algorithm>
#include <numeric>

#include "common/assert.hpp"
#include "coordinator/evolution/fitness.hpp"
#include "coordinator/lineage/lineage_state.hpp"

namespace germline::evolution {
namespace {

// Of a candidate without children. A million of them are less than 2^62.
constexpr std::uint64_t full_weight = std::uint64_t{1} << 42;

std::uint64_t weight_of(const archive::member& m) {
  return full_weight / static_cast<std::uint64_t>(1 + m.children + m.under_way);
}

}  // namespace

void archive::add(const birth& born) {
  if (slots_.contains(born.id)) return;
  const std::size_t slot = members_.size();
  member fresh;
  fresh.id = born.id;
  fresh.expected = born.evaluations;
  fresh.parent = find(born.parent);
  fresh.lineage = born.lineage;
  slots_[born.id] = slot;
  members_.push_back(std::move(fresh));
  candidate_.push_back(false);
  by_children_.set(slot, 0);
  if (!members_[slot].is_measured()) ++unmeasured_;
  if (told_ != nullptr) told_->on_added(*this, slot);
  change(born.parent, [](member& parent) { ++parent.children; });
}

void archive::measure(const std::string& generation, const measured_once& outcome) {
  const auto slot = change(generation, [&](member& m) {
    if (!outcome.score) {
      ++m.missing;
      return;
    }
    m.scores.push_back(minimizes_ ? -*outcome.score : *outcome.score);
    const auto estimated = estimate(m.scores);
    m.mean = estimated.mean;
    m.bound = estimated.low;
  });
  if (slot && told_ != nullptr) told_->on_measured(*this, *slot, outcome);
  tell_changed(slot);
}

void archive::begin(const std::string& parent) {
  change(parent, [this](member& m) {
    ++m.under_way;
    ++under_way_;
  });
}

void archive::end(const std::string& parent, bool failed, bool by_itself) {
  const auto known = find(parent);
  const bool was_candidate = known && is_candidate(*known);
  change(parent, [&](member& m) {
    if (m.under_way > 0) {
      --m.under_way;
      --under_way_;
    }
    if (!failed) m.carried = true;
    if (failed && by_itself) ++m.own_failures;
  });
  if (known && was_candidate != is_candidate(*known)) tell_changed(known);
}

void archive::bar(const std::string& generation) {
  tell_changed(change(generation, [](member& m) { m.barred = true; }));
}

std::optional<std::size_t> archive::find(const std::string& id) const {
  const auto known = slots_.find(id);
  if (known == slots_.end()) return std::nullopt;
  return known->second;
}

bool archive::is_candidate(std::size_t slot) const {
  return candidate_.at(slot);
}

std::size_t archive::by_rank(std::size_t rank) const {
  GERMLINE_ASSERT(rank < candidates());
  return by_mean_.find_by_order(rank)->slot;
}

std::size_t archive::best() const {
  GERMLINE_ASSERT(candidates() > 0);
  return by_bound_.rbegin()->slot;
}

std::size_t archive::draw_by_children(random_source& chance) const {
  return by_children_.draw(chance);
}

double archive::childless_weight(std::size_t slot) const {
  const auto& m = members_.at(slot);
  return 1.0 / (1 + m.children + m.under_way);
}

double archive::median() const {
  const auto n = candidates();
  GERMLINE_ASSERT(n > 0);
  return std::midpoint(mean_at((n - 1) / 2), mean_at(n / 2));
}

double archive::spread() const {
  const auto n = candidates();
  const double middle = median();
  return std::midpoint(distance_at((n - 1) / 2, middle), distance_at(n / 2, middle));
}

double archive::distance_at(std::size_t rank, double middle) const {
  // The distances are two sorted rows: below the middle downwards, and from it on upwards. Of the
  // rank + 1 smallest, the first `low` are of the lower row: found by halving.
  const std::size_t n = candidates();
  const std::size_t below = by_mean_.order_of_key(by_mean_key{middle, 0});
  const auto lower = [&](std::size_t i) { return middle - mean_at(below - 1 - i); };
  const auto upper = [&](std::size_t i) { return mean_at(below + i) - middle; };
  const std::size_t wanted = rank + 1;
  std::size_t least = wanted > n - below ? wanted - (n - below) : 0;
  std::size_t most = std::min(wanted, below);
  while (least < most) {
    const std::size_t low = least + (most - least) / 2;
    // Too few of the lower row, where its next is nearer than the last that is taken of the upper.
    if (lower(low) < upper(wanted - low - 1)) {
      least = low + 1;
    } else {
      most = low;
    }
  }
  double distance = 0;
  if (least > 0) distance = lower(least - 1);
  if (wanted > least) distance = std::max(distance, upper(wanted - least - 1));
  return distance;
}

archive::best_key archive::key_of(std::size_t slot) const {
  const auto& m = members_[slot];
  return {m.bound, m.mean, -static_cast<std::ptrdiff_t>(slot), slot};
}

bool archive::qualifies(const member& of, bool is_seed) const {
  const bool is_whole = of.is_measured() && of.missing == 0 && !of.scores.empty();
  const bool is_unfit =
      !is_seed && !of.carried && of.own_failures >= lineage::failures_before_rollback;
  return is_whole && !of.barred && !is_unfit;
}

std::optional<std::size_t> archive::change(const std::string& id,
                                           const std::function<void(member&)>& how) {
  const auto known = find(id);
  if (!known) return std::nullopt;
  const auto slot = *known;
  auto& m = members_[slot];
  if (candidate_[slot]) {
    by_mean_.erase(by_mean_key{m.mean, slot});
    by_bound_.erase(key_of(slot));
  }
  const bool was_measured = m.is_measured();
  how(m);
  if (!was_measured && m.is_measured()) --unmeasured_;
  candidate_[slot] = qualifies(m, !m.parent);
  if (candidate_[slot]) {
    by_mean_.insert(by_mean_key{m.mean, slot});
    by_bound_.insert(key_of(slot));
  }
  by_children_.set(slot, candidate_[slot] ? weight_of(m) : 0);
  return slot;
}

void archive::tell_changed(std::optional<std::size_t> slot) const {
  if (slot && told_ != nullptr) told_->on_changed(*this, *slot);
}

}  // namespace germline::evolution
