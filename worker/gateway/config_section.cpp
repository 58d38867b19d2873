#include "worker/gateway/config_section.hpp"

#include <algorithm>

#include "common/log.hpp"
#include "worker/gateway/plain_text.hpp"

namespace germline::worker {

section::section(toml::table& file, const std::string& name) : name_("[" + name + "]") {
  table_ = file[name].as_table();
  if (file.contains(name) && !table_) {
    complaint_ = name_ + " must be a table, which begins with the line " + name_;
  }
}

section::section(toml::table* table, std::string name) : name_(std::move(name)), table_(table) {}

void section::text(const char* key, std::string& into, const std::string& right) {
  const toml::node* node = take(key);
  if (!node) return;
  const auto value = node->value_exact<std::string>();
  if (!value) return fail("must be a string in quotes: " + right, key);
  if (const auto why = mistake(*value); !why.empty()) return fail(why + "; it is " + right, key);
  into = *value;
}

bool section::flag(const char* key, bool& into) {
  const toml::node* node = take(key);
  if (!node) return false;
  if (const auto value = node->value_exact<bool>()) {
    into = *value;
  } else {
    fail("must be true or false", key);
  }
  return true;
}

void section::number(const char* key, std::int64_t& into, std::int64_t least, std::int64_t most) {
  const toml::node* node = take(key);
  if (!node) return;
  const auto value = node->value_exact<std::int64_t>();
  if (value && *value >= least && *value <= most) {
    into = *value;
  } else {
    fail("must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
             (value ? ", and is " + std::to_string(*value) : std::string()),
         key);
  }
}

void section::texts(const char* key, std::vector<std::string>& into, const std::string& right,
                    when_empty empty_list) {
  const toml::node* node = take(key);
  if (!node) return;
  const toml::array* list = node->as_array();
  if (!list) return fail("must be a list of strings: each is " + right, key);
  if (list->empty() && empty_list == when_empty::is_wrong) {
    return fail("is an empty list; leave the key out, or name at least one: each is " + right, key);
  }
  for (const auto& item : *list) {
    const auto value = item.value_exact<std::string>();
    if (!value) return fail("must be a list of strings: each is " + right, key);
    const auto shown = std::string("'") + printable(*value) + "'";
    if (const auto why = mistake(*value); !why.empty()) {
      return fail("has " + shown + ", which " + why + "; each is " + right, key);
    }
    if (std::ranges::find(into, *value) != into.end()) {
      return fail("has " + shown + " twice; leave one of them", key);
    }
    into.push_back(*value);
  }
}

std::string section::finish() {
  if (!table_) return complaint_;
  for (const auto& [key, ignored] : *table_) {
    if (std::ranges::find(seen_, key.str()) != seen_.end()) continue;
    std::string all;
    for (const auto& seen : seen_) all += (all.empty() ? "" : ", ") + seen;
    fail("is unknown here; known are: " + all, printable(key.str()));
  }
  return complaint_;
}

const toml::node* section::take(const char* key) {
  seen_.emplace_back(key);
  return table_ ? table_->get(key) : nullptr;
}

std::string section::mistake(const std::string& value) {
  if (value.empty()) return "is empty";
  if (has_control_character(value)) return "has a control character";
  return has_outer_space(value) ? "has a space before or behind it" : "";
}

void section::fail(const std::string& why, std::string_view key) {
  if (complaint_.empty()) complaint_ = name_ + " " + std::string(key) + " " + why;
}

}  // namespace germline::worker
