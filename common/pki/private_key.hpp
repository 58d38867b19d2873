// private_key: one key of a certificate, P-256 where we make it. Movable; any thread, one at a
// time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"

struct evp_pkey_st;  // OpenSSL's

namespace germline::pki {

class private_key {
 public:
  /// A new one. Its entropy is OpenSSL's own, as is all of what keys are made with: the seam
  /// `random_source` repeats in tests, which no key may.
  static result<private_key> generate();
  static result<private_key> from_pem(std::string_view pem);
  private_key(private_key&& other) noexcept;
  private_key& operator=(private_key&& other) noexcept;
  ~private_key();

  /// PKCS #8, not encrypted.
  result<std::string> to_pem() const;
  /// A PKCS #10 request for this key. Whose it is, the authority decides: it names nobody.
  result<std::string> make_request() const;
  evp_pkey_st* get() const noexcept { return key_; }

 private:
  explicit private_key(evp_pkey_st* key) noexcept : key_(key) {}
  evp_pkey_st* key_ = nullptr;
};

}  // namespace germline::pki
