#include "worker/gateway/upstream_roster.hpp"

#include <algorithm>

#include "common/assert.hpp"
#include "common/log.hpp"
#include "worker/gateway/model_pattern.hpp"

namespace germline::worker {
namespace {

constexpr std::uint64_t whole_jitter = 1001;

bool serves_model(const upstream_config& one, std::string_view model) {
  const bool is_recorded = model == recorded_attempts;
  if (is_recorded || one.is_of_attempts) return is_recorded && one.is_of_attempts;
  return one.models.empty() || std::ranges::any_of(one.models, [&](const std::string& pattern) {
           return matches(pattern, model);
         });
}

bool speaks_dialect(const upstream_config& one, std::string_view dialect) {
  return std::ranges::find(one.dialects, dialect) != one.dialects.end();
}

}  // namespace

upstream_roster::turn::~turn() {
  if (!owner_) return;
  tell(breaker_told::unknown);
  --owner_->members_[index_].under_way;
}

void upstream_roster::turn::tell(breaker_told how, std::string_view why) {
  if (std::exchange(told_, true)) return;
  auto& member = owner_->members_[index_];
  const auto& name = owner_->upstreams_[index_].name;
  if (how == breaker_told::failed && !std::exchange(member.is_away, true)) {
    log_warning("the upstream '{}' does not answer: {}", name, why);
  } else if (how == breaker_told::answered && std::exchange(member.is_away, false)) {
    log_info("the upstream '{}' answers again", name);
  }
  // What is drawn is entropy of the system's, which costs a call: not where none is needed.
  const auto jitter = how == breaker_told::answered ? 0 : owner_->random_.below(whole_jitter);
  told(member.breaker, how, probe_, owner_->time_.boot_ms(), static_cast<int>(jitter));
}

upstream_roster::upstream_roster(const std::vector<upstream_config>& upstreams, const clock& time,
                                 random_source& random)
    : upstreams_(upstreams), time_(time), random_(random), members_(upstreams.size()) {}

bool upstream_roster::serves(std::string_view dialect, std::string_view model) const {
  return !serving(dialect, model).empty();
}

bool upstream_roster::speaks(std::string_view dialect) const {
  return std::ranges::any_of(upstreams_, [&](const auto& one) {
    return speaks_dialect(one, dialect) && !one.is_of_attempts;
  });
}

bool upstream_roster::serves(std::string_view model) const {
  return !serving(model).empty();
}

std::vector<std::size_t> upstream_roster::serving(std::string_view model) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < upstreams_.size(); ++i) {
    if (serves_model(upstreams_[i], model)) found.push_back(i);
  }
  return found;
}

std::vector<std::size_t> upstream_roster::serving(std::string_view dialect,
                                                  std::string_view model) const {
  auto found = serving(model);
  std::erase_if(found, [&](auto index) { return !speaks_dialect(upstreams_[index], dialect); });
  return found;
}

std::vector<std::size_t> upstream_roster::translating(std::string_view dialect,
                                                      std::string_view other,
                                                      std::string_view model) const {
  auto found = serving(other, model);
  std::erase_if(found, [&](std::size_t index) {
    return speaks_dialect(upstreams_[index], dialect) || !upstreams_[index].translate;
  });
  return found;
}

std::int64_t upstream_roster::wait_of(std::size_t index, std::string_view model,
                                      std::int64_t now_ms, bool& broken) const {
  const auto& one = members_[index];
  if (const auto wait = wait_ms(one.breaker, now_ms); wait > 0) {
    broken = true;
    return wait;
  }
  const auto rest = one.rests_until_ms.find(model);
  if (rest != one.rests_until_ms.end() && rest->second > now_ms) return rest->second - now_ms;
  return one.under_way >= upstreams_[index].max_concurrent ? full_wait_ms : 0;
}

upstream_roster::choice upstream_roster::choose(std::string_view dialect, std::string_view model,
                                                const std::set<std::size_t>& but_not) {
  return choose_among(serving(dialect, model), model, but_not);
}

upstream_roster::choice upstream_roster::choose_among(const std::vector<std::size_t>& upstreams,
                                                      std::string_view model,
                                                      const std::set<std::size_t>& but_not) {
  const auto now_ms = time_.boot_ms();
  choice out;
  std::vector<std::size_t> free;
  for (const auto index : upstreams) {
    if (but_not.contains(index)) continue;
    bool broken = false;
    const auto wait = wait_of(index, model, now_ms, broken);
    if (wait > 0) {
      if (out.wait_ms != 0 && wait >= out.wait_ms) continue;
      out.wait_ms = wait;
      out.broken = broken;
      continue;
    }
    const auto priority = upstreams_[index].priority;
    if (!free.empty() && priority > upstreams_[free[0]].priority) continue;
    if (!free.empty() && priority < upstreams_[free[0]].priority) free.clear();
    free.push_back(index);
  }
  if (free.empty()) return out;
  if (free.size() == 1) return {free[0], 0, false};
  std::uint64_t all = 0;
  for (const auto index : free) all += static_cast<std::uint64_t>(upstreams_[index].weight);
  auto drawn = random_.below(all);
  for (const auto index : free) {
    const auto weight = static_cast<std::uint64_t>(upstreams_[index].weight);
    if (drawn < weight) return {index, 0, false};
    drawn -= weight;
  }
  GERMLINE_ASSERT(false);
  return out;
}

upstream_roster::turn upstream_roster::take(std::size_t index) {
  auto& one = members_[index];
  const bool probe = asked(one.breaker, time_.boot_ms());
  ++one.under_way;
  return {*this, index, probe};
}

void upstream_roster::rest(std::size_t index, const std::string& model, std::int64_t for_ms) {
  auto& rests = members_[index].rests_until_ms;
  const auto now_ms = time_.boot_ms();
  std::erase_if(rests, [&](const auto& entry) { return entry.second <= now_ms; });
  auto& until_ms = rests[model];
  until_ms = std::max(until_ms, now_ms + std::min(for_ms, longest_rest_ms));
}

}  // namespace germline::worker
