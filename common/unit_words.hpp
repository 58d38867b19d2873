// unit_words: a table of the words that people are told of each unit with, where they are not those
// of common/amount.hpp. Values; from any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/amount.hpp"

namespace germline {

struct unit_words {
  std::string_view one;       // as flags and keys begin with it; empty: they name the budget alone
  std::string_view all;       // of which there may be more
  std::string_view take;      // what one may do with it,
  std::string_view taken;     // and has done
  std::string_view argument;  // how `germline budget` is told it, behind whose it is
  std::string_view example;   // of what an evaluation may take, for a shell
  std::string_view of_evaluations;  // the same in words
};

/// Their order is that of all_units.
inline constexpr std::array<unit_words, all_units.size()> words_of_units{{
    {"", "money", "cost", "spent", "USD", "'$0.10'", "what each evaluation may cost at most"},
    {"token", "tokens", "take", "taken", "--tokens N", "500k",
     "how many tokens each evaluation may take"},
    {"request", "requests", "take", "taken", "--requests N", "20",
     "how many requests each evaluation may make"},
}};
constexpr const unit_words& words_of(unit what) {
  return words_of_units[static_cast<std::size_t>(what)];
}

/// "--lineage-token-budget"; "--budget" of nobody's money.
inline std::string budget_flag(const std::string& whose, unit of) {
  std::string flag = "--";
  if (!whose.empty()) flag += whose + "-";
  if (const auto one = words_of(of).one; !one.empty()) flag += std::string(one) + "-";
  return flag + "budget";
}

}  // namespace germline
