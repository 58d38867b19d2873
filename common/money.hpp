// money: dollars as people write them <-> int64 nano-dollars as everything computes with. Decimal
// throughout; a float never touches an amount.
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

inline constexpr std::int64_t nanousd_per_usd = 1'000'000'000;

/// "$5", "5", "0.50", "$1.000000001": at most nine decimals, not negative, below 9.2 billion.
result<std::int64_t> parse_usd(std::string_view text);

/// "$5.00", "$0.000000001": exact, with two decimals at least.
std::string format_usd(std::int64_t amount_nanousd);

}  // namespace germline
