#include "worker/gateway/usage_teller.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <vector>

using namespace germline::worker;

TEST_CASE("of many counts in no time the first and the last are told, and each problem at once") {
  boost::asio::io_context context;
  std::vector<std::pair<std::int64_t, std::string>> told;
  const germline::system_clock_source time;
  const usage_teller::teller tell = [&](const gateway_usage& usage, const std::string& problem) {
    told.emplace_back(usage.requests, problem);
  };
  auto one = std::make_shared<usage_teller>(context, time, tell);
  gateway_usage usage;
  const auto note = [&](std::int64_t requests, const std::string& problem) {
    usage.requests = requests;
    one->note(usage, problem);
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
  note(9, "");
  boost::asio::steady_timer later(context,
                                  std::chrono::milliseconds(2 * usage_teller::least_gap_ms));
  later.wait();
  boost::asio::post(context, [&] { one.reset(); });  // before the turn of the timer
  context.restart();
  context.run();
  CHECK(told.size() == 4);
}
