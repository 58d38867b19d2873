// What the real gateway tells Prometheus.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string answer_of(const std::string& stop) {
  return json({{"id", "m"},
               {"content", {{{"type", "text"}, {"text", stop}}}},
               {"usage", {{"input_tokens", 11}, {"output_tokens", 5}}}})
      .dump();
}

}  // namespace

TEST_CASE("metrics are fetched, and tell nothing of what was said") {
  canned_upstream provider(
      {json_answer(answer_of("a word in confidence")), json_answer("{}", "400 Bad Request")});
  unique_fd held(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(held.get(), plain, size) == 0);
  REQUIRE(::getsockname(held.get(), plain, &size) == 0);
  const unsigned port = ntohs(address.sin_port);
  held.reset();
  const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
  gateway_fixture gateway(
      "[upstream]\nname = \"canned\"\nurl = \"http://127.0.0.1:" + std::to_string(provider.port()) +
          "\"\n[metrics]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n",
      {{"", test_key}});
  gateway.open(plenty);
  CHECK(gateway.post(small_body(false)).status == 200);
  CHECK(gateway.post(small_body(false)).status == 400);
  CHECK(gateway.post("{}").status == 400);
  REQUIRE(gateway.client().close(attempt_name));
  raw_client client(port);
  client.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  REQUIRE(client.wait_closed(5'000) >= 0);
  const auto& told = client.received();
  const std::string of =
      R"({gen_ai_operation_name="chat",gen_ai_provider_name="canned",gen_ai_request_model="scripted-1")";
  CHECK(has(told, "gen_ai_client_token_usage_sum" + of + R"(,gen_ai_token_type="input"} 11)"));
  CHECK(has(told, "gen_ai_client_token_usage_sum" + of + R"(,gen_ai_token_type="output"} 5)"));
  CHECK(has(told, "gen_ai_client_operation_duration_seconds_count" + of + "} 1"));
  CHECK(has(told, R"(_count{error_type="400",)"));
  CHECK(has(told, R"(outcome="refused"} 1)"));
  CHECK_FALSE(has(told, "confidence"));
  CHECK_FALSE(has(told, attempt_name));
  CHECK_FALSE(has(told, test_token));
}
