#include "worker/node/layer_cache.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "common/hash.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;
using germline::tests::temp_dir;
namespace fs = std::filesystem;

namespace {

const auto never = [] { return false; };

struct fixture {
  std::unique_ptr<layer_cache> open(std::int64_t kept_bytes = 1 << 20) const {
    auto opened = layer_cache::open(dir.path() + "/deps", kept_bytes);
    REQUIRE(opened);
    return std::move(*opened);
  }
  /// Fills with one file of that many bytes, and counts.
  layer_cache::filler with(std::size_t bytes) {
    return [this, bytes](const std::string& folder) -> result<void> {
      ++fills;
      std::ofstream(folder + "/file") << std::string(bytes, 'x');
      return {};
    };
  }
  layer_pin get(layer_cache& from, const std::string& name, std::size_t bytes = 3) {
    auto got = from.get(sha256_hex(name), never, with(bytes));
    REQUIRE_MESSAGE(got, got.error().message());
    return std::move(*got);
  }
  bool has(const std::string& name) const {
    return fs::exists(dir.path() + "/deps/" + sha256_hex(name));
  }
  temp_dir dir;
  std::atomic<int> fills = 0;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a layer is filled once, also over restarts") {
  {
    const auto cache = open();
    const auto first = get(*cache, "a");
    CHECK(fs::exists(first.tree_path() + "/file"));
    const auto second = get(*cache, "a");
    CHECK(fills == 1);
  }
  const auto cache = open();
  const auto again = get(*cache, "a");
  CHECK(fills == 1);
}

TEST_CASE_FIXTURE(fixture, "two who need the same one at once fill it once") {
  const auto cache = open();
  const auto slow = [&](const std::string& folder) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return with(3)(folder);
  };
  std::vector<std::thread> threads;
  std::atomic<int> got = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (cache->get(sha256_hex("a"), never, slow)) ++got;
    });
  }
  for (auto& one : threads) one.join();
  CHECK(got == 4);
  CHECK(fills == 1);
}

TEST_CASE_FIXTURE(fixture, "who waits can be cancelled; where the first fails the next one fills") {
  const auto cache = open();
  std::atomic<bool> cancelled = false;
  std::thread first([&] {
    const auto failed = cache->get(sha256_hex("a"), never, [&](const std::string&) -> result<void> {
      cancelled = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      return error(error_code::unavailable, "the mirror is away");
    });
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message() == "the mirror is away");
  });
  while (!cancelled) std::this_thread::yield();
  const auto waited = cache->get(
      sha256_hex("a"), [&] { return cancelled.load(); }, with(3));
  REQUIRE_FALSE(waited);
  CHECK(waited.error().code() == error_code::cancelled);
  const auto pin = get(*cache, "a");
  CHECK(fills == 1);
  first.join();
  CHECK_FALSE(fs::is_empty(dir.path() + "/deps"));
}

TEST_CASE_FIXTURE(fixture, "the least recently used go first, and never what is in use") {
  const auto cache = open(250'000);
  { const auto a = get(*cache, "a", 100'000); }
  { const auto b = get(*cache, "b", 100'000); }
  { const auto again = get(*cache, "a", 100'000); }
  const auto held = get(*cache, "held", 1'000'000);
  { const auto c = get(*cache, "c", 100'000); }
  CHECK(has("a"));
  CHECK(has("c"));
  CHECK_FALSE(has("b"));
  CHECK(has("held"));
  cache->clear();
  CHECK(has("held"));
  CHECK_FALSE(has("a"));
}

TEST_CASE_FIXTURE(fixture, "the smallest files count for the room that they take") {
  const auto cache = open(6'000);
  { const auto a = get(*cache, "a", 1); }
  { const auto b = get(*cache, "b", 1); }
  CHECK_FALSE(has("a"));
}

TEST_CASE_FIXTURE(fixture, "what is damaged is filled again, in this life and the next") {
  const auto damage = [&](const std::string& what) {
    const auto file = dir.path() + "/deps/" + sha256_hex("a") + "/" + what;
    std::ofstream(file, std::ios::in) << "Y";
  };
  auto cache = open();
  { const auto a = get(*cache, "a"); }
  damage("tree/file");
  { const auto a = get(*cache, "a"); }
  CHECK(fills == 2);
  damage("tree/file");
  cache = open();
  { const auto a = get(*cache, "a"); }
  CHECK(fills == 3);
  damage("sealed.json");
  { const auto a = get(*cache, "a"); }
  CHECK(fills == 4);
  std::ofstream(dir.path() + "/deps/" + sha256_hex("a") + "/tree/more") << "z";
  { const auto a = get(*cache, "a"); }
  CHECK(fills == 5);
  // One that somebody uses is not taken from under them.
  const auto held = get(*cache, "a");
  damage("tree/file");
  const auto refused = cache->get(sha256_hex("a"), never, with(3));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::data_loss);
}

TEST_CASE_FIXTURE(fixture, "what a former process left half done goes") {
  { const auto cache = open(); }
  fs::create_directories(dir.path() + "/deps/.incoming-abc/tree");
  const auto cache = open();
  CHECK(fs::is_empty(dir.path() + "/deps"));
}
