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

struct home_folder {
  std::string path = "/tmp/germline-gate-XXXXXX";
  home_folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~home_folder() { std::filesystem::remove_all(path); }
};

std::string issue_to(pki::authority& home, const std::string& worker) {
  return home.issue({pki::role::worker, worker}, 0)->certificate_pem;
}

TEST_CASE("a certificate that is over does not stand, although its connection may") {
  manual_clock time(1'500);
  const home_folder at;
  const auto home = std::move(*pki::authority::make(at.path + "/pki", time));
  const gate guard(nullptr, at.path + "/pki/ca.crt", time);
  CHECK(guard.check_standing(facts_of("01")));
  time.advance(1'000);
  const auto late = guard.check_standing(facts_of("01"));
  REQUIRE_FALSE(late);
  CHECK(late.error().message().find("wrk_1") != std::string::npos);
}

TEST_CASE("where it cannot be read what is revoked, nothing stands") {
  const home_folder at;
  const manual_clock time;
  const auto home = std::move(*pki::authority::make(at.path + "/pki", time));
  const gate guard(home.get(), at.path + "/pki/ca.crt", time);
  const auto facts = pki::read_certificate(issue_to(*home, "wrk_1"));
  CHECK(guard.check_standing(*facts));
  REQUIRE(pki::write_file(at.path + "/pki/certificates.jsonl", "{}\n", 0600));
  CHECK_FALSE(guard.check_standing(*facts));
}

TEST_CASE("what the authority has no record of does not stand, although its key signed it") {
  const home_folder at;
  const manual_clock time;
  const auto home = std::move(*pki::authority::make(at.path + "/pki", time));
  // Somebody has a copy of the key.
  std::filesystem::copy(at.path + "/pki", at.path + "/copy",
                        std::filesystem::copy_options::recursive);
  const auto thief = std::move(*pki::authority::open(at.path + "/copy", time));
  const auto facts = pki::read_certificate(issue_to(*thief, "wrk_1"));
  const auto path = at.path + "/pki/server/ca.crt";
  const auto refused = gate(home.get(), path, time).check_standing(*facts);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::permission_denied);
  CHECK(refused.error().message().find("no record") != std::string::npos);
  // Where certificates were brought along nobody keeps a record.
  CHECK(gate(nullptr, path, time).check_standing(*facts));
}

TEST_CASE("what a former key signed stands until the rotation is finished") {
  const home_folder at;
  const manual_clock time;
  const auto home = std::move(*pki::authority::make(at.path + "/pki", time));
  const auto path = at.path + "/pki/server/ca.crt";
  const gate own(home.get(), path, time);
  const gate brought_along(nullptr, path, time);
  const auto before = pki::read_certificate(issue_to(*home, "wrk_1"));
  REQUIRE(home->begin_rotation(0));
  const auto after = pki::read_certificate(issue_to(*home, "wrk_1"));
  for (const auto* guard : {&own, &brought_along}) {
    CHECK(guard->check_standing(*before));
    CHECK(guard->check_standing(*after));
  }
  REQUIRE(home->finish_rotation(true));
  for (const auto* guard : {&own, &brought_along}) {
    CHECK(guard->check_standing(*before).error().code() == error_code::permission_denied);
    CHECK(guard->check_standing(*after));
  }
  // Of an authority in between, where one was brought along.
  auto between = *after;
  between.issuer_key = "0a0b";
  CHECK(brought_along.check_standing(between));
  CHECK_FALSE(own.check_standing(between));
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
