#include "common/text/utf8.hpp"

namespace germline {

std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                             : lead >= 0xe0 && lead <= 0xef ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
  if (length == 0 || length > text.size() - at) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  // The second byte decides overlong forms, surrogates, and what lies beyond U+10FFFF.
  const auto second = byte(1);
  const bool wrong = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                     (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
  return wrong ? 0 : length;
}

std::string valid_utf8(std::string_view text, std::size_t bytes_max) {
  constexpr char digits[] = "0123456789abcdef";
  std::string valid;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = utf8_length(text, at);
    if (valid.size() + (length == 0 ? 4 : length) > bytes_max) break;
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[at++]);
      valid += "\\x";
      valid += digits[byte >> 4];
      valid += digits[byte & 0xf];
      continue;
    }
    valid.append(text.substr(at, length));
    at += length;
  }
  return valid;
}

}  // namespace germline
