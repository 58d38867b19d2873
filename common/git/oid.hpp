// oid: the id of a git object, 20 bytes, written as 40 lower-case hex digits. A plain value.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::git {

struct oid {
  std::array<unsigned char, 20> bytes{};

  auto operator<=>(const oid&) const = default;
  bool is_zero() const noexcept { return *this == oid{}; }
  std::string hex() const;
  /// The 20 raw bytes, as tree entries hold them.
  std::string_view raw() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// REQUIRES raw.size() == 20.
  static oid from_raw(std::string_view raw);
  /// 40 lower-case hex digits, nothing else.
  static result<oid> parse(std::string_view hex);
};

}  // namespace germline::git
