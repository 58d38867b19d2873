// Typed ids: UUIDv7 (RFC 9562, section 5.7) written as 32 hex digits behind a prefix, such as
// "lin_0190f3c2a1b27c3d8e4f5a6b7c8d9e0f". Sortable by time of creation. People may abbreviate them
// to any prefix that is unique; resolving is the store's work.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"

namespace germline {

/// 32 lower-case hex digits of a new UUIDv7.
std::string make_uuid7_hex(const clock& time, random_source& random);

/// Whether `text` is `prefix` followed by 32 lower-case hex digits.
bool is_typed_id(std::string_view prefix, std::string_view text);

template <class Tag>
class typed_id {
 public:
  typed_id() = default;

  static typed_id make(const clock& time, random_source& random) {
    return typed_id(std::string(Tag::prefix) + make_uuid7_hex(time, random));
  }
  static result<typed_id> parse(std::string_view text) {
    if (!is_typed_id(Tag::prefix, text)) {
      return error(error_code::invalid_argument, "'" + std::string(text) +
                                                     "' is not an id of the form " +
                                                     std::string(Tag::prefix) + "<32 hex digits>");
    }
    return typed_id(std::string(text));
  }

  const std::string& str() const noexcept { return text_; }
  bool empty() const noexcept { return text_.empty(); }
  auto operator<=>(const typed_id&) const = default;

 private:
  explicit typed_id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

using run_id = typed_id<struct run_tag>;
using lineage_id = typed_id<struct lineage_tag>;
using generation_id = typed_id<struct generation_tag>;
using item_id = typed_id<struct item_tag>;
using attempt_id = typed_id<struct attempt_tag>;

struct run_tag {
  static constexpr std::string_view prefix = "run_";
};
struct lineage_tag {
  static constexpr std::string_view prefix = "lin_";
};
struct generation_tag {
  static constexpr std::string_view prefix = "gen_";
};
struct item_tag {
  static constexpr std::string_view prefix = "itm_";
};
struct attempt_tag {
  static constexpr std::string_view prefix = "att_";
};

}  // namespace germline
