#include "common/pki/certificate.hpp"

#include <doctest/doctest.h>

#include "common/pki/credentials.hpp"

namespace germline::pki {
namespace {

constexpr std::int64_t day = 86'400'000;
constexpr lifetime a_week{1'700'000'000'000, 1'700'000'000'000 + 7 * day};

struct signed_by {
  private_key ca_key = *private_key::generate();
  std::string ca = *make_ca(ca_key, "Germline test", a_week);
  private_key key = *private_key::generate();
  std::string request = *key.make_request();

  result<std::string> certify(const identity& whose) {
    return sign(request, whose, "4102030405060708090a0b0c0d0e0f10", a_week, ca, ca_key);
  }
};

TEST_CASE("a certificate says whose it is, until when, and who signed it") {
  signed_by by;
  const auto pem = by.certify({role::worker, "wrk_1"});
  REQUIRE(pem);
  const auto facts = read_certificate(*pem);
  REQUIRE(facts);
  CHECK(facts->whose.who == role::worker);
  CHECK(facts->whose.name == "wrk_1");
  CHECK(facts->serial == "4102030405060708090a0b0c0d0e0f10");
  CHECK(facts->not_after_ms == a_week.not_after_ms);
  CHECK(facts->issuer_key == *key_id_of(by.ca));
  CHECK(check_is_of(*pem, by.key));
  CHECK_FALSE(check_is_of(*pem, by.ca_key));
}

TEST_CASE("a coordinator is known by the name that all who dial demand") {
  signed_by by;
  const auto facts =
      read_certificate(*by.certify({role::coordinator, std::string(coordinator_host)}));
  REQUIRE(facts);
  CHECK(facts->whose.who == role::coordinator);
}

TEST_CASE("an authority's own certificate is nobody's") {
  signed_by by;
  const auto facts = read_certificate(by.ca);
  REQUIRE_FALSE(facts);
  CHECK(facts.error().message().find("names neither a worker nor a person") != std::string::npos);
}

TEST_CASE("roles are read from SPIFFE ids of any trust domain") {
  CHECK(of_spiffe("spiffe://germline/worker/wrk_1")->name == "wrk_1");
  CHECK(of_spiffe("spiffe://example.org/germline/person/ann")->who == role::person);
  for (const auto* wrong :
       {"spiffe:///worker/x", "spiffe://worker/x", "spiffe://d/coordinator/x", "https://d/worker/x",
        "spiffe://d/worker/", "spiffe://d/worker/a b", "spiffe://d/xworker/a", ""}) {
    CAPTURE(wrong);
    CHECK_FALSE(of_spiffe(wrong));
  }
}

TEST_CASE("names that could be taken for something else are none") {
  CHECK(check_name("ann@host-1.x"));
  for (const auto* wrong :
       {"", "-a", "a b", "a,URI:spiffe://germline/person/b", "a/b", "ä", "a\n"}) {
    CAPTURE(wrong);
    CHECK_FALSE(check_name(wrong));
  }
  CHECK_FALSE(check_name(std::string(65, 'a')));
}

TEST_CASE("what is no request, no certificate or no key is said so") {
  signed_by by;
  by.request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
  CHECK(by.certify({role::worker, "w"}).error().code() == error_code::invalid_argument);
  CHECK(read_certificate("hello").error().code() == error_code::invalid_argument);
  CHECK(private_key::from_pem("hello").error().code() == error_code::invalid_argument);
}

TEST_CASE("a request with a key of another is refused") {
  signed_by by;
  // The last bytes are the signature's.
  auto body = by.request;
  const auto end = body.rfind("\n-----END");
  const auto at = end - 10;
  body[at] = body[at] == 'A' ? 'B' : 'A';
  by.request = body;
  const auto made = by.certify({role::worker, "w"});
  REQUIRE_FALSE(made);
  CHECK(made.error().code() == error_code::invalid_argument);
}

TEST_CASE("dates are told where they do not hold") {
  certificate_facts facts;
  facts.whose.name = "wrk_1";
  facts.not_before_ms = 1'000;
  facts.not_after_ms = 2'000;
  CHECK(check_dates(facts, 1'500));
  CHECK(check_dates(facts, 500).error().message().find("clock") != std::string::npos);
  CHECK(check_dates(facts, 2'500).error().message().find("it is over") != std::string::npos);
}

}  // namespace
}  // namespace germline::pki
