#include "common/pki/join_token.hpp"

#include <doctest/doctest.h>

namespace germline::pki {
namespace {

const std::string key = "0123456789abcdef0123456789abcdef";

join_token some_token() {
  join_token token;
  token.id = "0011223344556677";
  token.who = role::person;
  token.name = "ann";
  token.expires_ms = 2'000'000;
  token.ca_fingerprint = std::string(64, 'c');
  return token;
}

TEST_CASE("a token says again what it was made of") {
  const auto text = write_token(some_token(), key);
  const auto read = verify_token(text, key, 1'999'000);
  REQUIRE(read);
  CHECK(read->id == "0011223344556677");
  CHECK(read->who == role::person);
  CHECK(read->name == "ann");
  CHECK_FALSE(read->reusable);
  CHECK(read->expires_ms == 2'000'000);
  CHECK(read->ca_fingerprint == std::string(64, 'c'));
  auto worker = some_token();
  worker.who = role::worker;
  worker.name.clear();
  worker.reusable = true;
  const auto again = verify_token(write_token(worker, key), key, 0);
  REQUIRE(again);
  CHECK(again->who == role::worker);
  CHECK(again->reusable);
}

TEST_CASE("a token whose time is over says when it was") {
  const auto late = verify_token(write_token(some_token(), key), key, 2'000'000);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == error_code::permission_denied);
  CHECK(late.error().message().find("1970-01-01T00:33:20") != std::string::npos);
}

TEST_CASE("no changed letter of a token passes") {
  const auto text = write_token(some_token(), key);
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    // The last letter has bits that mean nothing: what is read is then the same token.
    const auto read = verify_token(changed, key, 0);
    if (read && at + 1 == text.size()) continue;
    CAPTURE(at);
    CHECK_FALSE(read);
  }
  CHECK_FALSE(verify_token(text, "another key of the same length..", 0));
  CHECK_FALSE(verify_token(text + "AAAA", key, 0));
}

TEST_CASE("what is no token at all is told what one looks like") {
  for (const auto* wrong :
       {"", "glj1.", "glj1.AAAA", "secret", "glj1.====", "glj1.A", "glj1.+/+/"}) {
    CAPTURE(wrong);
    const auto read = read_token(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().message().find("germline pki token") != std::string::npos);
  }
  CHECK_FALSE(read_token("glj1." + std::string(100'000, 'A')));
}

}  // namespace
}  // namespace germline::pki
