#include "worker/gateway/prices.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "common/log.hpp"
#include "common/money.hpp"
#include "worker/gateway/model_pattern.hpp"
#include "worker/gateway/plain_text.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;
__extension__ using wide = __int128;  // ISO C++ has no name for it

// 10,000 USD per million tokens: past that it is a slip of the unit.
constexpr std::int64_t max_price = 10'000'000'000'000;
constexpr std::int64_t max_output = 1'000'000'000;
constexpr const char* usage_text =
    "nano-dollars per million tokens, a whole number (3 USD is 3000000000), at most 10000000000000";
constexpr const char* file_form =
    "a price file is a JSON object with \"schema\": 1 and a list \"models\"";

error bad(const std::string& why) {
  return {error_code::invalid_argument, why};
}

/// For a message; short, whatever it is.
std::string shown(const json& value) {
  auto text = value.is_structured() ? std::string(value.is_array() ? "a list" : "an object")
                                    : printable(value.dump());
  constexpr std::size_t most = 60;
  if (text.size() > most) text = text.substr(0, most) + "...";
  return text;
}

/// Looks on while a price file is parsed, since nlohmann::json keeps the last of equal keys and
/// says nothing. Remembers the first key that was there twice.
class twice_finder {
 public:
  void see(json::parse_event_t event, const json& value) {
    if (event == json::parse_event_t::object_start) {
      if (open_.size() == 1) row_name_.clear();
      if (open_.size() == 1) ++row_;
      open_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == json::parse_event_t::key) {
      see_key(value.get<std::string>());
    } else if (event == json::parse_event_t::value && open_.size() == 2 && value.is_string() &&
               open_.back().last == "model") {
      row_name_ = " (" + printable(value.get<std::string>()) + ")";
    }
  }
  /// Empty: none.
  const std::string& complaint() const { return complaint_; }

 private:
  struct object {
    std::set<std::string> keys;
    std::string last;
  };
  void see_key(std::string key) {
    auto& here = open_.back();
    if (!here.keys.insert(key).second && complaint_.empty()) {
      complaint_ = (open_.size() == 1 ? "" : "model " + std::to_string(row_) + row_name_ + ": ") +
                   (open_.size() > 2 ? printable(open_[open_.size() - 2].last) + ": " : "") +
                   "the key '" + printable(key) + "' is there twice; leave one of them";
    }
    if (open_.size() == 1) row_ = 0;
    here.last = std::move(key);
  }

  std::vector<object> open_;
  int row_ = 0;
  std::string row_name_;
  std::string complaint_;
};

result<json> read_json(std::string_view text) {
  twice_finder twice;
  json file;
  try {
    file = json::parse(
        text,
        [&](int, json::parse_event_t event, json& value) {
          twice.see(event, value);
          return true;
        },
        true, true);
  } catch (const json::exception& failed) {
    const std::string_view why = failed.what();  // "[json.exception.….101] parse error at line …"
    const auto begin = why.find("] ");
    return bad("it is no JSON: " + printable(begin == why.npos ? why : why.substr(begin + 2)));
  }
  if (!twice.complaint().empty()) return bad(twice.complaint());
  return file;
}

std::int64_t rounded_up(wide per_million) {
  constexpr wide million = 1'000'000;
  return static_cast<std::int64_t>((per_million + million - 1) / million);
}

result<std::int64_t> read_price(const json& row, const char* key, const std::string& where) {
  const auto found = row.find(key);
  if (found == row.end()) {
    return bad(where + ": '" + key + "' is missing; it is " + usage_text);
  }
  if (!found->is_number_integer() || *found < 0 || *found > max_price) {
    return bad(where + ": '" + key + "' must be " + usage_text + ", and is " + shown(*found));
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
      std::string all;
      for (const auto& known : also_known) all += (all.empty() ? "" : ", ") + known;
      return bad(where + ": unknown key '" + printable(key) + "'; known are: " + all);
    }
  }
  return rates;
}

/// Of a price that no provider has, and a budget hardly bounds.
void warn_of_unit(const token_rates& rates, const std::string& where) {
  constexpr std::int64_t least_usual = 100'000;  // $0.0001 a million tokens
  const auto least = std::min(rates.input == 0 ? least_usual : rates.input,
                              rates.output == 0 ? least_usual : rates.output);
  if (least >= least_usual) return;
  log_warning(
      "{}: a price of {} is {} a million tokens; prices are in nano-dollars: $3 is 3000000000",
      where, least, format_usd(least));
}

result<model_price> read_row(const json& row, const std::string& where) {
  model_price price;
  GERMLINE_TRY_ASSIGN(
      price.rates,
      read_rates(row, where, {"model", "note", "from", "long_prompt", "max_output_tokens"}));
  warn_of_unit(price.rates, where);
  if (const auto most = row.find("max_output_tokens"); most != row.end()) {
    if (!most->is_number_integer() || *most < 1 || *most > max_output) {
      return bad(where +
                 ": 'max_output_tokens' must be a whole number from 1 to 1000000000, and is " +
                 shown(*most));
    }
    price.max_output_tokens = most->get<std::int64_t>();
  }
  const auto found = row.find("long_prompt");
  if (found == row.end()) return price;
  const auto within = where + ": long_prompt";
  const auto above = found->is_object() ? found->value("above_tokens", json()) : json();
  if (!above.is_number_integer() || above < 1 || above > max_output) {
    return bad(within +
               " must be an object with 'above_tokens', a whole number from 1 to 1000000000, and "
               "prices");
  }
  price.long_prompt_tokens = above.get<std::int64_t>();
  GERMLINE_TRY_ASSIGN(price.long_prompt_rates, read_rates(*found, within, {"above_tokens"}));
  return price;
}

/// The beginning of the day, or INT64_MIN where none is told.
result<std::int64_t> read_from(const json& row, const std::string& where) {
  const auto found = row.find("from");
  if (found == row.end()) return INT64_MIN;
  const auto text = found->is_string() ? found->get<std::string>() : std::string();
  int year = 0, month = 0, day = 0, read = 0;
  const bool is_date =
      text.size() == 10 && text.find_first_not_of("0123456789-") == text.npos &&
      std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &read) == 3 && read == 10;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!is_date || !date.ok()) {
    return bad(where +
               ": 'from' must be the first day of the price, in UTC, such as \"2026-12-01\"" +
               ", and is " + shown(*found));
  }
  return std::chrono::milliseconds(std::chrono::sys_days(date).time_since_epoch()).count();
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
  GERMLINE_TRY_ASSIGN(const json file, read_json(json_text));
  if (!file.is_object() || file.value("schema", json()) != 1 || !file.contains("models") ||
      !file["models"].is_array()) {
    return bad(file_form);
  }
  for (const auto& [key, ignored] : file.items()) {
    if (key != "schema" && key != "models" && key != "note") {
      return bad("unknown key '" + printable(key) + "'; " + file_form);
    }
  }
  if (file["models"].empty()) {
    return bad("\"models\" is an empty list: no model would have a price; give each a row there");
  }
  price_table table;
  for (const auto& row : file["models"]) {
    const std::string where = "model " + std::to_string(table.rows_.size() + 1);
    if (!row.is_object() || !row.contains("model") || !row["model"].is_string()) {
      return bad(where + " must be an object with a pattern \"model\", " +
                 std::string(model_pattern_form));
    }
    const std::string pattern = row["model"];
    if (!is_model_pattern(pattern) || pattern == "*") {
      return bad(where + ": '" + printable(pattern) + "' must be " +
                 std::string(model_pattern_form) + "; '*' alone is none");
    }
    GERMLINE_TRY_ASSIGN(const auto from, read_from(row, where + " (" + pattern + ")"));
    const auto former = std::ranges::find_if(table.rows_, [&](const price_table::row& one) {
      return one.pattern == pattern && one.from_utc_ms == from;
    });
    if (former != table.rows_.end()) {
      return bad(where + " (" + pattern + ") is there already as model " +
                 std::to_string(former - table.rows_.begin() + 1) +
                 "; leave one row of the two, or give one the day that it begins, \"from\"");
    }
    GERMLINE_TRY_ASSIGN(const auto price, read_row(row, where + " (" + pattern + ")"));
    table.rows_.push_back({pattern, from, price});
  }
  return table;
}

result<price_table> price_table::load(const std::string& path) {
  GERMLINE_TRY_ASSIGN(const auto text, read_text_file(path, "the price file"));
  auto table = parse(text);
  if (!table) return table.error().within(path);
  return table;
}

const price_table::row* price_table::in_effect(std::string_view model, std::int64_t utc_ms) const {
  const row* best = nullptr;
  const auto rank = [](const row& one) {
    return std::tuple(!one.pattern.ends_with('*'), one.pattern.size(), one.from_utc_ms);
  };
  for (const auto& one : rows_) {
    if (one.from_utc_ms > utc_ms || !matches(one.pattern, model)) continue;
    if (!best || rank(one) > rank(*best)) best = &one;
  }
  return best;
}

price_schedule price_table::find(std::string_view model) const {
  std::set<std::int64_t> changes;
  for (const auto& one : rows_) {
    if (matches(one.pattern, model)) changes.insert(one.from_utc_ms);
  }
  price_schedule found;
  for (const auto from : changes) {
    found.prices_.push_back({from, in_effect(model, from)->price});
  }
  return found;
}

const model_price* price_schedule::at(std::int64_t utc_ms) const {
  const auto after = std::ranges::upper_bound(prices_, utc_ms, {}, &dated::from_utc_ms);
  return after == prices_.begin() ? nullptr : &std::prev(after)->price;
}

}  // namespace germline::worker
