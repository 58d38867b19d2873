#include "worker/node/model_session.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace germline;
using namespace germline::worker;

namespace {

class recording_access final : public model_access {
 public:
  explicit recording_access(manual_clock& time) : time_(time) {}

  result<void> open(const model_grant& grant, unique_fd) override {
    deadlines.push_back(grant.deadline_boot_ms);
    return {};
  }
  result<void> renew(const std::string&, std::int64_t deadline_boot_ms) override {
    deadlines.push_back(deadline_boot_ms);
    return {};
  }
  result<model_account> close(const std::string&) override {
    ++closes;
    if (silent > 0) {
      --silent;
      time_.advance(5'000);
      return error(error_code::deadline_exceeded, "no answer in time");
    }
    model_account used;
    used.usage.set_requests(3);
    return used;
  }

  std::vector<std::int64_t> deadlines;
  int closes = 0;
  int silent = 0;  // so many closes are not answered

 private:
  manual_clock& time_;
};

}  // namespace

TEST_CASE("the gateway's deadline is never past the lease, nor past the wall time") {
  manual_clock time;
  recording_access models(time);
  model_session session(&models, time, "att", 20'000);
  REQUIRE(session.open({}, {}, 60'000));
  session.renew(50'000);
  session.renew(90'000);
  CHECK(models.deadlines == std::vector<std::int64_t>{20'000, 50'000, 60'000});
}

TEST_CASE("a renewal that came before opening counts, and one after closing reaches nobody") {
  manual_clock time;
  recording_access models(time);
  model_session session(&models, time, "att", 20'000);
  session.renew(40'000);
  CHECK(models.deadlines.empty());
  REQUIRE(session.open({}, {}, 60'000));
  REQUIRE(session.close());
  session.renew(55'000);
  CHECK(models.deadlines == std::vector<std::int64_t>{40'000});
}

TEST_CASE("a gateway that does not answer is asked until it does") {
  manual_clock time;
  recording_access models(time);
  models.silent = 2;
  model_session session(&models, time, "att", 20'000);
  REQUIRE(session.open({}, {}, 60'000));
  const auto used = session.close();
  REQUIRE(used);
  CHECK(used->usage.requests() == 3);
  CHECK(models.closes == 3);
  CHECK(session.close()->usage.requests() == 0);  // ended already
  CHECK(models.closes == 3);
}

TEST_CASE("close does not return before a silent gateway's own deadline has passed") {
  manual_clock time;
  recording_access models(time);
  models.silent = 1'000;
  model_session session(&models, time, "att", 20'000);
  REQUIRE(session.open({}, {}, 60'000));
  CHECK_FALSE(session.close());
  CHECK(time.boot_ms() > 20'000);
}

TEST_CASE("without a gateway a genome that declares a model is told so") {
  manual_clock time;
  model_session session(nullptr, time, "att", 20'000);
  const auto opened = session.open({}, {}, 60'000);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message().find("--gateway-config") != std::string::npos);
}
