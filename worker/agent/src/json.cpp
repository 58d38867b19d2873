#include "json.hpp"

#include <nlohmann/json.hpp>

namespace agent {
namespace {

using library_json = nlohmann::ordered_json;

json from_library(const library_json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<long long>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    json::array_type items;
    for (const auto& item : value) items.push_back(from_library(item));
    return items;
  }
  if (value.is_object()) {
    json::object_type members;
    for (const auto& [name, item] : value.items()) members.push_back({name, from_library(item)});
    return members;
  }
  return {};
}

library_json to_library(const json& value) {
  if (value.is_bool()) return value.bool_or();
  if (value.is_integer()) return value.integer_or();
  if (value.is_double()) return value.double_or();
  if (value.is_string()) return value.string_or();
  if (value.is_array()) {
    auto out = library_json::array();
    for (const auto& item : value.items()) out.push_back(to_library(item));
    return out;
  }
  if (value.is_object()) {
    auto out = library_json::object();
    for (const auto& [name, item] : value.members()) out[name] = to_library(item);
    return out;
  }
  return {};
}

}  // namespace

json::json(array_type value) : value_(std::move(value)) {}
json::json(object_type value) : value_(std::move(value)) {}

json json::of(std::initializer_list<member> members) {
  return object_type(members);
}
json json::list(std::initializer_list<json> items) {
  return array_type(items);
}

result<json> json::parse(std::string_view text) {
  // Deep nesting would exhaust the stack of the recursions above; nothing honest is that deep.
  long long depth = 0;
  for (const char c : text) {
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > 1000) return error{"the JSON text is nested too deeply"};
  }
  const auto value = library_json::parse(text, nullptr, false);
  if (value.is_discarded()) return error{"the text is not JSON"};
  return from_library(value);
}

std::string json::text(int indent) const {
  return to_library(*this).dump(indent, ' ', false, library_json::error_handler_t::replace);
}

std::string json::string_or(std::string fallback) const {
  const auto* held = std::get_if<std::string>(&value_);
  return held != nullptr ? *held : std::move(fallback);
}

long long json::integer_or(long long fallback) const {
  const auto* held = std::get_if<long long>(&value_);
  return held != nullptr ? *held : fallback;
}

double json::double_or(double fallback) const {
  const auto* held = std::get_if<double>(&value_);
  return held != nullptr ? *held : fallback;
}

bool json::bool_or(bool fallback) const {
  const auto* held = std::get_if<bool>(&value_);
  return held != nullptr ? *held : fallback;
}

const json::array_type& json::items() const {
  static const array_type none;
  const auto* held = std::get_if<array_type>(&value_);
  return held != nullptr ? *held : none;
}

const json::object_type& json::members() const {
  static const object_type none;
  const auto* held = std::get_if<object_type>(&value_);
  return held != nullptr ? *held : none;
}

const json* json::find(std::string_view name) const {
  for (const auto& each : members()) {
    if (each.name == name) return &each.value;
  }
  return nullptr;
}

const json& json::operator[](std::string_view name) const {
  static const json none;
  const json* found = find(name);
  return found != nullptr ? *found : none;
}

json& json::operator[](std::string_view name) {
  if (!is_object()) value_ = object_type();
  auto& all = std::get<object_type>(value_);
  for (auto& each : all) {
    if (each.name == name) return each.value;
  }
  all.push_back({std::string(name), json()});
  return all.back().value;
}

void json::push_back(json item) {
  mutable_items().push_back(std::move(item));
}

json::array_type& json::mutable_items() {
  if (!is_array()) value_ = array_type();
  return std::get<array_type>(value_);
}

}  // namespace agent
