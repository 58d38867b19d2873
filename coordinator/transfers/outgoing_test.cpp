#include "coordinator/transfers/outgoing.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <thread>
#include <vector>

#include "common/hash.hpp"
#include "coordinator/transfers/live_calls.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::transfers;

namespace {

/// Makes things of so many bytes, and counts how often it was asked to.
struct source {
  result<void> operator()(const outgoing::sink& into) {
    ++made;
    GERMLINE_TRY(into(std::string(bytes / 2, 'a')));
    return into(std::string(bytes - bytes / 2, 'b'));
  }
  std::size_t bytes = 1'000;
  int made = 0;
};

}  // namespace

TEST_CASE("what was made is kept for who asks again, on the disk, and for a while") {
  const tests::temp_dir dir;
  manual_clock time;
  outgoing kept(dir.path(), time);
  source thousand;
  const auto first = kept.get("one", std::ref(thousand));
  REQUIRE(first);
  CHECK((*first)->bytes.size() == 1'000);
  CHECK((*first)->sha256 == sha256_hex((*first)->bytes));
  CHECK(std::filesystem::is_empty(dir.path()));
  time.advance(keeping().idle_ms);
  kept.sweep();
  CHECK(*kept.get("one", std::ref(thousand)) == *first);
  CHECK(thousand.made == 1);
  time.advance(keeping().idle_ms + 1);
  kept.sweep();
  CHECK((*first)->bytes.back() == 'b');  // who still sends it has it
  REQUIRE(kept.get("one", std::ref(thousand)));
  CHECK(thousand.made == 2);
}

TEST_CASE("beyond the bounds of number and bytes the least recently used go") {
  const tests::temp_dir dir;
  manual_clock time;
  outgoing kept(dir.path(), time, {.count = 3, .bytes = 5'000, .idle_ms = 1'000'000});
  source small;
  const auto get = [&](const std::string& key) {
    time.advance(1);
    const int before = small.made;
    REQUIRE(kept.get(key, std::ref(small)));
    return small.made > before;  // whether it was made now
  };
  for (const auto* key : {"a", "b", "c"}) CHECK(get(key));
  CHECK_FALSE(get("a"));
  CHECK(get("d"));
  CHECK_FALSE(get("a"));
  CHECK(get("b"));
  small.bytes = 4'500;
  CHECK(get("large"));
  CHECK_FALSE(get("large"));
  small.bytes = 1'000;
  CHECK(get("a"));  // with the large one it was too much
}

TEST_CASE("who asks while it is made waits for it; a failure is told and not kept") {
  const tests::temp_dir dir;
  const system_clock_source time;
  outgoing kept(dir.path(), time);
  std::atomic<int> made{0};
  std::atomic<int> asked{0};
  std::vector<std::thread> askers;
  std::atomic<int> whole_ones{0};
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      ++asked;
      const auto got = kept.get("key", [&](const outgoing::sink& into) -> result<void> {
        ++made;
        while (asked < 4) std::this_thread::yield();
        return into("bytes");
      });
      if (got && (*got)->bytes == "bytes") ++whole_ones;
    });
  }
  for (auto& each : askers) each.join();
  CHECK(made == 1);
  CHECK(whole_ones == 4);
  const error broken(error_code::data_loss, "a file is damaged");
  CHECK(kept.get("other", [&](const outgoing::sink&) { return result<void>(broken); })
            .error()
            .message() == broken.message());
  CHECK(kept.get("other", [](const outgoing::sink& into) { return into("now"); }));
}

TEST_CASE("a call in which nothing moves is ended, once") {
  manual_clock time;
  live_calls calls(time, 1'000);
  int hung = 0;
  int moving = 0;
  int done = 0;
  const auto first = calls.begin([&] { ++hung; });
  auto second = calls.begin([&] { ++moving; });
  auto third = calls.begin([&] { ++done; });
  time.advance(1'001);
  second.moved();
  third.done();
  calls.sweep();
  calls.sweep();
  CHECK(hung == 1);
  CHECK(moving == 0);
  CHECK(done == 0);
}
