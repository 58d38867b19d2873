#include "common/spool.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

using namespace germline;
namespace fs = std::filesystem;

TEST_CASE("a spool gives back what was appended, and leaves no file") {
  std::string dir = (fs::temp_directory_path() / "spool-XXXXXX").string();
  REQUIRE(::mkdtemp(dir.data()) != nullptr);
  auto held = spool::make(dir);
  REQUIRE(held);
  CHECK(fs::is_empty(dir));
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
  fs::remove_all(dir);
}

TEST_CASE("a directory that cannot be written is an error that names it") {
  const auto held = spool::make("/nowhere/at all");
  REQUIRE_FALSE(held);
  CHECK(held.error().message().find("/nowhere/at all") != std::string::npos);
}
