#include "worker/node/storage.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <limits>
#include <thread>

#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

constexpr auto more_than_any = std::numeric_limits<std::int64_t>::max() - 1;
const system_clock_source time_of_test;

}  // namespace

TEST_CASE(
    "a disk without room keeps the worker from leases, once nothing can be dropped any more") {
  const tests::temp_dir dir;
  std::atomic<int> dropped = 0;
  const storage roomy(
      dir.path(), 0, [&] { ++dropped; }, time_of_test);
  CHECK(roomy.trouble().empty());
  CHECK(dropped == 0);
  const storage full(
      dir.path(), more_than_any, [&] { ++dropped; }, time_of_test);
  CHECK(full.trouble().find(dir.path()) != std::string::npos);
  CHECK(full.trouble().find(" left; it needs ") != std::string::npos);
  CHECK(dropped == 1);
}

TEST_CASE("a folder that cannot be written keeps the worker from leases") {
  const storage gone(
      "/nowhere/at all", 0, [] {}, time_of_test);
  CHECK(gone.trouble().find("cannot be written") != std::string::npos);
}

TEST_CASE("who asks while the disk does not answer is not kept, and learns of it in time") {
  const tests::temp_dir dir;
  manual_clock time;
  std::atomic<int> dropped = 0;
  std::latch blocked(1), done(1);
  // It hangs at the second look.
  const storage hanging(
      dir.path(), more_than_any,
      [&] {
        if (++dropped != 2) return;
        blocked.count_down();
        done.wait();
      },
      time, 1);
  blocked.wait();
  CHECK(hanging.trouble().find(" left; it needs ") != std::string::npos);
  time.advance(storage::answer_limit_ms + 1);
  CHECK(hanging.trouble().find("does not answer") != std::string::npos);
  done.count_down();
}

TEST_CASE("what was seen is forgotten once the disk is well again") {
  const tests::temp_dir dir;
  const storage mended(
      dir.path() + "/later", 0, [] {}, time_of_test, 1);
  CHECK(!mended.trouble().empty());
  std::filesystem::create_directory(dir.path() + "/later");
  for (int i = 0; i < 500 && !mended.trouble().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(mended.trouble().empty());
}

TEST_CASE("a failure of the disk is told from one of the work") {
  const tests::temp_dir dir;
  storage well(
      dir.path(), 0, [] {}, time_of_test);
  const error full(error_code::resource_exhausted, "writing a file: No space left on device");
  CHECK(well.trouble_behind(full) == full.message());
  const error read_only(error_code::internal, "creating a file: Read-only file system");
  CHECK(well.trouble_behind(read_only) == read_only.message());
  // What others say is no word of this disk.
  const error told(error_code::unavailable, "git says: No space left on device");
  CHECK(well.trouble_behind(told).empty());
  const error large(error_code::resource_exhausted, "the history has more than 5 bytes");
  CHECK(well.trouble_behind(large).empty());
}
