#include "common/pki/join_token.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "common/clock.hpp"
#include "common/hash.hpp"
#include "common/pki/openssl.hpp"

namespace germline::pki {
namespace {

// After the prefix, in base64url without padding:
//   1 byte   role: 1 worker, 2 person
//   1 byte   1: may be used more than once
//   8 bytes  seconds UTC when it expires, big-endian
//   8 bytes  id
//  32 bytes  SHA-256 of the authority's certificate
//   n bytes  name, 0 to 64
//  32 bytes  HMAC-SHA256 of all before
constexpr std::string_view prefix = "glj1.";
constexpr std::size_t id_bytes = 8;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t head_bytes = 1 + 1 + 8 + id_bytes + digest_bytes;
constexpr std::size_t max_text_bytes = 400;

std::string base64url(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  while (out.ends_with('=')) out.pop_back();
  return out;
}

/// Empty where it is none.
std::string of_base64url(std::string text) {
  if (text.empty() || text.find_first_of("+/=") != std::string::npos) return {};
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  std::size_t padding = 0;
  for (; text.size() % 4 != 0; ++padding) text += '=';
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0 || padding > 2) return {};
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string of_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string hex_of(std::string_view bytes) {
  return to_hex({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

std::string mac(std::string_view bytes, std::string_view key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  const auto* made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data(), &size);
  GERMLINE_ASSERT(made != nullptr && size == digest_bytes);
  return {reinterpret_cast<const char*>(out.data()), size};
}

/// The token's bytes; an error says what a token looks like.
result<std::string> bytes_of(std::string_view text) {
  std::string bytes;
  if (text.starts_with(prefix) && text.size() <= max_text_bytes) {
    bytes = of_base64url(std::string(text.substr(prefix.size())));
  }
  if (bytes.size() >= head_bytes + digest_bytes) return bytes;
  return error(error_code::invalid_argument,
               "this is no join token: `germline pki token`, run beside the coordinator's "
               "authority, prints one, and it begins with " +
                   std::string(prefix));
}

}  // namespace

result<std::string> make_token_id() {
  std::array<unsigned char, id_bytes> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) {
    return openssl_error(error_code::internal, "taking random bytes");
  }
  return to_hex(bytes);
}

std::string write_token(const join_token& token, std::string_view key) {
  GERMLINE_ASSERT(token.id.size() == 2 * id_bytes);
  GERMLINE_ASSERT(token.ca_fingerprint.size() == 2 * digest_bytes);
  GERMLINE_ASSERT(token.who != role::coordinator);
  std::string bytes;
  bytes += token.who == role::worker ? '\1' : '\2';
  bytes += token.reusable ? '\1' : '\0';
  const auto seconds = static_cast<std::uint64_t>(token.expires_ms / 1'000);
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(seconds >> shift & 0xffU);
  bytes += of_hex(token.id) + of_hex(token.ca_fingerprint) + token.name;
  bytes += mac(bytes, key);
  return std::string(prefix) + base64url(bytes);
}

bool is_token_text(std::string_view text) {
  return text.starts_with(prefix);
}

result<join_token> read_token(std::string_view text) {
  GERMLINE_TRY_ASSIGN(const std::string bytes, bytes_of(text));
  const std::string_view all(bytes);
  join_token token;
  if ((bytes[0] != 1 && bytes[0] != 2) || (bytes[1] != 0 && bytes[1] != 1)) {
    return error(error_code::invalid_argument,
                 "this join token is damaged, or of another version of Germline");
  }
  token.who = bytes[0] == 1 ? role::worker : role::person;
  token.reusable = bytes[1] == 1;
  std::uint64_t seconds = 0;
  for (const char byte : all.substr(2, 8)) seconds = seconds << 8 | static_cast<std::uint8_t>(byte);
  constexpr std::uint64_t end_of_time = 253'402'300'799;  // of the year 9999
  token.expires_ms = static_cast<std::int64_t>(std::min(seconds, end_of_time)) * 1'000;
  token.id = hex_of(all.substr(10, id_bytes));
  token.ca_fingerprint = hex_of(all.substr(10 + id_bytes, digest_bytes));
  token.name = all.substr(head_bytes, all.size() - head_bytes - digest_bytes);
  if (!token.name.empty()) GERMLINE_TRY(check_name(token.name));
  return token;
}

result<join_token> verify_token(std::string_view text, std::string_view key, std::int64_t now_ms) {
  GERMLINE_TRY_ASSIGN(const std::string bytes, bytes_of(text));
  const auto said = std::string_view(bytes).substr(0, bytes.size() - digest_bytes);
  const auto right = mac(said, key);
  if (CRYPTO_memcmp(right.data(), bytes.data() + said.size(), digest_bytes) != 0) {
    return error(error_code::permission_denied,
                 "this join token is not one of this coordinator's authority");
  }
  GERMLINE_TRY_ASSIGN(join_token token, read_token(text));
  if (now_ms >= token.expires_ms) {
    return error(error_code::permission_denied,
                 "this join token's time was over at " + to_iso8601(token.expires_ms) +
                     "; `germline pki token` (for a person with --role person) makes another");
  }
  return token;
}

}  // namespace germline::pki
