#include "common/pki/private_key.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <utility>

#include "common/pki/openssl.hpp"

namespace germline::pki {

private_key::private_key(private_key&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}

private_key& private_key::operator=(private_key&& other) noexcept {
  std::swap(key_, other.key_);
  return *this;
}

private_key::~private_key() {
  EVP_PKEY_free(key_);
}

result<private_key> private_key::generate() {
  EVP_PKEY* made = EVP_EC_gen("P-256");
  if (made == nullptr) return openssl_error(error_code::internal, "making a key");
  return private_key(made);
}

result<private_key> private_key::from_pem(std::string_view pem) {
  const auto from = reading(pem);
  // Without a password function OpenSSL would ask on the terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  EVP_PKEY* read = PEM_read_bio_PrivateKey(from.get(), nullptr, no_password, nullptr);
  if (read == nullptr) {
    return openssl_error(error_code::invalid_argument,
                         "this is no private key in PEM without a password");
  }
  return private_key(read);
}

result<std::string> private_key::to_pem() const {
  const auto into = writing();
  if (PEM_write_bio_PrivateKey(into.get(), key_, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error(error_code::internal, "writing a key");
  }
  return written(into.get());
}

result<std::string> private_key::make_request() const {
  const request_ptr request(X509_REQ_new());
  const auto into = writing();
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key_) != 1 ||
      X509_REQ_sign(request.get(), key_, EVP_sha256()) == 0 ||
      PEM_write_bio_X509_REQ(into.get(), request.get()) != 1) {
    return openssl_error(error_code::internal, "making a certificate request");
  }
  return written(into.get());
}

}  // namespace germline::pki
