#include "common/text/units.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

namespace germline {
namespace {

struct unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array<unit, 5> duration_units = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

constexpr std::array<unit, 9> size_units = {{{"TiB", std::int64_t{1} << 40},
                                             {"GiB", std::int64_t{1} << 30},
                                             {"MiB", std::int64_t{1} << 20},
                                             {"KiB", std::int64_t{1} << 10},
                                             {"TB", 1'000'000'000'000},
                                             {"GB", 1'000'000'000},
                                             {"MB", 1'000'000},
                                             {"kB", 1'000},
                                             {"B", 1}}};

error not_a(std::string_view kind, std::string_view text, std::string_view right) {
  return {error_code::invalid_argument, "'" + std::string(text.substr(0, 64)) + "' is not a " +
                                            std::string(kind) + "; write " + std::string(right)};
}

constexpr std::string_view duration_right = "a whole number with ms, s, m, h or d, such as \"30m\"";
constexpr std::string_view size_right =
    "a whole number with B, KiB, MiB, GiB or TiB, such as \"2GiB\"";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes a whole number off the front. None when there is no digit or it does not fit.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::size_t length = 0;
  std::int64_t value = 0;
  while (length < text.size() && is_digit(text[length])) {
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text[length] - '0', &value)) {
      return std::nullopt;
    }
    ++length;
  }
  if (length == 0) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

const unit* find_unit(std::span<const unit> units, std::string_view name) {
  const auto found =
      std::find_if(units.begin(), units.end(), [&](const unit& u) { return u.name == name; });
  return found == units.end() ? nullptr : &*found;
}

}  // namespace

result<std::int64_t> parse_duration_ms(std::string_view text) {
  if (text == "0") return std::int64_t{0};
  auto rest = text;
  std::int64_t total = 0;
  std::int64_t last_factor = std::numeric_limits<std::int64_t>::max();
  do {
    auto amount = take_number(rest);
    const auto length =
        std::find_if(rest.begin(), rest.end(), [](char c) { return is_digit(c); }) - rest.begin();
    const auto* found = find_unit(duration_units, rest.substr(0, static_cast<std::size_t>(length)));
    std::int64_t part = 0;
    if (!amount || found == nullptr || found->factor >= last_factor ||
        __builtin_mul_overflow(*amount, found->factor, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return not_a("duration", text, duration_right);
    }
    last_factor = found->factor;
    rest.remove_prefix(static_cast<std::size_t>(length));
  } while (!rest.empty());
  return total;
}

result<std::int64_t> parse_size_bytes(std::string_view text) {
  if (text == "0") return std::int64_t{0};
  auto rest = text;
  const auto amount = take_number(rest);
  const auto* found = find_unit(size_units, rest);
  std::int64_t total = 0;
  if (!amount || found == nullptr || __builtin_mul_overflow(*amount, found->factor, &total)) {
    return not_a("size", text, size_right);
  }
  return total;
}

std::string format_duration_ms(std::int64_t duration_ms) {
  if (duration_ms == 0) return "0s";
  std::string text;
  if (duration_ms < 0) text += "-";
  auto rest = duration_ms < 0 ? 0 - static_cast<std::uint64_t>(duration_ms)
                              : static_cast<std::uint64_t>(duration_ms);
  for (const auto& u : duration_units) {
    const auto factor = static_cast<std::uint64_t>(u.factor);
    if (rest < factor) continue;
    text += std::to_string(rest / factor) + std::string(u.name);
    rest %= factor;
  }
  return text;
}

std::string format_size_bytes(std::int64_t size_bytes) {
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& u = size_units[i];
    if (size_bytes != 0 && size_bytes % u.factor == 0) {
      return std::to_string(size_bytes / u.factor) + std::string(u.name);
    }
  }
  return std::to_string(size_bytes) + "B";
}

std::string rough_size(std::int64_t size_bytes) {
  constexpr std::array<std::string_view, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  std::int64_t scale = 1;
  while (unit + 1 < units.size() && size_bytes >= 1024 * scale) {
    scale *= 1024;
    ++unit;
  }
  const auto tenths = size_bytes / scale * 10 + size_bytes % scale * 10 / scale;
  auto text = std::to_string(tenths / 10);
  if (unit > 0 && tenths < 100) text += "." + std::to_string(tenths % 10);
  return text + " " + std::string(units[unit]);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::optional<std::string_view> nearest_key(std::string_view key,
                                            std::span<const std::string_view> known) {
  if (key.size() > 64) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_distance =
      std::max<std::size_t>(1, std::min<std::size_t>(3, key.size() / 2)) + 1;
  for (const auto candidate : known) {
    const auto distance = edit_distance(key, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string unknown_key_message(std::string_view key, std::span<const std::string_view> known) {
  std::string text = "unknown key `" + std::string(key.substr(0, 64)) + "`; ";
  if (const auto near = nearest_key(key, known)) {
    return text + "did you mean `" + std::string(*near) + "`?";
  }
  text += "known here:";
  for (const auto name : known) text += " `" + std::string(name) + "`";
  return text;
}

}  // namespace germline
