#include "common/ids.hpp"

#include <algorithm>
#include <array>

#include "common/hash.hpp"

namespace germline {

std::string make_uuid7_hex(const clock& time, random_source& random) {
  std::array<unsigned char, 16> bytes{};
  random.fill(bytes);
  const auto ms = static_cast<std::uint64_t>(time.utc_ms());
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<unsigned char>(ms >> (8 * (5 - i)));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x70);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  return to_hex(bytes);
}

bool is_typed_id(std::string_view prefix, std::string_view text) {
  if (text.size() != prefix.size() + 32 || !text.starts_with(prefix)) return false;
  return std::ranges::all_of(text.substr(prefix.size()), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

}  // namespace germline
