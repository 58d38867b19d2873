// A provider behind HTTPS, as real ones are: what passes, and that nothing goes to an impostor.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};

json two_replies() {
  const json reply = {{"content", {{{"type", "text"}, {"text", "through TLS"}}}}};
  return {
      {"steps", {{{"name", "first"}, {"reply", reply}}, {{"name", "second"}, {"reply", reply}}}}};
}

}  // namespace

TEST_CASE("an HTTPS provider is spoken to by HTTP/2, streaming or not") {
  gateway_fixture fixture(two_replies(), "", transport::tls);
  fixture.open(plenty);
  const std::string body = small_body(false);
  const auto answer = fixture.post(body);
  CHECK(answer.status == 200);
  CHECK(json::parse(answer.body)["content"][0]["text"] == "through TLS");
  CHECK(read_file(fixture.folder() + "/1.body") == body);
  CHECK(read_file(fixture.folder() + "/1.head").find("x-api-key: " + test_key) !=
        std::string::npos);
  const auto streamed = fixture.post(small_body(true));
  CHECK(streamed.status == 200);
  CHECK(streamed.body.find("message_stop") != std::string::npos);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->requests == 2);
  CHECK(usage->charged_by_bound == 0);
  CHECK(usage->cost_nanousd > 0);
  const auto spoken = fixture.spoken();
  CHECK(spoken.find("\nHTTP/2\nHTTP/2\n") != std::string::npos);
}

TEST_CASE("an impostor of the provider gets neither request nor key, and nothing is charged") {
  auto by = transport::tls_stranger;
  SUBCASE("by an unknown authority") {}
  SUBCASE("with a certificate for another name") {
    by = transport::tls_other_name;
  }
  gateway_fixture fixture(two_replies(), "", by);
  fixture.open(plenty);
  const auto answer = fixture.post(small_body(false));
  CHECK(answer.status >= 500);
  CHECK(answer.body.find("api_error") != std::string::npos);
  const auto usage = fixture.client().close(attempt_name);
  REQUIRE(usage);
  CHECK(usage->cost_nanousd == 0);
  CHECK(std::ranges::count(fixture.spoken(), '\n') == 1);  // its port alone
  CHECK(fixture.gateway_log().find(test_key) == std::string::npos);
}
