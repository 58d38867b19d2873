#include "common/git/oid.hpp"

#include <cstring>

#include "common/assert.hpp"
#include "common/hash.hpp"

namespace germline::git {

std::string oid::hex() const {
  return to_hex(bytes);
}

oid oid::from_raw(std::string_view raw) {
  GERMLINE_ASSERT(raw.size() == 20);
  oid id;
  std::memcpy(id.bytes.data(), raw.data(), raw.size());
  return id;
}

result<oid> oid::parse(std::string_view hex) {
  const auto bad = [&] {
    return error(error_code::invalid_argument,
                 "'" + std::string(hex.substr(0, 48)) + "' is not an object id of 40 hex digits");
  };
  if (hex.size() != 40) return bad();
  oid id;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else {
      return bad();
    }
    id.bytes[i / 2] = static_cast<unsigned char>(id.bytes[i / 2] << 4 | digit);
  }
  return id;
}

}  // namespace germline::git
