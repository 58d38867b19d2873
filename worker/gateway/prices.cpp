#include "worker/gateway/prices.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace germline::worker {
namespace {

using nlohmann::json;
__extension__ using wide = __int128;  // ISO C++ has no name for it

// 10,000 USD per million tokens: past that it is a slip of the unit.
constexpr std::int64_t max_price = 10'000'000'000'000;
constexpr std::int64_t max_output = 1'000'000'000;
constexpr const char* usage_text =
    "nano-dollars per million tokens, a whole number (3 USD is 3000000000)";

std::int64_t rounded_up(wide per_million) {
  constexpr wide million = 1'000'000;
  return static_cast<std::int64_t>((per_million + million - 1) / million);
}

result<std::int64_t> read_price(const json& row, const char* key, const std::string& where) {
  const auto found = row.find(key);
  if (found == row.end()) {
    return error(error_code::invalid_argument, where + ": '" + key + "' is missing");
  }
  if (!found->is_number_integer() || *found < 0 || *found > max_price) {
    return error(error_code::invalid_argument, where + ": '" + key + "' must be " + usage_text);
  }
  return found->get<std::int64_t>();
}

result<token_rates> read_rates(const json& row, const std::string& where,
                               std::vector<std::string> also_known) {
  token_rates rates;
  const std::pair<const char*, std::int64_t*> fields[] = {{"input", &rates.input},
                                                          {"output", &rates.output},
                                                          {"cache_write", &rates.cache_write},
                                                          {"cache_write_1h", &rates.cache_write_1h},
                                                          {"cache_read", &rates.cache_read}};
  for (const auto& [key, into] : fields) {
    GERMLINE_TRY_ASSIGN(*into, read_price(row, key, where));
    also_known.emplace_back(key);
  }
  for (const auto& [key, ignored] : row.items()) {
    if (std::ranges::find(also_known, key) == also_known.end()) {
      return error(error_code::invalid_argument, where + ": unknown key '" + key + "'");
    }
  }
  return rates;
}

result<model_price> read_row(const json& row, const std::string& where) {
  model_price price;
  GERMLINE_TRY_ASSIGN(
      price.rates, read_rates(row, where, {"model", "note", "long_prompt", "max_output_tokens"}));
  if (const auto most = row.find("max_output_tokens"); most != row.end()) {
    if (!most->is_number_integer() || *most < 1 || *most > max_output) {
      return error(error_code::invalid_argument,
                   where + ": 'max_output_tokens' must be a whole number from 1");
    }
    price.max_output_tokens = most->get<std::int64_t>();
  }
  const auto found = row.find("long_prompt");
  if (found == row.end()) return price;
  const auto within = where + ": long_prompt";
  const auto above = found->is_object() ? found->value("above_tokens", json()) : json();
  if (!above.is_number_integer() || above < 1) {
    return error(error_code::invalid_argument,
                 within +
                     " must be an object with 'above_tokens', a whole number from 1, and "
                     "prices");
  }
  price.long_prompt_tokens = above.get<std::int64_t>();
  GERMLINE_TRY_ASSIGN(price.long_prompt_rates, read_rates(*found, within, {"above_tokens"}));
  return price;
}

std::int64_t bound_at(const token_rates& rates, std::int64_t input_tokens,
                      std::int64_t output_tokens) {
  const std::int64_t dearest =
      std::max({rates.input, rates.cache_write, rates.cache_write_1h, rates.cache_read});
  return rounded_up(static_cast<wide>(input_tokens) * dearest +
                    static_cast<wide>(output_tokens) * rates.output);
}

}  // namespace

std::int64_t cost_nanousd(const model_price& price, const token_counts& tokens) {
  const wide prompt = static_cast<wide>(tokens.input) + tokens.cache_write + tokens.cache_read;
  const auto& rates = prompt > price.long_prompt_tokens ? price.long_prompt_rates : price.rates;
  const std::int64_t short_writes = tokens.cache_write - tokens.cache_write_1h;
  return rounded_up(static_cast<wide>(tokens.input) * rates.input +
                    static_cast<wide>(tokens.output) * rates.output +
                    static_cast<wide>(short_writes) * rates.cache_write +
                    static_cast<wide>(tokens.cache_write_1h) * rates.cache_write_1h +
                    static_cast<wide>(tokens.cache_read) * rates.cache_read);
}

std::int64_t bound_nanousd(const model_price& price, std::int64_t input_tokens,
                           std::int64_t output_tokens) {
  const auto bound = bound_at(price.rates, input_tokens, output_tokens);
  if (input_tokens <= price.long_prompt_tokens) return bound;
  return std::max(bound, bound_at(price.long_prompt_rates, input_tokens, output_tokens));
}

result<price_table> price_table::parse(std::string_view json_text) {
  const json file = json::parse(json_text, nullptr, false, true);
  if (!file.is_object() || file.value("schema", json()) != 1 || !file.contains("models") ||
      !file["models"].is_array()) {
    return error(error_code::invalid_argument,
                 "a price file is a JSON object with \"schema\": 1 and a list \"models\"");
  }
  price_table table;
  for (const auto& row : file["models"]) {
    const std::string where = "model " + std::to_string(table.rows_.size() + 1);
    if (!row.is_object() || !row.contains("model") || !row["model"].is_string()) {
      return error(error_code::invalid_argument, where + " has no pattern \"model\"");
    }
    const std::string pattern = row["model"];
    const auto star = pattern.find('*');
    if (pattern.empty() || pattern == "*" ||
        (star != std::string::npos && star != pattern.size() - 1)) {
      return error(
          error_code::invalid_argument,
          where + ": '" + pattern + "' is no model name, with or without a '*' at its end");
    }
    GERMLINE_TRY_ASSIGN(const auto price, read_row(row, where + " (" + pattern + ")"));
    table.rows_.push_back({pattern, price});
  }
  return table;
}

result<price_table> price_table::load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return error(error_code::not_found, "cannot read the price file " + path);
  std::ostringstream text;
  text << file.rdbuf();
  auto table = parse(text.str());
  if (!table) return table.error().within(path);
  return table;
}

std::optional<model_price> price_table::find(std::string_view model) const {
  for (const auto& [pattern, price] : rows_) {
    const bool open_end = pattern.back() == '*';
    const std::string_view fixed(pattern.data(), pattern.size() - (open_end ? 1 : 0));
    if (open_end ? model.starts_with(fixed) : model == fixed) return price;
  }
  return std::nullopt;
}

}  // namespace germline::worker
