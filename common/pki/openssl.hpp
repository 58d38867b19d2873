// openssl: owners of OpenSSL's objects, and its errors as ours. For the files of common/pki alone.
// Any thread; one object is one thread's at a time.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::pki {

template <auto free_function>
struct freer {
  template <class Object>
  void operator()(Object* object) const noexcept {
    free_function(object);
  }
};

using bio_ptr = std::unique_ptr<BIO, freer<&BIO_free_all>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freer<&EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freer<&X509_free>>;
using request_ptr = std::unique_ptr<X509_REQ, freer<&X509_REQ_free>>;
using number_ptr = std::unique_ptr<BIGNUM, freer<&BN_free>>;

/// What OpenSSL says went wrong in this thread, or just `what`.
error openssl_error(error_code code, std::string_view what);

/// Reads from `text`, which must outlive it.
bio_ptr reading(std::string_view text);
/// Collects what is written into it.
bio_ptr writing();
std::string written(BIO* into);

}  // namespace germline::pki
