// amount: what asking models takes, in each of the units in which it is bounded: money, tokens,
// requests. A token counts once, whichever it is: all of the input, what a cache held or kept of it
// among it, and all of the output. A request counts when it goes out, however it ends.
// Pure functions; may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

enum class unit { money, tokens, requests };
inline constexpr std::array all_units{unit::money, unit::tokens, unit::requests};

template <class Value>
struct per_unit {
  Value money = {}, tokens = {}, requests = {};

  Value& operator[](unit of) {
    return of == unit::money ? money : of == unit::tokens ? tokens : requests;
  }
  const Value& operator[](unit of) const {
    return of == unit::money ? money : of == unit::tokens ? tokens : requests;
  }
  bool operator==(const per_unit&) const = default;
};

/// Money in nano-dollars.
struct amount : per_unit<std::int64_t> {
  /// A number alone is money.
  amount(std::int64_t nanousd = 0, std::int64_t token_count = 0, std::int64_t request_count = 0)
      : per_unit{nanousd, token_count, request_count} {}
  bool operator==(const amount&) const = default;
};

/// What an attempt may take of each where its limits do not say: as its gateway holds it to.
inline constexpr std::int64_t default_max_requests = 1'000;
inline constexpr std::int64_t default_max_input_tokens = 10'000'000;
inline constexpr std::int64_t default_max_output_tokens = 1'000'000;

/// "budget", "token budget", "request budget".
std::string_view budget_word(unit of);
/// As its parsers below read it, such as "$1.50", "50M", "1234"; exact.
std::string format_count(std::int64_t count);
/// "$1.50", "50M tokens", "1 request".
std::string format_amount(unit of, std::int64_t value);

/// "2000", "500k", "1.5M", "1B": a whole number, not negative, of 1,000,000 billions at most.
result<std::int64_t> parse_count(std::string_view text);

/// What may be spent of a unit: "$100" or "50M", in all; "$20/day" or "1B/day", of each day, UTC;
/// or "none", which is no bound.
struct spending_text {
  bool is_none = false;
  std::int64_t most = 0;
  bool per_day = false;
};
result<spending_text> parse_spending_limit(unit of, std::string_view text);

}  // namespace germline
