// sha1: incremental SHA-1 by OpenSSL, for git's object ids alone; everything that must resist an
// attacker uses SHA-256 (common/hash.hpp). One thread at a time.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string_view>

#include "common/assert.hpp"
#include "common/git/oid.hpp"

namespace germline::git {

class sha1 {
 public:
  sha1() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { restart(); }
  void restart() { GERMLINE_ASSERT(EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr) == 1); }
  void update(std::string_view bytes) {
    GERMLINE_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  /// The digest; restart() before the next use.
  oid finish() {
    oid id;
    GERMLINE_ASSERT(EVP_DigestFinal_ex(context_.get(), id.bytes.data(), nullptr) == 1);
    return id;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace germline::git
