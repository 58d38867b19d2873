#include "common/spool.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/temp_dir.hpp"

using namespace germline;
namespace fs = std::filesystem;

TEST_CASE("a spool gives back what was appended, and leaves no file") {
  const tests::temp_dir dir;
  auto held = spool::make(dir.path());
  REQUIRE(held);
  CHECK(fs::is_empty(dir.path()));
  CHECK(held->view()->empty());
  REQUIRE(held->append("one "));
  CHECK(*held->view() == "one ");
  REQUIRE(held->append(std::string(300'000, 'x')));
  REQUIRE(held->append(""));
  CHECK(held->size() == 300'004);
  const auto view = *held->view();
  CHECK(view.substr(0, 5) == "one x");
  spool other = std::move(*held);
  CHECK(view.back() == 'x');
  CHECK(other.view()->data() == view.data());
  REQUIRE(other.clear());
  CHECK(other.empty());
  REQUIRE(other.append("anew"));
  CHECK(*other.view() == "anew");
}

TEST_CASE("a spool is saved to a file, and read from one that is removed meanwhile") {
  const tests::temp_dir dir;
  const auto path = dir.path() + "/saved";
  auto held = spool::make(dir.path());
  REQUIRE(held);
  REQUIRE(held->append("all of it"));
  REQUIRE(held->save(path));
  REQUIRE(held->save(path));
  auto again = spool::open(path);
  REQUIRE(again);
  fs::remove(path);
  CHECK(*again->view() == "all of it");
  CHECK(spool::open(path).error().message().find(path) != std::string::npos);
  CHECK_FALSE(held->save(dir.path() + "/none/saved"));
}

TEST_CASE("a directory that cannot be written is an error that names it") {
  const auto held = spool::make("/nowhere/at all");
  REQUIRE_FALSE(held);
  CHECK(held.error().message().find("/nowhere/at all") != std::string::npos);
}
