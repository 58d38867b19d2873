#include "worker/gateway/base64.hpp"

#include <climits>

#include <openssl/evp.h>

#include "common/assert.hpp"
#include "common/text/utf8.hpp"

namespace germline::worker {

std::string to_base64(std::string_view bytes) {
  GERMLINE_ASSERT(bytes.size() <= INT_MAX);
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the NUL that OpenSSL writes
  const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

result<std::string> from_base64(std::string_view text) {
  const error bad(error_code::data_loss, "base64 is damaged");
  if (text.size() % 4 != 0 || text.size() > INT_MAX) return bad;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
  // It passes over spaces at the ends.
  if (length < 0 || static_cast<std::size_t>(length) != bytes.size()) return bad;
  std::size_t padding = 0;
  while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto length = utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace germline::worker
