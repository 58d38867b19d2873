#include "worker/gateway/upstream_roster.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace germline;
using namespace germline::worker;

namespace {

upstream_config upstream(std::int64_t priority, std::int64_t weight = 1) {
  upstream_config one;
  one.dialects = {"messages"};
  one.priority = priority;
  one.weight = weight;
  return one;
}

struct world {
  explicit world(std::vector<upstream_config> all) : upstreams(std::move(all)) {}
  std::optional<std::size_t> chosen(const std::set<std::size_t>& but_not = {}) {
    return roster.choose("messages", "m", but_not).index;
  }
  void fail(std::size_t index) { roster.take(index).tell(breaker_told::failed); }

  std::vector<upstream_config> upstreams;
  manual_clock time;
  seeded_random random{7};
  upstream_roster roster{upstreams, time, random};
};

}  // namespace

TEST_CASE("a request goes to the first in order, and by weight among equals") {
  world with({upstream(1), upstream(0, 3), upstream(0, 1)});
  std::array<int, 3> times{};
  for (int i = 0; i < 4000; ++i) ++times.at(*with.chosen());
  CHECK(times[0] == 0);
  CHECK(times[1] > 2800);
  CHECK(times[1] < 3200);
  CHECK(*with.chosen({1}) == 2);
  CHECK(*with.chosen({1, 2}) == 0);
  CHECK_FALSE(with.chosen({0, 1, 2}));
}

TEST_CASE("a model and a dialect go to who serves them") {
  auto first = upstream(0);
  first.models = {"claude-*", "other"};
  auto second = upstream(0);
  second.dialects = {"responses"};
  world with({first, second});
  CHECK(with.roster.serves("messages", "claude-x"));
  CHECK(with.roster.serves("messages", "other"));
  CHECK_FALSE(with.roster.serves("messages", "others"));
  CHECK(with.roster.serves("responses", "others"));
  CHECK(with.roster.serves("others"));
  CHECK_FALSE(with.roster.speaks("chat_completions"));
  CHECK(with.roster.choose("responses", "claude-x", {}).index == 1);
  CHECK_FALSE(with.roster.choose("chat_completions", "claude-x", {}).index);
}

TEST_CASE("what is full, rests or failed too often is passed over, and told how long") {
  auto small = upstream(0);
  small.max_concurrent = 1;
  world with({small, upstream(1)});
  {
    const auto turn = with.roster.take(0);
    CHECK(*with.chosen() == 1);
    CHECK(with.roster.choose("messages", "m", {1}).wait_ms > 0);
  }
  CHECK(*with.chosen() == 0);
  with.roster.rest(0, "m", 3000);
  CHECK(*with.chosen() == 1);
  CHECK(with.roster.choose("messages", "other", {}).index == 0);
  const auto resting = with.roster.choose("messages", "m", {1});
  CHECK(resting.wait_ms == 3000);
  CHECK_FALSE(resting.broken);
  with.roster.rest(1, "m", 1'000'000);
  with.time.advance(60'000);
  CHECK(*with.chosen() == 0);
  for (int i = 0; i < 5; ++i) with.fail(0);
  CHECK(*with.chosen() == 1);
  const auto broken = with.roster.choose("messages", "m", {1});
  CHECK(broken.broken);
  with.time.advance(broken.wait_ms);
  CHECK(*with.chosen() == 0);
  {
    const auto probe = with.roster.take(0);
    CHECK(*with.chosen() == 1);
  }
  CHECK(*with.chosen() == 0);  // the probe was cancelled
  with.roster.take(0).tell(breaker_told::answered);
  CHECK(*with.chosen() == 0);
}

TEST_CASE("who is translated for speaks the other dialect, not this one, and lets it be") {
  auto both = upstream(0);
  both.dialects = {"messages", "chat_completions"};
  auto chat = upstream(0);
  chat.dialects = {"chat_completions"};
  auto unwilling = chat;
  unwilling.translate = false;
  auto elsewhere = chat;
  elsewhere.models = {"other"};
  world with({upstream(0), both, chat, unwilling, elsewhere});
  const auto translating = with.roster.translating("messages", "chat_completions", "m");
  CHECK(translating == std::vector<std::size_t>{2});
  CHECK(with.roster.translating("chat_completions", "messages", "m") ==
        std::vector<std::size_t>{0});
  CHECK(with.roster.choose_among({2, 3}, "m", {2}).index == 3);
  CHECK_FALSE(with.roster.choose_among({}, "m", {}).index);
}
