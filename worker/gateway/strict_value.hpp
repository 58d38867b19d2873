// strict_value: a JSON text as those see it who judge it: parsed by simdjson, with its strings
// where simdjson put them, and no allocation a value. A text that two readers could take for two is
// refused: keys that are there twice, nesting that is too deep, numbers that 64 bits do not hold.
// So is one of more values than a request has use for. Any thread; a document belongs to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace germline::worker::strict {

/// One value, as long as its document lives.
class value {
 public:
  struct member;
  enum class kind : std::uint8_t {
    null,
    boolean,
    integer,    // that an int64 holds
    unsigned_,  // a larger one
    number,
    string,
    array,
    object
  };

  value() = default;
  explicit value(bool truth) : kind_(kind::boolean), truth_(truth) {}
  explicit value(std::int64_t whole) : kind_(kind::integer), integer_(whole) {}
  explicit value(std::uint64_t whole) : kind_(kind::unsigned_), unsigned_value_(whole) {}
  explicit value(double real) : kind_(kind::number), number_(real) {}
  explicit value(std::string_view text)
      : kind_(kind::string), size_(text.size()), text_(text.data()) {}
  explicit value(std::span<const value> elements)
      : kind_(kind::array), size_(elements.size()), elements_(elements.data()) {}
  explicit value(std::span<const member> members);

  bool is_null() const { return kind_ == kind::null; }
  bool is_boolean() const { return kind_ == kind::boolean; }
  bool is_string() const { return kind_ == kind::string; }
  bool is_array() const { return kind_ == kind::array; }
  bool is_object() const { return kind_ == kind::object; }
  bool is(bool truth) const { return is_boolean() && truth_ == truth; }
  bool is(std::string_view text) const { return is_string() && this->text() == text; }
  bool is(const char* text) const { return is(std::string_view(text)); }
  /// As numbers are compared: 1.0 is 1.
  bool is(int number) const;

  /// Empty where it is no string.
  std::string_view text() const { return is_string() ? std::string_view(text_, size_) : ""; }
  /// None where it is no whole number, or one that is too large.
  std::optional<std::int64_t> integer() const;
  /// None where it is no array.
  std::span<const value> elements() const;
  /// None where it is no object. In their order in the text.
  std::span<const member> members() const;
  /// Null where there is none.
  const value* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  nlohmann::json to_json() const;

 private:
  kind kind_ = kind::null;
  std::size_t size_ = 0;
  union {
    bool truth_;
    std::int64_t integer_;
    std::uint64_t unsigned_value_;
    double number_;
    const char* text_;
    const value* elements_;
    const member* members_ = nullptr;
  };
};

struct value::member {
  std::string_view key;
  value of;
};

class document {
 public:
  /// `text` may be gone afterwards. Behind it are `room` bytes that may be read, whatever is in
  /// them: with spare_bytes of them it is not copied. Throws `refused`.
  explicit document(std::string_view text, std::size_t room = 0);
  explicit document(const std::string& text) : document(text, text.capacity() - text.size()) {}
  ~document();
  document(const document&) = delete;
  document& operator=(const document&) = delete;

  /// An object.
  const value& root() const { return root_; }

  static constexpr std::size_t spare_bytes = 64;

 private:
  class reader;
  std::unique_ptr<reader> reader_;
  value root_;
};

}  // namespace germline::worker::strict
