#include "worker/gateway/usage_teller.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <vector>

using namespace germline::worker;

TEST_CASE("of many counts in no time the first and the last are told, and each problem at once") {
  boost::asio::io_context context;
  std::vector<std::pair<std::int64_t, std::string>> told;
  const germline::system_clock_source time;
  usage_teller one(context, time, [&](const gateway_usage& usage, const std::string& problem) {
    told.emplace_back(usage.requests, problem);
  });
  gateway_usage usage;
  const auto note = [&](std::int64_t requests, const std::string& problem) {
    usage.requests = requests;
    one.note(usage, problem);
  };
  for (std::int64_t i = 1; i <= 5; ++i) note(i, "");
  CHECK(told == std::vector<std::pair<std::int64_t, std::string>>{{1, ""}});
  context.run();
  REQUIRE(told.size() == 2);
  CHECK(told[1] == std::pair<std::int64_t, std::string>{5, ""});
  note(6, "");
  note(7, "lost");
  note(8, "lost");
  context.restart();
  context.run();
  REQUIRE(told.size() == 4);  // the 6 is in the 7
  CHECK(told[2] == std::pair<std::int64_t, std::string>{7, "lost"});
  CHECK(told[3] == std::pair<std::int64_t, std::string>{8, "lost"});
}
