#include "coordinator/evolution/inspirations.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>

namespace germline::evolution {
namespace {

using slots = std::unordered_set<std::size_t>;

/// It and all that it comes from.
slots line_of(const archive& of, std::size_t slot) {
  slots line;
  for (std::optional<std::size_t> at = slot; at; at = of.at(*at).parent) line.insert(*at);
  return line;
}

/// The first of its line that is in `line`; none where they have nothing in common.
std::optional<std::size_t> first_within(const archive& of, std::size_t slot, const slots& line) {
  for (std::optional<std::size_t> at = slot; at; at = of.at(*at).parent) {
    if (line.contains(*at)) return at;
  }
  return std::nullopt;
}

}  // namespace

std::vector<inspiration> pick_inspirations(const archive& of, std::size_t parent, int count,
                                           random_source& chance) {
  std::vector<inspiration> picked;
  const auto wanted = static_cast<std::size_t>(std::clamp(count, 0, inspirations_max));
  const auto all = of.candidates();
  if (wanted == 0 || all == 0) return picked;
  const auto line = line_of(of, parent);
  const auto take = [&](std::size_t rank) {
    const auto slot = of.by_rank(rank);
    const bool again =
        std::ranges::any_of(picked, [&](const auto& each) { return each.slot == slot; });
    if (again || line.contains(slot)) return;
    if (const auto base = first_within(of, slot, line)) picked.push_back({slot, *base});
  };
  const auto best = (wanted + 1) / 2;
  // The best may be the parent's own line, however long that is.
  const auto looked_at = std::min(all, line.size() + best);
  for (std::size_t i = 0; i < looked_at && picked.size() < best; ++i) take(all - 1 - i);
  constexpr std::size_t tries_each = 8;
  for (std::size_t i = 0; i < tries_each * wanted && picked.size() < wanted; ++i) {
    take(chance.below(all));
  }
  return picked;
}

}  // namespace germline::evolution
