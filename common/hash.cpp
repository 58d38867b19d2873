#include "common/hash.hpp"

#include <openssl/evp.h>

#include <array>

#include "common/assert.hpp"

namespace germline {

struct sha256::state {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  state() {
    GERMLINE_ASSERT(context != nullptr);
    GERMLINE_ASSERT(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  ~state() { EVP_MD_CTX_free(context); }
  state(const state&) = delete;
  state& operator=(const state&) = delete;
};

sha256::sha256() : state_(std::make_unique<state>()) {}
sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::update(std::string_view bytes) {
  GERMLINE_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string sha256::finish_hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  GERMLINE_ASSERT(EVP_DigestFinal_ex(state_->context, digest.data(), &length) == 1);
  return to_hex({digest.data(), length});
}

std::string sha256_hex(std::string_view bytes) {
  sha256 hasher;
  hasher.update(bytes);
  return hasher.finish_hex();
}

std::string to_hex(std::span<const unsigned char> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace germline
