#include "common/amount.hpp"

#include "common/money.hpp"
#include "common/unit_words.hpp"

namespace germline {
namespace {

struct magnitude {
  char letter;
  std::int64_t times;
  std::size_t zeros;
};
constexpr std::array magnitudes{magnitude{'B', 1'000'000'000, 9}, magnitude{'M', 1'000'000, 6},
                                magnitude{'k', 1'000, 3}};
// Sums of it over a whole record do not overflow.
constexpr std::int64_t most_count = 1'000'000'000'000'000;

error bad_count(std::string_view text, const std::string& why) {
  return {error_code::invalid_argument, "'" + std::string(text) + "' is not a number (" + why +
                                            "); write \"2000\", \"500k\", \"50M\" or \"1.5B\""};
}

/// "50M", "5m": what is meant as no dollars.
bool is_like_count(std::string_view text) {
  constexpr std::string_view letters = "kKmMbBgG";
  return text.size() > 1 && letters.find(text.back()) != std::string_view::npos &&
         text.substr(0, text.size() - 1).find_first_not_of("0123456789.") == std::string_view::npos;
}

/// Of what has something else than digits: "5m" may be meant as millions.
std::string why_no_digit(std::string_view text) {
  const char last = text.back();
  if (is_like_count(text)) {
    if (last == 'm') return "millions have a large M";
    if (last == 'b' || last == 'G' || last == 'g') return "billions have a large B";
    if (last == 'K') return "thousands have a small k";
  }
  return "digits, and k, M or B after them";
}

}  // namespace

std::string_view budget_word(unit of) {
  if (of == unit::money) return "budget";
  return of == unit::tokens ? "token budget" : "request budget";
}

std::string format_count(std::int64_t count) {
  for (const auto& each : magnitudes) {
    if (count == 0 || count % each.times != 0) continue;
    return std::to_string(count / each.times) + each.letter;
  }
  return std::to_string(count);
}

std::string format_amount(unit of, std::int64_t value) {
  if (of == unit::money) return format_usd(value);
  return format_count(value) + " " + std::string(words_of(of).one) + (value == 1 ? "" : "s");
}

result<std::int64_t> parse_count(std::string_view text) {
  auto digits = text;
  std::size_t zeros = 0;
  for (const auto& each : magnitudes) {
    if (!digits.ends_with(each.letter)) continue;
    digits.remove_suffix(1);
    zeros = each.zeros;
    break;
  }
  const auto dot = digits.find('.');
  const auto whole = digits.substr(0, dot);
  const bool has_point = dot != std::string_view::npos;
  const auto decimals = has_point ? digits.substr(dot + 1) : std::string_view();
  if (whole.empty() || (has_point && decimals.empty()))
    return bad_count(text, "digits are missing");
  if (decimals.size() > zeros) return bad_count(text, "it is not whole");
  if (whole.size() > 16) return bad_count(text, "too large");
  std::int64_t count = 0;
  for (std::size_t i = 0; i < whole.size() + zeros; ++i) {
    char digit = '0';
    if (i < whole.size()) {
      digit = whole[i];
    } else if (i - whole.size() < decimals.size()) {
      digit = decimals[i - whole.size()];
    }
    if (digit < '0' || digit > '9') return bad_count(text, why_no_digit(digits));
    count = count * 10 + (digit - '0');
    if (count > most_count) return bad_count(text, "too large");
  }
  return count;
}

result<spending_text> parse_spending_limit(unit of, std::string_view text) {
  constexpr std::string_view a_day = "/day";
  spending_text out;
  if (text == "none") {
    out.is_none = true;
    return out;
  }
  auto value = text;
  out.per_day = value.ends_with(a_day);
  if (out.per_day) value.remove_suffix(a_day.size());
  const bool is_money = of == unit::money;
  const auto wrong = [&](const std::string& why) {
    const auto* right = is_money ? "\"$100\", \"$20/day\"" : "\"50M\", \"1B/day\"";
    return error(error_code::invalid_argument, "'" + std::string(text) +
                                                   "' is not what may be spent; write " + right +
                                                   " (UTC days) or \"none\": " + why);
  };
  // $200 without quotes is 00 in most shells.
  if (is_money && value.size() > 1 && value[0] == '0' && value[1] != '.') {
    return wrong("it begins with a 0; a $ has to be quoted in a shell");
  }
  const auto parsed = is_money ? parse_usd(value) : parse_count(value);
  if (!parsed && is_money && is_like_count(value)) {
    return wrong("a count of tokens or requests is told with --tokens or --requests");
  }
  if (!parsed && !is_money && value.starts_with('$')) {
    return wrong("that is money, which is told without --" + std::string(words_of(of).all));
  }
  if (!parsed) return wrong(parsed.error().message());
  out.most = *parsed;
  return out;
}

}  // namespace germline
