#include "coordinator/api/gate.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

namespace germline {
namespace {

pki::certificate_facts facts_of(const std::string& serial) {
  pki::certificate_facts facts;
  facts.whose = {pki::role::worker, "wrk_1"};
  facts.serial = serial;
  facts.not_before_ms = 1'000;
  facts.not_after_ms = 2'000;
  return facts;
}

TEST_CASE("a certificate that is over does not stand, although its connection may") {
  manual_clock time(1'500);
  const gate guard(nullptr, time);
  CHECK(guard.check_standing(facts_of("01")));
  time.advance(1'000);
  const auto late = guard.check_standing(facts_of("01"));
  REQUIRE_FALSE(late);
  CHECK(late.error().message().find("wrk_1") != std::string::npos);
}

TEST_CASE("where it cannot be read what is revoked, nothing stands") {
  std::string name = "/tmp/germline-gate-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  const manual_clock time;
  const auto home = std::move(*pki::authority::make(name + "/pki", time));
  const gate guard(home.get(), time);
  auto facts = facts_of("01");
  facts.not_before_ms = 0;
  facts.not_after_ms = time.utc_ms() + 1'000;
  CHECK(guard.check_standing(facts));
  REQUIRE(pki::write_file(name + "/pki/certificates.jsonl", "{}\n", 0600));
  CHECK_FALSE(guard.check_standing(facts));
  std::filesystem::remove_all(name);
}

TEST_CASE("a remote worker speaks for itself alone, and a local one for whom it says") {
  CHECK(check_speaks_for({}, "wrk_2"));
  const caller remote{true, facts_of("01")};
  CHECK(check_speaks_for(remote, "wrk_1"));
  CHECK_FALSE(check_speaks_for(remote, "wrk_2"));
  CHECK_FALSE(check_speaks_for({true, {}}, "wrk_1"));
  auto person = remote;
  person.certificate->whose.who = pki::role::person;
  CHECK_FALSE(check_speaks_for(person, "wrk_1"));
}

}  // namespace
}  // namespace germline
