// prices: what a model's tokens cost, as data (deploy/prices.json). `*` stands for any text and may
// stand at a pattern's end only. A model has the row of its own name, else that of the longest
// pattern that matches, in whatever order they stand, of those that are in effect; of rows for the
// same pattern the one that began last. One that none matches has no price, and is refused by
// whoever asks.
// Immutable after loading; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "worker/gateway/budget.hpp"

namespace germline::worker {

/// Nano-dollars per million tokens, so that 3 USD per million is 3'000'000'000.
struct token_rates {
  std::int64_t input = 0;
  std::int64_t output = 0;
  std::int64_t cache_write = 0;     // kept for 5 minutes
  std::int64_t cache_write_1h = 0;  // kept for an hour
  std::int64_t cache_read = 0;
};

/// What a model costs. Some models cost more, on every token of a request, where its prompt (input,
/// cache writes and reads together) is longer than so many tokens.
struct model_price {
  token_rates rates;
  std::int64_t long_prompt_tokens = INT64_MAX;
  token_rates long_prompt_rates;
  /// The most that the model makes of one request, where that is known.
  std::int64_t max_output_tokens = INT64_MAX;
};

/// The request's cost, rounded up once.
std::int64_t cost_nanousd(const model_price& price, const token_counts& tokens);

/// The most that so many tokens can cost: all input at the dearest of the input prices.
std::int64_t bound_nanousd(const model_price& price, std::int64_t input_tokens,
                           std::int64_t output_tokens);

/// What one model costs, from when on: by each row's `from` until the next one's.
class price_schedule {
 public:
  /// Null: it has no price then.
  const model_price* at(std::int64_t utc_ms) const;
  bool empty() const { return prices_.empty(); }
  /// From when on it has one. REQUIRES that it is not empty.
  std::int64_t begins_utc_ms() const { return prices_.front().from_utc_ms; }

 private:
  friend class price_table;
  struct dated {
    std::int64_t from_utc_ms = 0;
    model_price price;
  };
  std::vector<dated> prices_;  // in the order of their beginnings
};

class price_table {
 public:
  /// The text of a price file: {"schema": 1, "models": [{"model": pattern, "input": …,
  /// "from": "2026-12-01", "long_prompt": {"above_tokens": …, "input": …},
  /// "max_output_tokens": …}]}; the last three may be left out. A row is in effect from the
  /// beginning of its day `from` on, in UTC; without one, always. A model with the same `from`, or
  /// a key of an object, that is there twice is an error, and so is a key that is not known; "note"
  /// is for people.
  static result<price_table> parse(std::string_view json_text);
  static result<price_table> load(const std::string& path);

  /// Empty: the model has no price.
  price_schedule find(std::string_view model) const;

 private:
  struct row {
    std::string pattern;
    std::int64_t from_utc_ms = INT64_MIN;
    model_price price;
  };
  const row* in_effect(std::string_view model, std::int64_t utc_ms) const;
  std::vector<row> rows_;
};

}  // namespace germline::worker
