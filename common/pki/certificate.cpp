#include "common/pki/certificate.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

#include "common/hash.hpp"
#include "common/pki/openssl.hpp"

namespace germline::pki {
namespace {

constexpr std::size_t max_name_bytes = 64;
constexpr int min_rsa_bits = 2'048;
constexpr int min_ec_bits = 256;
constexpr std::string_view scheme = "spiffe://";
constexpr std::string_view own_domain = "germline";

result<certificate_ptr> parse(std::string_view pem) {
  const auto from = reading(pem);
  certificate_ptr read(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
  if (!read) return openssl_error(error_code::invalid_argument, "this is no certificate in PEM");
  return read;
}

std::string hex_of(const ASN1_OCTET_STRING* bytes) {
  if (bytes == nullptr) return {};
  return to_hex(
      {ASN1_STRING_get0_data(bytes), static_cast<std::size_t>(ASN1_STRING_length(bytes))});
}

std::string serial_of(X509* certificate) {
  const number_ptr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (!number) return {};
  std::vector<unsigned char> bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), bytes.data());
  return to_hex(bytes);
}

result<std::int64_t> time_of(const ASN1_TIME* when) {
  std::tm parts{};
  if (when == nullptr || ASN1_TIME_to_tm(when, &parts) != 1) {
    return error(error_code::invalid_argument, "the certificate's dates cannot be read");
  }
  return std::int64_t{::timegm(&parts)} * 1'000;
}

std::string_view text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// From the subject alternative names.
result<identity> whose(X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, freer<&GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const auto* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS && text_of(name->d.dNSName) == coordinator_host) {
      return identity{role::coordinator, std::string(coordinator_host)};
    }
    if (name->type != GEN_URI) continue;
    if (auto found = of_spiffe(text_of(name->d.uniformResourceIdentifier))) return found;
  }
  return error(error_code::invalid_argument,
               "the certificate names neither a worker nor a person (a URI spiffe://DOMAIN/worker/"
               "NAME or …/person/NAME), nor a coordinator (the DNS name " +
                   std::string(coordinator_host) + ")");
}

bool add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (made == nullptr) return false;
  const bool added = X509_add_ext(to, made, -1) == 1;
  X509_EXTENSION_free(made);
  return added;
}

bool set_common(X509* to, EVP_PKEY* key, const std::string& serial, lifetime when) {
  BIGNUM* number = nullptr;
  if (BN_hex2bn(&number, serial.c_str()) == 0) return false;
  const number_ptr owned(number);
  return X509_set_version(to, X509_VERSION_3) == 1 &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(to)) != nullptr &&
         ASN1_TIME_set(X509_getm_notBefore(to), when.not_before_ms / 1'000) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(to), when.not_after_ms / 1'000) != nullptr &&
         X509_set_pubkey(to, key) == 1;
}

bool set_subject(X509* to, const std::string& name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(to), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                    0) == 1;
}

result<std::string> to_pem(X509* certificate) {
  const auto into = writing();
  if (PEM_write_bio_X509(into.get(), certificate) != 1) {
    return openssl_error(error_code::internal, "writing a certificate");
  }
  return written(into.get());
}

/// The request's key, which it is signed with.
result<EVP_PKEY*> requested_key(X509_REQ* request) {
  EVP_PKEY* key = X509_REQ_get0_pubkey(request);
  if (key == nullptr || X509_REQ_verify(request, key) != 1) {
    return openssl_error(error_code::invalid_argument,
                         "the certificate request is not signed with its own key");
  }
  const int kind = EVP_PKEY_get_base_id(key);
  const int bits = EVP_PKEY_get_bits(key);
  const bool strong = (kind == EVP_PKEY_EC && bits >= min_ec_bits) ||
                      (kind == EVP_PKEY_RSA && bits >= min_rsa_bits) || kind == EVP_PKEY_ED25519;
  if (strong) return key;
  return error(error_code::invalid_argument,
               "the certificate request's key must be P-256 or a larger curve, Ed25519, or RSA of "
               "2,048 bits or more");
}

}  // namespace

std::string_view to_string(role who) noexcept {
  switch (who) {
    case role::coordinator:
      return "coordinator";
    case role::worker:
      return "worker";
    case role::person:
      return "person";
  }
  return "";
}

result<role> role_of(std::string_view text) {
  for (const auto who : {role::coordinator, role::worker, role::person}) {
    if (text == to_string(who)) return who;
  }
  return error(error_code::invalid_argument,
               "'" + std::string(text) + "' is no role: coordinator, worker or person");
}

result<void> check_name(std::string_view name) {
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const bool right = !name.empty() && name.size() <= max_name_bytes &&
                     plain(static_cast<unsigned char>(name.front())) &&
                     std::ranges::all_of(name, [&](unsigned char c) {
                       return plain(c) || c == '.' || c == '_' || c == '-' || c == '@';
                     });
  if (right) return {};
  return error(error_code::invalid_argument,
               "'" + std::string(name.substr(0, max_name_bytes)) +
                   "' is no name for a certificate: 1 to 64 letters, digits, '.', '_', '-' and "
                   "'@', with a letter or digit first");
}

std::string to_spiffe(const identity& whose) {
  GERMLINE_ASSERT(whose.who != role::coordinator);
  return std::string(scheme) + std::string(own_domain) + "/" + std::string(to_string(whose.who)) +
         "/" + whose.name;
}

result<identity> of_spiffe(std::string_view uri) {
  const auto wrong = [&] {
    return error(error_code::invalid_argument, "'" + std::string(uri.substr(0, 256)) +
                                                   "' is no spiffe://DOMAIN/worker/NAME or "
                                                   "spiffe://DOMAIN/person/NAME");
  };
  const auto slash = uri.rfind('/');
  if (!uri.starts_with(scheme) || slash == std::string_view::npos) return wrong();
  identity found;
  found.name = uri.substr(slash + 1);
  const auto before = uri.substr(0, slash);
  for (const auto who : {role::worker, role::person}) {
    const auto part = "/" + std::string(to_string(who));
    // Beyond the scheme and at least one letter of a trust domain.
    if (!before.ends_with(part) || before.size() - part.size() <= scheme.size()) continue;
    found.who = who;
    GERMLINE_TRY(check_name(found.name));
    return found;
  }
  return wrong();
}

result<certificate_facts> read_certificate(std::string_view pem) {
  GERMLINE_TRY_ASSIGN(const auto read, parse(pem));
  certificate_facts facts;
  GERMLINE_TRY_ASSIGN(facts.whose, whose(read.get()));
  facts.serial = serial_of(read.get());
  facts.issuer_key = hex_of(X509_get0_authority_key_id(read.get()));
  GERMLINE_TRY_ASSIGN(facts.not_before_ms, time_of(X509_get0_notBefore(read.get())));
  GERMLINE_TRY_ASSIGN(facts.not_after_ms, time_of(X509_get0_notAfter(read.get())));
  return facts;
}

result<std::string> key_id_of(std::string_view pem) {
  GERMLINE_TRY_ASSIGN(const auto read, parse(pem));
  return hex_of(X509_get0_subject_key_id(read.get()));
}

std::vector<std::string> split_bundle(const std::string& bundle) {
  constexpr std::string_view end = "-----END CERTIFICATE-----";
  std::vector<std::string> out;
  std::size_t from = 0;
  for (auto at = bundle.find(end); at != std::string::npos; at = bundle.find(end, from)) {
    const auto past = at + end.size();
    const auto next = past < bundle.size() && bundle[past] == '\n' ? past + 1 : past;
    out.push_back(bundle.substr(from, past - from) + "\n");
    from = next;
  }
  return out;
}

result<std::set<std::string>> key_ids_of(const std::string& bundle) {
  std::set<std::string> ids;
  for (const auto& pem : split_bundle(bundle)) {
    GERMLINE_TRY_ASSIGN(std::string id, key_id_of(pem));
    ids.insert(std::move(id));
  }
  return ids;
}

result<std::string> fingerprint(std::string_view pem) {
  GERMLINE_TRY_ASSIGN(const auto read, parse(pem));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(read.get(), EVP_sha256(), digest.data(), &size) != 1) {
    return openssl_error(error_code::internal, "hashing a certificate");
  }
  return to_hex({digest.data(), size});
}

result<void> check_is_of(std::string_view certificate_pem, const private_key& key) {
  GERMLINE_TRY_ASSIGN(const auto read, parse(certificate_pem));
  if (X509_check_private_key(read.get(), key.get()) == 1) return {};
  return openssl_error(error_code::invalid_argument, "the certificate is not of this key");
}

result<std::string> make_serial() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) {
    return openssl_error(error_code::internal, "taking random bytes");
  }
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7fU) | 0x40U);  // positive, and never short
  return to_hex(bytes);
}

result<std::string> make_ca(const private_key& key, const std::string& name, lifetime when) {
  GERMLINE_TRY_ASSIGN(const std::string serial, make_serial());
  const certificate_ptr made(X509_new());
  X509* const it = made.get();
  if (it == nullptr || !set_common(it, key.get(), serial, when) || !set_subject(it, name) ||
      X509_set_issuer_name(it, X509_get_subject_name(it)) != 1 ||
      !add_extension(it, it, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(it, it, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(it, it, NID_subject_key_identifier, "hash") ||
      X509_sign(it, key.get(), EVP_sha256()) == 0) {
    return openssl_error(error_code::internal, "making an authority's certificate");
  }
  return to_pem(it);
}

result<std::string> sign(std::string_view request_pem, const identity& whose,
                         const std::string& serial, lifetime when, std::string_view ca_pem,
                         const private_key& ca_key) {
  GERMLINE_TRY_ASSIGN(const auto ca, parse(ca_pem));
  const auto from = reading(request_pem);
  const request_ptr request(PEM_read_bio_X509_REQ(from.get(), nullptr, nullptr, nullptr));
  if (!request) {
    return openssl_error(error_code::invalid_argument, "this is no certificate request in PEM");
  }
  GERMLINE_TRY_ASSIGN(EVP_PKEY* const key, requested_key(request.get()));
  const bool serves = whose.who == role::coordinator;
  const auto name = serves ? "DNS:" + std::string(coordinator_host) : "URI:" + to_spiffe(whose);
  const certificate_ptr made(X509_new());
  X509* const it = made.get();
  if (it == nullptr || !set_common(it, key, serial, when) || !set_subject(it, whose.name) ||
      X509_set_issuer_name(it, X509_get_subject_name(ca.get())) != 1 ||
      !add_extension(it, ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(it, ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(it, ca.get(), NID_ext_key_usage, serves ? "serverAuth" : "clientAuth") ||
      !add_extension(it, ca.get(), NID_subject_alt_name, name) ||
      !add_extension(it, ca.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(it, ca.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(it, ca_key.get(), EVP_sha256()) == 0) {
    return openssl_error(error_code::internal, "signing a certificate");
  }
  return to_pem(it);
}

}  // namespace germline::pki
