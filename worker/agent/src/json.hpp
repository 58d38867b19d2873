// The agent's JSON value: a small tree that keeps the order of members, so that a file which people
// read (agent_context.json) is written back as it was. Reading and writing text is nlohmann_json's
// work, in json.cpp alone: its header costs seconds in every file that includes it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "result.hpp"

namespace agent {

class json {
 public:
  struct member;  // name and value
  using array_type = std::vector<json>;
  using object_type = std::vector<member>;

  json() = default;  // null
  json(bool value) : value_(value) {}
  json(int value) : value_(static_cast<long long>(value)) {}
  json(long long value) : value_(value) {}
  json(double value) : value_(value) {}
  json(std::string value) : value_(std::move(value)) {}
  json(const char* value) : value_(std::string(value)) {}
  json(array_type value);
  json(object_type value);

  /// An object: json::of({{"name", "x"}, {"count", 3}}); without members, the empty one.
  static json of(std::initializer_list<member> members = {});
  static json list(std::initializer_list<json> items = {});

  static result<json> parse(std::string_view text);
  /// Invalid UTF-8 in strings becomes U+FFFD. `indent` -1: all on one line.
  std::string text(int indent = -1) const;

  bool is_null() const { return value_.index() == 0; }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_integer() const { return std::holds_alternative<long long>(value_); }
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<array_type>(value_); }
  bool is_object() const { return std::holds_alternative<object_type>(value_); }

  /// The value if it is of that kind, else what is given.
  std::string string_or(std::string fallback = {}) const;
  long long integer_or(long long fallback = 0) const;
  double double_or(double fallback = 0) const;
  bool bool_or(bool fallback = false) const;

  /// Items of an array, members of an object; of anything else, none.
  const array_type& items() const;
  const object_type& members() const;

  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// The member of that name; null if there is none or this is no object.
  const json& operator[](std::string_view name) const;
  /// For writing: makes an object of a null, and the member if it is missing.
  json& operator[](std::string_view name);
  /// Makes an array of a null. Requires: nothing else than an array or null.
  void push_back(json item);
  array_type& mutable_items();

 private:
  const json* find(std::string_view name) const;

  std::variant<std::monostate, bool, long long, double, std::string, array_type, object_type>
      value_;
};

struct json::member {
  std::string name;
  json value;
};

}  // namespace agent
