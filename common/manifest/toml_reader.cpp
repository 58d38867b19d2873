#include "common/manifest/toml_reader.hpp"

#include <algorithm>
#include <cmath>

#include <spdlog/fmt/fmt.h>

#include "common/text/units.hpp"

namespace germline {
namespace {

std::string place(std::string_view source, const toml::source_region& region) {
  return std::string(source) + ":" + std::to_string(region.begin.line) + ": ";
}

std::string_view article_and_type(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

}  // namespace

result<toml::table> parse_toml(std::string_view text, std::string_view source,
                               std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return error(error_code::resource_exhausted,
                 std::string(source) + ": it has " + std::to_string(text.size()) +
                     " bytes; at most " + std::to_string(bytes_max) + " are taken");
  }
  // toml++ recurses into arrays and inline tables; no file of ours nests at all deeply.
  if (std::count(text.begin(), text.end(), '[') + std::count(text.begin(), text.end(), '{') >
      2'000) {
    return error(error_code::resource_exhausted,
                 std::string(source) + ": it has more than 2000 brackets");
  }
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& failure) {
    return error(error_code::invalid_argument, place(source, failure.source()) + "not TOML: " +
                                                   std::string(failure.description()));
  }
}

void toml_reader::fail(std::string_view key, std::string_view message) {
  if (failed_) return;
  const auto* node = table_ == nullptr ? nullptr : table_->get(key);
  std::string where = std::string(source_) + ": ";
  if (node != nullptr) {
    where = place(source_, node->source());
  } else if (table_ != nullptr && table_->source().begin.line > 0) {
    where = place(source_, table_->source());
  }
  failed_ = error(error_code::invalid_argument, where + "`" + std::string(key) + "`" +
                                                    (name_.empty() ? "" : " in " + name_) + " " +
                                                    std::string(message));
}

void toml_reader::require(std::string_view key, std::string_view example) {
  if (failed_) return;
  fail(key, "is missing; write " + std::string(example));
  only_missing_ = true;
}

const toml::node* toml_reader::find(std::string_view key) {
  known_.push_back(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

std::optional<std::string> toml_reader::text(std::string_view key) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_string();
  if (value == nullptr) {
    fail(key, "is " + std::string(article_and_type(*node)) + "; write a text in quotes");
    return std::nullopt;
  }
  if (value->get().find('\0') != std::string::npos) {
    fail(key, "has a NUL character");
    return std::nullopt;
  }
  return value->get();
}

std::optional<std::int64_t> toml_reader::whole(std::string_view key, std::int64_t least,
                                               std::int64_t most) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < least || value->get() > most) {
    fail(key, least == most ? "must be " + std::to_string(least)
                            : "must be a whole number from " + std::to_string(least) + " to " +
                                  std::to_string(most));
    return std::nullopt;
  }
  return value->get();
}

std::optional<double> toml_reader::number(std::string_view key, double least, double most) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto value = node->value<double>();
  if (!node->is_number() || !value || !std::isfinite(*value) || *value < least || *value > most) {
    fail(key, fmt::format("must be a number from {} to {}", least, most));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> toml_reader::flag(std::string_view key) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_boolean();
  if (value == nullptr) {
    fail(key, "must be true or false");
    return std::nullopt;
  }
  return value->get();
}

std::optional<std::int64_t> toml_reader::duration_ms(std::string_view key) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto parsed = parse_duration_ms(*value);
  if (!parsed) {
    fail(key, "is wrong: " + parsed.error().message());
    return std::nullopt;
  }
  return *parsed;
}

std::optional<std::int64_t> toml_reader::size_bytes(std::string_view key) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto parsed = parse_size_bytes(*value);
  if (!parsed) {
    fail(key, "is wrong: " + parsed.error().message());
    return std::nullopt;
  }
  return *parsed;
}

std::optional<std::vector<std::string>> toml_reader::texts(std::string_view key) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* array = node->as_array();
  std::vector<std::string> values;
  if (array != nullptr) {
    for (const auto& item : *array) {
      const auto* value = item.as_string();
      if (value == nullptr || value->get().find('\0') != std::string::npos) {
        array = nullptr;
        break;
      }
      values.push_back(value->get());
    }
  }
  if (array == nullptr) {
    fail(key, "must be a list of texts, such as [\"a\", \"b\"]");
    return std::nullopt;
  }
  return values;
}

std::optional<std::size_t> toml_reader::choice(std::string_view key,
                                               const std::vector<std::string_view>& choices) {
  const auto* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_string();
  const auto found =
      value == nullptr ? choices.end() : std::find(choices.begin(), choices.end(), value->get());
  if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  std::string list;
  for (const auto one : choices) list += (list.empty() ? "\"" : ", \"") + std::string(one) + "\"";
  fail(key, (value == nullptr ? "is " + std::string(article_and_type(*node))
                              : "is '" + value->get().substr(0, 64) + "'") +
                "; write one of " + list);
  return std::nullopt;
}

const toml::table* toml_reader::table(std::string_view key) {
  const auto* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) fail(key, "must be a table; write [" + std::string(key) + "]");
  return node->as_table();
}

result<void> toml_reader::finish() {
  if (table_ != nullptr && (!failed_ || only_missing_)) {  // missing may be misspelt
    for (const auto& [key, node] : *table_) {
      if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
      failed_ = error(error_code::invalid_argument,
                      place(source_, key.source()) + unknown_key_message(key.str(), known_) +
                          (name_.empty() ? "" : " (in " + name_ + ")"));
      break;
    }
  }
  if (failed_) return *failed_;
  return {};
}

}  // namespace germline
