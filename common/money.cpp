#include "common/money.hpp"

#include <limits>

namespace germline {
namespace {

error bad_amount(std::string_view text, std::string_view why) {
  return {error_code::invalid_argument, "'" + std::string(text) +
                                            "' is not an amount in dollars (" + std::string(why) +
                                            "); write \"5\", \"$5\" or \"0.50\""};
}

}  // namespace

result<std::int64_t> parse_usd(std::string_view text) {
  auto rest = text;
  if (rest.starts_with('$')) rest.remove_prefix(1);
  const auto dot = rest.find('.');
  const auto whole = rest.substr(0, dot);
  const auto decimals = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  if (whole.empty()) return bad_amount(text, "no digits before the point");
  if (dot != std::string_view::npos && decimals.empty()) {
    return bad_amount(text, "no digits after the point");
  }
  if (decimals.size() > 9) return bad_amount(text, "more than nine decimals");
  if (whole.size() > 10) return bad_amount(text, "too large");

  std::int64_t units = 0;
  for (const char digit : whole) {
    if (digit < '0' || digit > '9') return bad_amount(text, "digits and one point only");
    units = units * 10 + (digit - '0');
  }
  if (units >= std::numeric_limits<std::int64_t>::max() / nanousd_per_usd) {
    return bad_amount(text, "too large");
  }
  std::int64_t fraction = 0;
  for (std::size_t i = 0; i < 9; ++i) {
    const char digit = i < decimals.size() ? decimals[i] : '0';
    if (digit < '0' || digit > '9') return bad_amount(text, "digits and one point only");
    fraction = fraction * 10 + (digit - '0');
  }
  return units * nanousd_per_usd + fraction;
}

std::string format_usd(std::int64_t amount_nanousd) {
  const bool negative = amount_nanousd < 0;
  const auto magnitude = negative ? 0 - static_cast<std::uint64_t>(amount_nanousd)
                                  : static_cast<std::uint64_t>(amount_nanousd);
  constexpr auto per_usd = static_cast<std::uint64_t>(nanousd_per_usd);
  auto decimals = std::to_string(magnitude % per_usd);
  decimals.insert(0, 9 - decimals.size(), '0');
  while (decimals.size() > 2 && decimals.back() == '0') decimals.pop_back();
  return (negative ? "-$" : "$") + std::to_string(magnitude / per_usd) + "." + decimals;
}

}  // namespace germline
