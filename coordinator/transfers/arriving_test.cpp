#include "coordinator/transfers/arriving.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>

#include "common/hash.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::transfers;

namespace {

const std::string text = "what the attempt brings";

parcel_name name_of(const std::string& bytes) {
  return {content_kind::pack,
          "wrk_1",
          "att_1",
          1,
          sha256_hex(bytes),
          static_cast<std::int64_t>(bytes.size())};
}

struct fixture {
  /// A stream that brings a part of the text and breaks.
  void bring(const parcel_name& which, std::int64_t from, std::int64_t to) {
    auto stream = parts.resume(which, from);
    REQUIRE(stream);
    REQUIRE(stream->take(std::string_view(text).substr(from, to - from)));
  }

  tests::temp_dir dir;
  manual_clock time;
  arriving parts{dir.path(), time, {.count = 2, .bytes = 1'000, .idle_ms = 60'000}};
  parcel_name name = name_of(text);
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "what was cut off goes on, and its answer is told again") {
  CHECK(parts.bytes_of(name) == 0);
  bring(name, 0, 9);
  CHECK(parts.bytes_of(name) == 9);
  bring(name, 5, 12);  // some of it comes twice
  CHECK(parts.bytes_of(name) == 12);
  CHECK(std::filesystem::is_empty(dir.path()));
  {
    auto last = parts.resume(name, 12);
    REQUIRE(last);
    CHECK_FALSE(last->complete());
    REQUIRE(last->take(std::string_view(text).substr(12)));
    CHECK(last->take("x").error().code() == error_code::resource_exhausted);
    CHECK(last->complete());
    CHECK(*last->finish() == text);
    auto hasty = parts.resume(name, name.size_bytes);
    REQUIRE(hasty);
    CHECK(hasty->finish().error().code() == error_code::unavailable);
    last->settle("art_1");
  }
  CHECK(parts.bytes_of(name) == name.size_bytes);
  auto again = parts.resume(name, name.size_bytes);
  REQUIRE(again);
  CHECK(again->answered() == "art_1");
}

TEST_CASE_FIXTURE(fixture, "no other attempt, fence, content or kind goes on with it") {
  bring(name, 0, 9);
  auto other = name;
  SUBCASE("kind") {
    other.kind = content_kind::artefact;
  }
  SUBCASE("fence") {
    other.fence = 2;
  }
  SUBCASE("attempt") {
    other.attempt_id = "att_2";
  }
  SUBCASE("worker") {
    other.worker_id = "wrk_2";
  }
  SUBCASE("content") {
    other.sha256 = sha256_hex("other");
  }
  SUBCASE("size") {
    other.size_bytes += 1;
  }
  CHECK(parts.bytes_of(other) == 0);
  const auto refused = parts.resume(other, 9);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::not_found);
  CHECK(parts.resume(name, 10).error().code() == error_code::not_found);
  CHECK(parts.resume(name, 9));
}

TEST_CASE_FIXTURE(fixture, "of two streams the later one goes on") {
  auto left_behind = parts.resume(name, 0);
  REQUIRE(left_behind);
  REQUIRE(left_behind->take(std::string_view(text).substr(0, 9)));
  auto next = parts.resume(name, 9);
  REQUIRE(next);
  CHECK(left_behind->take("late").error().code() == error_code::cancelled);
  CHECK(left_behind->finish().error().code() == error_code::cancelled);
  REQUIRE(next->take(std::string_view(text).substr(9)));
  CHECK(*next->finish() == text);
}

TEST_CASE_FIXTURE(fixture, "what is not as its name says, or cannot be stored, is dropped") {
  {
    auto wrong = parts.resume(name, 0);
    REQUIRE(wrong);
    REQUIRE(wrong->take(std::string(text.size(), 'x')));
    CHECK(wrong->finish().error().code() == error_code::data_loss);
  }
  CHECK(parts.bytes_of(name) == 0);
  {
    auto stored = parts.resume(name, 0);
    REQUIRE(stored->take(text));
    REQUIRE(stored->finish());  // and then the disk is full: it is not settled
  }
  CHECK(parts.bytes_of(name) == 0);
}

TEST_CASE_FIXTURE(fixture, "idle parts go by age, by number, and with their fence") {
  bring(name, 0, 9);
  auto live = parts.resume(name_of("another"), 0);
  REQUIRE(live);
  REQUIRE(live->take("anot"));
  const auto anybody = [](const parcel_name&) { return true; };
  time.advance(60'000);
  parts.sweep(anybody);
  CHECK(parts.bytes_of(name) == 9);
  time.advance(60'001);
  parts.sweep(anybody);
  CHECK(parts.bytes_of(name) == 0);
  REQUIRE(live->take("her"));  // it is not idle
  parts.sweep([](const parcel_name& each) { return each.fence != 1; });
  CHECK(live->finish().error().code() == error_code::cancelled);

  for (const auto* bytes : {"first", "second", "third"}) {
    time.advance(1);
    auto stream = parts.resume(name_of(bytes), 0);
    REQUIRE(stream);
    REQUIRE(stream->take("f"));
  }
  auto more = parts.resume(name_of("fourth"), 0);
  REQUIRE(more);
  CHECK(parts.bytes_of(name_of("first")) == 0);
  CHECK(parts.bytes_of(name_of("third")) == 1);
}
