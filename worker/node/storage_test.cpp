#include "worker/node/storage.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

constexpr auto more_than_any = std::numeric_limits<std::int64_t>::max() - 1;

}  // namespace

TEST_CASE(
    "a disk without room keeps the worker from leases, once nothing can be dropped any more") {
  const tests::temp_dir dir;
  int dropped = 0;
  storage roomy(dir.path(), 0, [&] { ++dropped; });
  CHECK(roomy.trouble().empty());
  CHECK(dropped == 0);
  storage full(dir.path(), more_than_any, [&] { ++dropped; });
  CHECK(full.trouble().find(dir.path()) != std::string::npos);
  CHECK(full.trouble().find(" left; it needs ") != std::string::npos);
  CHECK(dropped == 2);
}

TEST_CASE("a folder that cannot be written keeps the worker from leases") {
  storage gone("/nowhere/at all", 0, [] {});
  CHECK(gone.trouble().find("cannot be written") != std::string::npos);
}

TEST_CASE("a failure of the disk is told from one of the work") {
  const tests::temp_dir dir;
  storage well(dir.path(), 0, [] {});
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
