#include "common/pki/openssl.hpp"

#include <openssl/err.h>

namespace germline::pki {

error openssl_error(error_code code, std::string_view what) {
  const auto number = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
  return {code, std::string(what) + (reason == nullptr ? "" : std::string(": ") + reason)};
}

bio_ptr reading(std::string_view text) {
  return bio_ptr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bio_ptr writing() {
  return bio_ptr(BIO_new(BIO_s_mem()));
}

std::string written(BIO* into) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(into, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace germline::pki
