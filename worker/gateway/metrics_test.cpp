#include "worker/gateway/metrics.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace germline::worker {
namespace {

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

measured_request whole() {
  measured_request one;
  one.provider = "anthropic";
  one.model = "m-1";
  one.outcome = "settled";
  one.seconds = 3;
  one.first_chunk_seconds = 0.3;
  one.tokens.input = 10;
  one.tokens.output = 5;
  one.tokens.cache_write = 2;
  one.tokens.cache_write_1h = 1;
  one.tokens.cache_read = 100;
  one.cost_nanousd = 2'500'000'000;
  return one;
}

}  // namespace

TEST_CASE("requests are counted under OpenTelemetry's names, with all input as input") {
  gateway_metrics metrics;
  metrics.note(whole());
  metrics.note(whole());
  const auto text = metrics.text();
  const std::string of =
      R"(gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",gen_ai_request_model="m-1")";
  CHECK(has(text, "gen_ai_client_token_usage_sum{" + of + R"(,gen_ai_token_type="input"} 224)"));
  CHECK(has(text, "gen_ai_client_token_usage_count{" + of + R"(,gen_ai_token_type="output"} 2)"));
  CHECK(has(text,
            "gen_ai_client_token_usage_bucket{" + of + R"(,gen_ai_token_type="input",le="64"} 0)"));
  CHECK(has(text, "gen_ai_client_token_usage_bucket{" + of +
                      R"(,gen_ai_token_type="input",le="256"} 2)"));
  CHECK(has(text, "gen_ai_client_operation_duration_seconds_sum{" + of + "} 6"));
  CHECK(has(text, "gen_ai_client_operation_time_to_first_chunk_seconds_count{" + of + "} 2"));
  CHECK(has(text, R"(germline_gateway_cost_usd_total{gen_ai_request_model="m-1"} 5)"));
  CHECK(has(text,
            R"(germline_gateway_cache_tokens_total{gen_ai_request_model="m-1",kind="read"} 200)"));
  CHECK(has(text,
            R"(germline_gateway_cache_tokens_total{gen_ai_request_model="m-1",kind="write"} 4)"));
}

TEST_CASE("what failed says why, and what asked nobody is counted and not timed") {
  gateway_metrics metrics;
  auto failed = whole();
  failed.error = "529";
  failed.tokens = {};
  failed.cost_nanousd = 0;
  failed.first_chunk_seconds.reset();
  metrics.note(failed);
  measured_request refused;
  refused.model = "m-1";
  refused.outcome = "refused";
  metrics.note(refused);
  const auto text = metrics.text();
  CHECK(text.find("gen_ai_client_operation_duration_seconds_count{error_type=\"529\",") !=
        std::string::npos);
  CHECK(text.find("gen_ai_client_token_usage_count") == std::string::npos);
  CHECK(has(text,
            R"(germline_gateway_requests_total{gen_ai_request_model="m-1",outcome="refused"} 1)"));
  CHECK(text.find("_count{error_type=\"529\"") == text.rfind("_count{"));
}

TEST_CASE("an address that cannot be listened on is told") {
  gateway_metrics metrics;
  const auto refused = metrics.listen({"192.0.2.1", 1, 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find(
            "[metrics] listen = '192.0.2.1:1': metrics cannot be served there: this machine has no "
            "such address") == 0);
}

TEST_CASE("a server that finds no room for its threads says so, and what to look at") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // an account that may have no thread more; root's may always
    const rlimit none{0, 0};
    if ((::geteuid() == 0 && ::setuid(65'534) != 0) || ::setrlimit(RLIMIT_NPROC, &none) != 0) {
      ::_exit(1);
    }
    std::string said = "another program";
    for (int port = 20'000; said.find("another program") != said.npos; ++port) {
      gateway_metrics metrics;
      const auto refused = metrics.listen({"127.0.0.1", port, port});
      said = refused ? "it listens" : refused.error().message();
    }
    const auto wrote = ::write(pipe[1], said.data(), said.size());
    ::_exit(wrote == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(pipe[1]);
  std::string said;
  std::array<char, 4'096> bytes{};
  for (ssize_t got = 0; (got = ::read(pipe[0], bytes.data(), bytes.size())) > 0;) {
    said.append(bytes.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK_MESSAGE(
      said.find("its server did not start, though the address was free (") != std::string::npos,
      said);
  CHECK(said.find("more threads (ulimit -u)") != std::string::npos);
}

TEST_CASE("gateways that share a range of ports take one each") {
  gateway_metrics all[2];
  std::string first;
  for (int port = 20'000; first.empty() && port < 30'000; ++port) {
    const auto taken = all[0].listen({"127.0.0.1", port, port});
    if (taken) first = std::to_string(port);
  }
  REQUIRE_FALSE(first.empty());
  const int port = std::stoi(first);
  const auto taken = all[1].listen({"127.0.0.1", port, port});
  REQUIRE_FALSE(taken);
  CHECK(taken.error().message().find("[metrics] listen = '127.0.0.1:" + first +
                                     "': metrics cannot be served there: another program listens "
                                     "there") == 0);
  const auto other = all[1].listen({"127.0.0.1", port, port + 100});
  REQUIRE(other);
  CHECK(*other != "127.0.0.1:" + first);
}

}  // namespace germline::worker
